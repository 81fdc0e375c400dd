// Timers of user code, counted and cleared per run: a forgotten run's timer must not fire, and workerd allows a session 10,000 of them
// for all runs together. `node:timers` and `AbortSignal.timeout` are not reached.

import {
  DateNow, deferred, nativeClearInterval, nativeClearTimeout, nativeSetInterval, nativeSetTimeout, never, ObjectDefineProperty, SafeMap,
} from './shim-builtins.js';
import { namedError } from './shim-errors.js';
import { currentScope } from './shim-scope.js';

/** Timers that one run may have pending. */
const USER_TIMERS_MAX = 1_000;
/** A timer due later than this does not keep a waiting run in memory. */
const KEEP_AWAKE_MS = 60_000;

export class UserTimers {
  constructor() {
    /** @type {Map<unknown, number>} native handle → epoch milliseconds, 0 for an interval */
    this.pending = new SafeMap();
  }

  get size() {
    return this.pending.size;
  }

  /**
   * Whether a timer is near enough to wait for.
   * @param {number} now epoch milliseconds
   */
  keepsAwake(now) {
    let near = false;
    this.pending.forEach((due) => {
      if (due <= now + KEEP_AWAKE_MS) near = true;
    });
    return near;
  }

  clear() {
    this.pending.forEach((_, handle) => nativeClearTimeout(/** @type {any} */ (handle)));
    this.pending.clear();
  }
}

/**
 * @param {Function} callback
 * @param {number} [ms]
 * @param {unknown[]} args
 */
function wrappedSetTimeout(callback, ms, ...args) {
  const run = currentScope()?.run;
  if (run === undefined || typeof callback !== 'function') return nativeSetTimeout(/** @type {any} */ (callback), ms, ...args);
  admit(run);
  const { pending } = run.timers;
  const handle = nativeSetTimeout(() => {
    pending.delete(handle);
    if (!run.dead) callback(...args);
  }, ms);
  if (run.dead) nativeClearTimeout(handle);
  else pending.set(handle, DateNow() + (ms !== undefined && ms > 0 ? +ms : 0));
  return handle;
}

/**
 * @param {Function} callback
 * @param {number} [ms]
 * @param {unknown[]} args
 */
function wrappedSetInterval(callback, ms, ...args) {
  const run = currentScope()?.run;
  if (run === undefined || typeof callback !== 'function') return nativeSetInterval(/** @type {any} */ (callback), ms, ...args);
  admit(run);
  const handle = nativeSetInterval(() => {
    if (!run.dead) callback(...args);
  }, ms);
  if (run.dead) nativeClearInterval(handle);
  else run.timers.pending.set(handle, 0);
  return handle;
}

/** @param {any} handle */
function wrappedClear(handle) {
  currentScope()?.run.timers.pending.delete(handle);
  nativeClearTimeout(handle);
}

/**
 * @param {number} ms
 * @param {{signal?: AbortSignal}} [options]
 */
function wrappedWait(ms, options) {
  const run = currentScope()?.run;
  if (run === undefined) return nativeWait(ms, options);
  if (run.dead) return never();
  const { promise, resolve, reject } = deferred();
  const handle = wrappedSetTimeout(() => resolve(undefined), ms);
  const signal = options?.signal;
  if (signal === undefined) return promise;
  const abort = () => {
    wrappedClear(handle);
    reject(signal.reason);
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return promise;
}

/** @param {import('./shim-run.js').Run} run */
function admit(run) {
  if (run.timers.size < USER_TIMERS_MAX) return;
  throw namedError('Error', `A Workflow run may have ${USER_TIMERS_MAX} timers pending; clear some, or use step.sleep`);
}

const nativeScheduler = /** @type {any} */ (globalThis).scheduler;
const nativeWait = nativeScheduler?.wait.bind(nativeScheduler);

/** Puts the wrapped timers into the global object. */
export function installTimers() {
  /** @type {[string, Function][]} */
  const wrapped = [
    ['setTimeout', wrappedSetTimeout], ['setInterval', wrappedSetInterval], ['clearTimeout', wrappedClear], ['clearInterval', wrappedClear],
  ];
  for (const [name, value] of wrapped) ObjectDefineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
  if (nativeScheduler) ObjectDefineProperty(nativeScheduler, 'wait', { value: wrappedWait, writable: true, configurable: true });
}
