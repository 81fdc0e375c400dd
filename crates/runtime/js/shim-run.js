// A run: one activation of an instance's code, from the top to its end or until it is forgotten. It numbers calls, starts attempts, and
// settles at most one call per turn of the event loop in recorded order, so that a replay meets the same order as the first time.

import {
  DateNow, JSONStringify, MathMax, NativeDate, never, PromiseThen, SafeMap, StringToWellFormed,
} from './shim-builtins.js';
import { Call, wireJson } from './shim-call.js';
import { runAttempt } from './shim-attempt.js';
import { makeContext } from './shim-context.js';
import { Course } from './shim-course.js';
import { namedError, preserved, replaced, toThrown } from './shim-errors.js';
import { History } from './shim-history.js';
import { Rollback } from './shim-rollback.js';
import { inScope, currentScope, makeEntry } from './shim-scope.js';
import { makeStep } from './shim-step.js';
import { UserTimers } from './shim-timers.js';
import { fromWire, TooLargeError, toWire } from './value.js';

/**
 * @typedef {import('./shim-call.js').Kind} Kind
 * @typedef {import('./shim-call.js').Received} Received
 * @typedef {import('./shim-call.js').Settlement} Settlement
 * @typedef {import('./shim-errors.js').Thrown} Thrown
 * @typedef {import('./shim-scope.js').Entry} Entry
 * @typedef {{steps_max: number, defaults: import('./shim-config.js').Defaults, preserve_non_retryable: boolean, diverged_ms?: number}} Settings
 * @typedef {{run: number, class: string, workflow: string, instance: string, at: number, params: Received, settings: Settings,
 *   calls: number, paused: boolean, careful: boolean, rolls_back?: boolean, schedule?: {cron: string, at: number}}} Start
 */

export class Run {
  /**
   * @param {import('./shim-session.js').Session} session
   * @param {Start} start
   */
  constructor(session, start) {
    this.session = session;
    this.number = start.run;
    this.start = start;
    this.settings = start.settings;
    this.history = new History();
    this.timers = new UserTimers();
    /** @type {Map<number, Call>} calls that have not settled */
    this.open = new SafeMap();
    /** @type {Map<string, number>} */
    this.counts = new SafeMap();
    /** @type {Map<number, number>} attempts asked for before their call was made */
    this.asked = new SafeMap();
    /** @type {[Call, number][]} attempts that wait for `go` */
    this.held = [];
    /** @type {Entry[]} scopes that no attempt uses */
    this.entries = [];
    this.nextCall = start.calls;
    this.stepsUsed = 0;
    this.running = 0;
    this.stopped = start.paused;
    /** The `stop` that wants its answer. */
    this.quiescing = 0;
    this.dead = false;
    /** No step begins any more: the run is dead or rolls back. */
    this.closed = false;
    /** @type {Rollback | null} made with the first handler */
    this.rollback = start.rolls_back === true ? new Rollback(this) : null;
    this.settledTurn = -1;
    this.course = new Course(this);
  }

  /** Runs user code from the top. */
  begin() {
    const { session, start } = this;
    const outcome = inScope({ run: this, call: null }, async () => {
      const Class = session.userModule[start.class];
      if (typeof Class !== 'function') throw namedError('Error', `The class "${start.class}" is not exported by the Worker`);
      const instance = new Class(session.ctx, session.env);
      session.giveContext(instance, makeContext(this));
      return await instance.run(this.event(), makeStep(this));
    });
    PromiseThen(outcome, (/** @type {unknown} */ value) => this.returned(value), (/** @type {unknown} */ error) => this.threw(error));
    // What the code has just made settles in a later turn, as it did the first time.
    this.settledTurn = session.turn;
    if (this.history.peek() !== undefined || this.isReplayed) session.nextTurn(this);
  }

  event() {
    const { at, instance, params, schedule, workflow } = this.start;
    const payload = fromWire(params.v, params.x);
    const event = {
      payload: payload === undefined ? {} : payload,
      timestamp: new NativeDate(at),
      instanceId: instance,
      workflowName: workflow,
    };
    return schedule === undefined ? event : { ...event, schedule: { cron: schedule.cron, scheduledTime: schedule.at } };
  }

  /** @param {unknown} value */
  returned(value) {
    if (this.closed) return;
    if (this.rollback?.replays) {
      this.rollback.ready();
      return;
    }
    try {
      const done = `{"done":{"run":${this.number},"value":${wireJson(toWire(value))}}}`;
      this.course.checkUnmade();
      this.session.send(done);
      this.end();
    } catch (error) {
      const tooLarge = error instanceof TooLargeError;
      this.threw(tooLarge ? namedError('WorkflowInternalError', 'Workflow output is too large. Maximum allowed size is 1MiB.') : error);
    }
  }

