// The session: one WebSocket with the server for all runs of this isolate. It gathers finished texts and sends them once per turn.

import {
  complain, JSONParse, JSONStringify, nativeQueueMicrotask, nativeSetTimeout, ObjectDefineProperty, SafeMap,
} from './shim-builtins.js';
import { Call } from './shim-call.js';
import { guardContext } from './shim-context.js';
import { takeHost } from './shim-host.js';
import { Run } from './shim-run.js';

/** Must be `PROTOCOL` of protocol.rs. */
const PROTOCOL = 1;
/** A frame is cut where it would get longer than this; one larger message goes alone. */
const FRAME_LENGTH_MAX = 4 * 1024 * 1024;
/** Microtasks in a row without a new message after which a turn counts as quiet. */
const QUIET_TICKS = 8;
/** Most microtasks that a frame waits for: user code may go on in microtasks for ever. */
const TICKS_MAX = 1_000;

export class Session {
  /**
   * @param {Record<string, any>} userModule
   * @param {any} ctx
   * @param {any} env
   * @param {WebSocket} socket
   * @param {string} token what the server knows this process by
   */
  constructor(userModule, ctx, env, socket, token) {
    this.userModule = userModule;
    this.ctx = ctx;
    this.env = env;
    this.socket = socket;
    this.token = token;
    this.closed = false;
    /** @type {Map<number, Run>} */
    this.runs = new SafeMap();
    /** Number of the turn of the event loop, as far as settling goes. */
    this.turn = 0;
    /** @type {Run[]} runs with something to do in the next turn */
    this.waiting = [];
    /** @type {(string | Call)[]} messages to send; of a new call only the call, so that its result can join it */
    this.out = [];
    this.waking = false;
    this.ticks = 0;
    this.quiet = 0;
    guardContext(ctx);
    takeHost(env);
  }

  /** @param {string[]} classes */
  hello(classes) {
    this.send(JSONStringify({ hello: { protocol: PROTOCOL, classes } }));
  }

  /** @param {string} text */
  receive(text) {
    if (this.closed) return;
    this.turn += 1;
    const messages = JSONParse(text);
    for (let i = 0; i < messages.length; i += 1) this.handle(messages[i]);
  }

  /** @param {any} message */
  handle(message) {
    if (message.held) this.runs.get(message.held.run)?.settle({ call: message.held.call, held: true });
    else if (message.settle) this.runs.get(message.settle.run)?.settle(message.settle.with);
    else if (message.attempt) this.runs.get(message.attempt.run)?.attempt(message.attempt.call, message.attempt.attempt);
    else if (message.start) this.start(message.start);
    else if (message.roll_back) this.runs.get(message.roll_back.run)?.rollBack();
    else if (message.undo) this.runs.get(message.undo.run)?.rollback?.undo(message.undo);
    else if (message.history) this.load(message.history);
    else if (message.value) this.runs.get(message.value.run)?.fill(message.value.call, message.value);
    else if (message.stop) this.runs.get(message.stop.run)?.stop(message.stop.stop);
    else if (message.go) this.runs.get(message.go.run)?.go();
    else if (message.forget) this.forget(message.forget);
    else if (message.ping) this.send(`{"pong":{"n":${message.ping.n}}}`);
    else if (message.bye) this.close(1000, 'bye');
  }

  /** @param {import('./shim-run.js').Start} start */
  start(start) {
    const run = new Run(this, start);
    this.runs.set(run.number, run);
    if (start.calls === 0) run.begin();
  }

  /** @param {{run: number, calls: any[], settled: any[], last: boolean}} history */
  load({ run, calls, settled, last }) {
    const target = this.runs.get(run);
    if (target === undefined) return;
    target.history.load(calls, settled);
    if (last) target.begin();
  }

  /** @param {{run: number, force: boolean}} forget */
  forget({ run, force }) {
    const target = this.runs.get(run);
    if (target === undefined) this.sendForgotten(run);
    else target.forget(force);
  }

  /** @param {number} run */
  sendForgotten(run) {
    this.send(`{"forgotten":{"run":${run}}}`);
  }

  /**
   * Lets the run settle something in the next turn.
   * @param {Run} run
   */
  nextTurn(run) {
    const { waiting } = this;
    if (waiting.length > 0 && waiting[waiting.length - 1] === run) return;
    if (waiting.length === 0) nativeSetTimeout(() => this.takeTurn(), 0);
    waiting[waiting.length] = run;
  }

  takeTurn() {
    if (this.closed) return;
    this.turn += 1;
    const { waiting } = this;
    this.waiting = [];
    for (let i = 0; i < waiting.length; i += 1) waiting[i].pump();
  }

  /** @param {string} message */
  send(message) {
    this.out[this.out.length] = message;
    this.wake();
  }

  /** @param {Call} call */
  sendCall(call) {
    this.out[this.out.length] = call;
    this.wake();
  }

  /** Sends what there is when the microtasks of this turn are done. */
  wake() {
    this.quiet = 0;
    if (this.waking) return;
    this.waking = true;
    this.ticks = 0;
    nativeQueueMicrotask(this.tick);
  }

  tick = () => {
    this.quiet += 1;
    this.ticks += 1;
    if (this.quiet < QUIET_TICKS && this.ticks < TICKS_MAX) nativeQueueMicrotask(this.tick);
    else this.flush();
  };

  flush() {
    this.waking = false;
    const { out } = this;
    this.out = [];
    let frame = '';
    for (let i = 0; i < out.length; i += 1) {
      const part = out[i];
      const text = typeof part === 'string' ? part : part.firstMessage();
      if (frame !== '' && frame.length + text.length > FRAME_LENGTH_MAX) {
        this.post(frame);
        frame = '';
      }
      frame += (frame === '' ? '[' : ',') + text;
    }
    if (frame !== '') this.post(frame);
  }

  /** @param {string} frame */
  post(frame) {
    if (this.closed) return;
    try {
      this.socket.send(`${frame}]`);
    } catch (error) {
      complain('the session failed to send a frame:', error);
      this.close(1011, 'send failed');
    }
  }

  /**
   * Ends all runs.
   * @param {number} code
   * @param {string} reason
   */
  close(code, reason) {
    if (this.closed) return;
    this.flush();
    this.closed = true;
    this.runs.forEach((run) => run.end());
    try {
      this.socket.close(code, reason);
    } catch {
      // The other end is gone already.
    }
  }

  /**
   * Puts the run's own context into an instance of a user class.
   * @param {object} instance
   * @param {object} value
   */
  giveContext(instance, value) {
    ObjectDefineProperty(instance, 'ctx', { value, writable: true, configurable: true, enumerable: true });
  }
}
