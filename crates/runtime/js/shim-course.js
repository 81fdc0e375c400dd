// The recorded course of a run: which settlement comes next, and what follows where the code does not make the call that
// it belongs to.

import { JSONStringify, MathMin, nativeClearTimeout, nativeSetTimeout } from './shim-builtins.js';

/**
 * @typedef {import('./shim-call.js').Call} Call
 * @typedef {import('./shim-call.js').Settlement} Settlement
 * @typedef {import('./shim-run.js').Run} Run
 */

/** Turns after which the settlement of a nested call that was not made again stops holding up others. */
const NESTED_TURNS_MAX = 3;
/** A run that makes none of the recorded calls for so long, with nothing of its own running, no longer fits its history. */
const DIVERGED_MS = 30_000;
/** How much longer than the code took on its way to a call the first time it may take now. */
const SLOWER_TIMES = 2;
/** Nobody waits longer than this: time in which no server ran is counted to that way as well. */
const WAY_MS_MAX = 20 * 60_000;

export class Course {
  /** @param {Run} run */
  constructor(run) {
    this.run = run;
    /** The code no longer makes a recorded call: what is recorded behind it never settles. */
    this.diverged = false;
    /** The code made a new call before a recorded one. */
    this.ahead = false;
    /** @type {Call[]} new calls, while recorded ones that come first have not been made */
    this.deferred = [];
    this.blockedTurns = 0;
    /** @type {any} */
    this.blockedTimer = undefined;
    /** @type {Call | null} */
    this.newest = null;
  }

  /**
   * Takes the settlement that may happen now.
   * @returns {Settlement | undefined}
   */
  next() {
    const { history } = this.run;
    const loose = this.takeLoose();
    if (loose !== undefined) return loose;
    for (let next = history.peek(); next !== undefined; next = history.peek()) {
      if (history.large.has(next.call) && this.run.open.has(next.call)) return undefined;
      if (this.run.open.has(next.call)) {
        history.shift();
        return next;
      }
      if (history.isExpected(next.call)) {
        if (!history.isBelowSettled(next.call) && !this.isGivenUp(next.call)) return undefined;
        history.loose.set(next.call, next);
      }
      history.shift();
    }
    return undefined;
  }

  /**
   * A new call is told to nobody, and nothing of it runs, before the recorded calls have been made that come first: so code that
   * has changed is found out before it has done anything.
   * @param {Call} call
   */
  defers(call) {
    const { history, number, session } = this.run;
    if (this.deferred.length === 0 && !history.isOvertaken()) return false;
    if (!this.ahead) {
      this.ahead = true;
      session.send(`{"ahead":{"run":${number}}}`);
    }
    this.deferred[this.deferred.length] = call;
    return true;
  }

  /** What comes first has been made, or is given up. */
  release() {
    const { deferred, run } = this;
    if (deferred.length === 0 || run.closed || run.history.isOvertaken()) return;
    this.deferred = [];
    for (let i = 0; i < deferred.length; i += 1) run.tellNew(deferred[i]);
  }

  /** @returns {Settlement | undefined} one that held up nobody and whose call was made after all */
  takeLoose() {
    const { loose, large } = this.run.history;
    if (loose.size === 0) return undefined;
    /** @type {Settlement | undefined} */
    let found;
    loose.forEach((settlement, call) => {
      if (found === undefined && this.run.open.has(call) && !large.has(call)) found = settlement;
    });
    if (found !== undefined) loose.delete(found.call);
    return found;
  }

  /**
   * The next settlement's call has not been made: waits some turns for a nested one, long for others.
   * @param {number} call
   * @returns {boolean} whether to wait no longer
   */
  isGivenUp(call) {
    const parent = this.run.history.byNumber.get(call)?.parent;
    if (parent !== undefined && this.run.open.has(parent)) {
      this.blockedTurns += 1;
      if (this.blockedTurns > NESTED_TURNS_MAX) return true;
      this.run.session.nextTurn(this.run);
      return false;
    }
    this.blockedTimer ??= nativeSetTimeout(() => this.checkDiverged(call), this.patienceMs(call));
    return false;
  }

  /**
   * How long a recorded call may be missing: on its way to it the code may await requests of its own, as it did the first time.
   * @param {number} call
   */
  patienceMs(call) {
    const { history, settings } = this.run;
    return (settings.diverged_ms ?? DIVERGED_MS) + MathMin(SLOWER_TIMES * history.wayMs(call), WAY_MS_MAX);
  }

  unblock() {
    this.blockedTurns = 0;
    if (this.blockedTimer === undefined) return;
    nativeClearTimeout(this.blockedTimer);
    this.blockedTimer = undefined;
  }

  /** @param {number} expected call that has held up the run since the timer was set */
  checkDiverged(expected) {
    this.blockedTimer = undefined;
    if (this.run.closed || this.run.open.has(expected)) return;
    if (this.run.running > 0 || this.run.timers.size > 0) {
      this.isGivenUp(expected);
      return;
    }
    if (this.run.isReplayed) {
      this.run.rollback?.ready();
      return;
    }
    const { newest } = this;
    const came = newest === null ? 'made no new call' : `made ${newest.kind} "${newest.name}" (use ${newest.count})`;
    this.tellDiverged(expected, `it ${came} and waits: deploy code that makes it again, or restart the instance`, true);
  }

  /** The code ends without having made a recorded call: what was recorded of it was of no use. */
  checkUnmade() {
    const unmade = this.diverged || this.run.timers.size > 0 ? undefined : this.run.history.firstUnmade();
    if (unmade !== undefined) this.tellDiverged(unmade, 'it ended without it', false);
  }

  /**
   * @param {number} expected call that the code no longer makes
   * @param {string} instead
   * @param {boolean} stuck the code does not go on
   */
  tellDiverged(expected, instead, stuck) {
    this.diverged = true;
    const past = this.run.history.byNumber.get(expected);
    const recorded = past === undefined ? `call ${expected}` : `${past.kind} "${past.name}" (use ${past.count})`;
    const message = `the code no longer makes the recorded ${recorded}; ${instead}`;
    this.run.session.send(`{"diverged":{"run":${this.run.number},"message":${JSONStringify(message)},"stuck":${stuck}}}`);
  }

  /** @returns {boolean} whether something that the server has settled has not reached user code yet */
  hasNews() {
    if (!this.diverged && this.run.history.peek() !== undefined) return true;
    let found = false;
    this.run.history.loose.forEach((_, call) => {
      if (this.run.open.has(call)) found = true;
    });
    return found;
  }
}