  /** @param {unknown} error */
  threw(error) {
    if (this.dead) return;
    if (!this.closed && !this.isReplayed) this.course.checkUnmade();
    if (this.rollback?.threw(error)) return;
    this.session.send(`{"threw":{"run":${this.number},"error":${JSONStringify(this.uncaught(toThrown(error)))}}}`);
    this.end();
  }

  /**
   * @param {Thrown} thrown
   * @returns {Thrown}
   */
  uncaught(thrown) {
    if (thrown.kind !== 'non_retryable') return thrown;
    if (this.settings.preserve_non_retryable) return preserved(thrown);
    const message =
      'The execution of the Workflow instance was terminated, as a step threw an NonRetryableError and it was not handled';
    return { ...thrown, name: 'WorkflowFatalError', message };
  }

  /**
   * @param {Thrown} thrown
   * @returns {Thrown}
   */
  ofAttempt(thrown) {
    const isOwn = thrown.kind === 'non_retryable' && thrown.name !== 'NonRetryableDelayError';
    return isOwn && !this.settings.preserve_non_retryable ? replaced(thrown) : thrown;
  }

  /** Nothing of this run is told any more, and its calls never settle. */
  end() {
    this.dead = true;
    this.closed = true;
    this.session.runs.delete(this.number);
    this.timers.clear();
    this.course.unblock();
    this.open.forEach((call) => call.stopStream());
    this.open = new SafeMap();
    this.history = new History();
    this.rollback = null;
  }

  /** @returns {Promise<any>} what a step gives that is called when none begins any more */
  refuse() {
    return this.rollback === null ? never() : this.rollback.refuse();
  }

  /** A user ends the instance: from now on the code runs for its rollback handlers only. */
  rollBack() {
    this.rollback ??= new Rollback(this);
    this.rollback.replay();
  }

  /** The code runs for its rollback handlers only. */
  get isReplayed() {
    return this.rollback !== null && this.rollback.replays;
  }

  /**
   * A call of user code.
   * @param {Kind} kind
   * @param {string} name
   * @param {(call: Call, recorded: import('./shim-history.js').PastCall | undefined) => void} describe completes the call, or refuses it
   * @returns {Promise<any>}
   */
  make(kind, name, describe) {
    if (this.dead) return never();
    const wellFormed = StringToWellFormed(name);
    const key = `${kind}:${wellFormed}`;
    const count = (this.counts.get(key) ?? 0) + 1;
    this.counts.set(key, count);
    const past = this.history.take(kind, wellFormed, count);
    const scope = currentScope();
    const parent = scope !== undefined && scope.run === this && scope.call !== null ? scope.call.id : undefined;
    const call = new Call(this, past === undefined ? this.nextCall : past.call, parent, kind, wellFormed, count);
    describe(call, past);
    if (call.undo !== null) (this.rollback ??= new Rollback(this)).register(call);
    if (past === undefined) this.makeNew(call);
    else this.makeAgain(call, past);
    return call.promise;
  }

  /** @param {Call} call */
  makeNew(call) {
    this.nextCall += 1;
    this.course.newest = call;
    this.open.set(call.id, call);
    if (this.isReplayed) {
      this.session.nextTurn(this);
      return;
    }
    if (!this.course.defers(call)) this.tellNew(call);
  }

  /** @param {Call} call */
  tellNew(call) {
    const { body } = call;
    call.optimistic = body !== null && !this.stopped && !this.start.careful && body.config.limit !== 0;
    this.session.sendCall(call);
    if (call.optimistic) this.startAttempt(call, 1);
  }

  /**
   * @param {Call} call
   * @param {import('./shim-history.js').PastCall} past
   */
  makeAgain(call, past) {
    const { history } = this;
    call.told = true;
    this.open.set(call.id, call);
    if (history.large.has(call.id)) this.want(call.id);
    if (history.settled.has(call.id) || this.isReplayed) {
      this.session.nextTurn(this);
      return;
    }
    const attempt = MathMax(this.asked.get(call.id) ?? 0, past.attempt ?? 0);
    this.asked.delete(call.id);
    if (attempt > 0) this.attempt(call.id, attempt);
    if (history.peek() !== undefined) this.session.nextTurn(this);
  }

  /**
   * The server wants an attempt.
   * @param {number} id
   * @param {number} attempt
   */
  attempt(id, attempt) {
    if (this.closed || this.isReplayed) return;
    const call = this.open.get(id);
    if (call === undefined) {
      this.asked.set(id, attempt);
    } else if (this.stopped) {
      this.held[this.held.length] = [call, attempt];
    } else if (attempt > call.attempt) {
      this.session.send(`{"started":{"run":${this.number},"call":${id},"attempt":${attempt}}}`);
      this.startAttempt(call, attempt);
    }
  }

