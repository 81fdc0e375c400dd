// The `ctx` of a run. The native one belongs to the session: its `abort` would end all runs, its `exports` would show the session.

import { complain, NativeError, ObjectDefineProperty, ObjectKeys, ObjectFreeze, ReflectApply } from './shim-builtins.js';
import { namedError } from './shim-errors.js';
import { currentScope } from './shim-scope.js';

/**
 * @param {import('./shim-run.js').Run} run
 */
export function makeContext(run) {
  const { ctx, userModule } = run.session;
  return {
    waitUntil: (/** @type {unknown} */ promise) => ctx.waitUntil(settled(promise)),
    passThroughOnException: () => {},
    abort: (/** @type {unknown} */ reason) => abort(run, reason),
    props: ctx.props,
    exports: exportsOf(ctx, userModule),
  };
}

/**
 * The native context as a constructor of user code may see it.
 * @param {any} ctx
 */
export function guardContext(ctx) {
  const native = ctx.abort;
  const value = (/** @type {unknown} */ reason) => {
    const run = currentScope()?.run;
    if (run === undefined) ReflectApply(native, ctx, [reason]);
    else abort(run, reason);
  };
  ObjectDefineProperty(ctx, 'abort', { value, configurable: true });
}

/** `process.exit` of a run would end the session. */
export function guardProcess() {
  const process = /** @type {any} */ (globalThis).process;
  if (typeof process !== 'object' || typeof process.exit !== 'function') return;
  const native = process.exit.bind(process);
  process.exit = (/** @type {unknown} */ code) => {
    if (currentScope() === undefined) return native(code);
    throw namedError('Error', 'process.exit() is not available in a Workflow');
  };
}

/**
 * @param {import('./shim-run.js').Run} run
 * @param {unknown} reason
 * @returns {never}
 */
function abort(run, reason) {
  const error = reason instanceof NativeError ? reason : namedError('Error', reason === undefined ? 'The run was aborted by ctx.abort()' : `${reason}`);
  run.threw(error);
  throw error;
}

/** @param {unknown} promise */
async function settled(promise) {
  try {
    await promise;
  } catch (error) {
    complain('waitUntil:', error);
  }
}

/**
 * @param {any} ctx
 * @param {Record<string, unknown>} userModule
 */
function exportsOf(ctx, userModule) {
  if (typeof ctx.exports !== 'object' || ctx.exports === null) return undefined;
  /** @type {Record<string, unknown>} */
  const own = {};
  const names = ObjectKeys(userModule);
  for (let i = 0; i < names.length; i += 1) {
    if (names[i] in ctx.exports) own[names[i]] = ctx.exports[names[i]];
  }
  return ObjectFreeze(own);
}
