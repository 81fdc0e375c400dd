// The rollback of a run: the handlers that its steps registered, run one at a time as the server asks. A run that throws or that a user
// ends keeps what it has; where there is no run any more, another one replays the code for its handlers and begins nothing.

import { JSONStringify, nativeSetTimeout, never, PromiseThen, SafeMap } from './shim-builtins.js';
import { failure, stepContext } from './shim-attempt.js';
import { namedError, rejected, toThrown, workflowFatalError } from './shim-errors.js';
import { currentScope } from './shim-scope.js';

/**
 * @typedef {import('./shim-call.js').Call} Call
 * @typedef {import('./shim-call.js').Settlement} Settlement
 * @typedef {import('./shim-errors.js').Thrown} Thrown
 * @typedef {import('./shim-run.js').Run} Run
 * @typedef {{handler: Function, config: import('./shim-config.js').StepConfig, attempts: number, settlement: Settlement | undefined}} Undo
 */

/** @type {Thrown} */
const MISSING = { name: 'RollbackMissing', message: 'Rollback function not available in registry', kind: 'non_retryable' };

export class Rollback {
  /** @param {Run} run */
  constructor(run) {
    this.run = run;
    /** @type {Map<number, Call>} calls with a handler */
    this.handlers = new SafeMap();
    /** The code is replayed for its handlers: nothing that it does is told. */
    this.replays = run.start.rolls_back === true;
    this.replayed = this.replays;
    /** Handlers that are running. */
    this.running = 0;
    /** The server will ask for a handler in any case. */
    this.expectsUndo = false;
  }

  /** @param {Call} call */
  register(call) {
    this.handlers.set(call.id, call);
  }

  /**
   * `run()` threw.
   * @param {unknown} error
   * @returns {boolean} whether that is all that it means
   */
  threw(error) {
    if (this.replays) this.ready();
    else if (!this.run.closed && this.handlers.size > 0) this.begin(toThrown(error));
    return this.run.closed;
  }

  /** @param {Thrown} thrown */
  begin(thrown) {
    const { run } = this;
    this.close();
    this.expectsUndo = true;
    const [error, cause] = [JSONStringify(run.uncaught(thrown)), JSONStringify(thrown)];
    run.session.send(`{"threw":{"run":${run.number},"error":${error},"undoing":${cause}}}`);
  }

  /** Goes on with what is recorded, and with nothing else. */
  replay() {
    if (this.run.closed) {
      this.ready();
      return;
    }
    this.replays = true;
    this.replayed = true;
    this.run.session.nextTurn(this.run);
  }

  /** The replay has come as far as it can. */
  ready() {
    this.replays = false;
    this.close();
    this.run.session.send(`{"undo_ready":{"run":${this.run.number}}}`);
  }

  close() {
    this.run.closed = true;
    this.run.course.unblock();
  }

  /** @returns {Promise<any>} what a step gives that is called once handlers run */
  refuse() {
    // Code that did not end by itself must not notice that handlers run now.
    if (this.replayed && currentScope()?.undoing !== true) return never();
    return rejected(workflowFatalError('Cannot execute steps during rollback phase'));
  }

  /**
   * What settles in a replay when nothing recorded is left: calls that were open, with nothing, as far as handlers are still missing.
   * @returns {Settlement | undefined}
   */
  nextUnsettled() {
    const { history, open } = this.run;
    if (!this.replays || history.peek() !== undefined) return undefined;
    if (history.handlersUnmade === 0) {
      this.ready();
      return undefined;
    }
    /** @type {number | undefined} */
    let first;
    open.forEach((_, call) => {
      first ??= call;
    });
    if (first !== undefined) return { call: first };
    this.waitForCall();
    return undefined;
  }

  waitForCall() {
    const { run } = this;
    run.course.blockedTimer ??= nativeSetTimeout(() => {
      run.course.blockedTimer = undefined;
      if (run.closed || !this.replays) return;
      if (run.timers.size > 0) this.waitForCall();
      else this.ready();
    }, run.course.patienceMs(Infinity));
  }

  /** Whether the run must not be forgotten gently. */
  get isBusy() {
    return this.replays || this.expectsUndo || this.running > 0;
  }

  /** @param {{call: number, attempt: number, error: import('./shim-call.js').RecordedError}} message */
  undo({ call: id, attempt, error }) {
    this.expectsUndo = false;
    const call = this.handlers.get(id);
    if (call === undefined) {
      this.tell(id, attempt, MISSING);
      return;
    }
    this.running += 1;
    PromiseThen(runHandler(call, attempt, error), (/** @type {Thrown | undefined} */ thrown) => {
      this.running -= 1;
      if (!this.run.dead) this.tell(id, attempt, thrown);
    });
  }

  /**
   * @param {number} call
   * @param {number} attempt
   * @param {Thrown | undefined} error
   */
  tell(call, attempt, error) {
    const failed = error === undefined ? '' : `,"error":${JSONStringify(error)}`;
    this.run.session.send(`{"undone":{"run":${this.run.number},"call":${call},"attempt":${attempt}${failed}}}`);
  }
}

/**
 * Runs an attempt of a handler to its end. Never rejects.
 * @param {Call} call
 * @param {number} attempt
 * @param {import('./shim-call.js').RecordedError} cause
 * @returns {Promise<Thrown | undefined>}
 */
async function runHandler(call, attempt, cause) {
  const { run } = call;
  const undo = /** @type {Undo} */ (call.undo);
  const entry = run.takeEntry(call);
  entry.scope.undoing = true;
  try {
    const body = /** @type {import('./shim-call.js').Body} */ (call.body);
    const tries = call.attempt > undo.attempts ? call.attempt : undo.attempts;
    await entry.enter(undo.handler, {
      ctx: stepContext(call, body.config, tries > 0 ? tries : 1),
      error: namedError(cause.name, cause.message, cause.stack),
      output: call.outputForHandler(),
      stepName: `${call.name}-${call.count}`,
    });
    return undefined;
  } catch (error) {
    return await failure(call, undo.config, attempt, stepContext(call, undo.config, attempt), error, entry);
  } finally {
    entry.scope.undoing = false;
    run.giveEntry(entry);
  }
}
