// Which run and step the code that is running belongs to. A scope is an AsyncLocalStorage store; entering a snapshot of one costs a
// tenth of making one, so a run keeps its scopes and gives them to one attempt after the other.

import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * @typedef {import('./shim-run.js').Run} Run
 * @typedef {import('./shim-call.js').Call} Call
 * @typedef {{run: Run, call: Call | null, undoing?: boolean}} Scope
 * @typedef {{scope: Scope, enter: (callback: Function, ...args: unknown[]) => any}} Entry
 */

/** @type {AsyncLocalStorage<Scope>} */
const storage = new AsyncLocalStorage();
const runInStore = storage.run.bind(storage);
const getStore = storage.getStore.bind(storage);
const snapshot = AsyncLocalStorage.snapshot;
/** Enters the context of this module's import, so that no store of user code gets into a scope. */
const inRoot = snapshot();

/** @returns {Scope | undefined} the scope of the running code, undefined outside of runs */
export function currentScope() {
  return getStore();
}

/**
 * Calls `callback` in a scope that is used once.
 * @template T
 * @param {Scope} scope
 * @param {() => T} callback
 * @returns {T}
 */
export function inScope(scope, callback) {
  return runInStore(scope, callback);
}

/**
 * A scope to be entered many times.
 * @param {Run} run
 * @returns {Entry}
 */
export function makeEntry(run) {
  /** @type {Scope} */
  const scope = { run, call: null, undoing: false };
  return { scope, enter: inRoot(() => runInStore(scope, () => snapshot())) };
}