  /**
   * @param {Call} call
   * @param {number} attempt
   */
  startAttempt(call, attempt) {
    call.stopStream();
    call.attempt = attempt;
    call.result = null;
    call.error = null;
    this.running += 1;
    PromiseThen(STARTED, () => {
      if (this.closed) return;
      PromiseThen(runAttempt(call, attempt), (/** @type {any} */ outcome) => this.ended(call, attempt, outcome));
    });
  }

  /**
   * @param {Call} call
   * @param {number} attempt
   * @param {{result?: import('./shim-call.js').ResultText, error?: Thrown}} outcome
   */
  ended(call, attempt, { result, error }) {
    this.running -= 1;
    if (this.dead) return;
    if (call.attempt === attempt && this.open.has(call.id)) {
      if (result !== undefined) call.result = result;
      else call.error = error ?? null;
      if (call.told || result === undefined) this.sendEnded(call, attempt, result, error);
      else this.session.wake();
    }
    this.tellQuiesced();
  }

  /**
   * @param {Call} call
   * @param {number} attempt
   * @param {import('./shim-call.js').ResultText | undefined} result
   * @param {Thrown | undefined} error
   */
  sendEnded(call, attempt, result, error) {
    let outcome = result === undefined ? `"error":${JSONStringify(error && this.ofAttempt(error))}` : `"value":${wireJson(result)}`;
    if (result?.stream !== undefined) outcome += `,"stream":${JSONStringify(result.stream)}`;
    this.session.send(`{"ended":{"run":${this.number},"call":${call.id},"attempt":${attempt},${outcome}}}`);
  }

  /** @param {number} stop */
  stop(stop) {
    this.stopped = true;
    this.quiescing = stop;
    this.tellQuiesced();
  }

  tellQuiesced() {
    const stop = this.quiescing;
    if (stop === 0 || this.running > 0) return;
    this.quiescing = 0;
    this.session.send(`{"quiesced":{"run":${this.number},"stop":${stop}}}`);
  }

  go() {
    this.stopped = false;
    this.quiescing = 0;
    const { held } = this;
    this.held = [];
    for (let i = 0; i < held.length; i += 1) this.attempt(held[i][0].id, held[i][1]);
  }

  /** @param {number} call */
  want(call) {
    this.session.send(`{"want":{"run":${this.number},"call":${call}}}`);
  }

  /**
   * A settlement that was recorded just now.
   * @param {Settlement} settlement
   */
  settle(settlement) {
    this.history.push(settlement);
    if (this.history.large.has(settlement.call) && this.open.has(settlement.call)) this.want(settlement.call);
    this.pump();
  }

  /**
   * @param {number} call
   * @param {{value: Received, stream?: import('./shim-stream.js').StreamRef, corrupt?: boolean}} answer
   */
  fill(call, answer) {
    this.history.fill(call, answer);
    this.pump();
  }

  /** Settles what comes next, where its call has been made and no other has settled in this turn. */
  pump() {
    if (this.closed) return;
    if (this.settledTurn === this.session.turn) {
      if (this.history.peek() !== undefined || this.isReplayed) this.session.nextTurn(this);
      return;
    }
    const next = this.course.next() ?? this.rollback?.nextUnsettled();
    this.course.release();
    if (next === undefined) return;
    const call = /** @type {Call} */ (this.open.get(next.call));
    this.open.delete(next.call);
    this.settledTurn = this.session.turn;
    this.course.unblock();
    call.settle(next);
    if (this.history.peek() !== undefined || this.history.loose.size > 0 || this.isReplayed) this.session.nextTurn(this);
  }

  /** @param {boolean} force */
  forget(force) {
    const isBusy = this.closed ? this.rollback?.isBusy : this.course.hasNews() || this.isReplayed;
    if (!force && (isBusy || this.timers.keepsAwake(DateNow()))) {
      this.session.send(`{"busy":{"run":${this.number}}}`);
      return;
    }
    this.end();
    this.session.sendForgotten(this.number);
  }

  /**
   * @param {string} level
   * @param {string} message JSON
   * @param {Call | null} call
   */
  log(level, message, call) {
    if (this.dead) return;
    const by = call === null ? '' : `,"call":${call.id},"step":${JSONStringify(`${call.name}-${call.count}`)}`;
    this.session.send(`{"log":{"run":${this.number}${by},"level":"${level}","message":${message}}}`);
  }

  /** @param {Call} call @returns {Entry} */
  takeEntry(call) {
    const { entries } = this;
    const entry = entries.length === 0 ? makeEntry(this) : entries[entries.length - 1];
    if (entries.length > 0) entries.length -= 1;
    entry.scope.call = call;
    return entry;
  }

  /** @param {Entry} entry */
  giveEntry(entry) {
    this.entries[this.entries.length] = entry;
  }
}

/** Attempts start in a microtask of their own: the code around `step.do` runs on first, as on Cloudflare. */
const STARTED = (async () => {})();

