// One attempt of a `step.do`: calls user code, encodes what it returns inside the attempt, and tells the outcome.

import { nativeClearTimeout, nativeSetTimeout, NativePromise, StringStartsWith } from './shim-builtins.js';
import { durationMs } from './shim-duration.js';
import { FatalResultError, namedError, toThrown } from './shim-errors.js';
import { isStream, writeStream } from './shim-stream.js';
import { INSTANCE_REFUSED, TooLargeError, toWire } from './value.js';

/**
 * @typedef {import('./shim-call.js').Call} Call
 * @typedef {import('./shim-call.js').Body} Body
 * @typedef {import('./shim-errors.js').Thrown} Thrown
 * @typedef {{step: {name: string, count: number}, attempt: number, config: import('./shim-config.js').ShownConfig}} StepContext
 */

/** A delay function must answer within this time. It is the one timer of the shim: such functions are rare. */
const DELAY_FUNCTION_MS_MAX = 5_000;

/**
 * Runs an attempt to its end. Never rejects.
 * @param {Call} call
 * @param {number} attempt
 * @returns {Promise<{result: import('./shim-call.js').ResultText} | {error: Thrown}>}
 */
export async function runAttempt(call, attempt) {
  const { run } = call;
  const body = /** @type {Body} */ (call.body);
  const context = stepContext(call, body.config, attempt);
  const entry = run.takeEntry(call);
  try {
    const value = await entry.enter(body.callback, context);
    return { result: isStream(value) ? await writeStream(call, attempt, value) : encodeResult(call, value) };
  } catch (error) {
    return { error: await failure(call, body.config, attempt, context, error, entry) };
  } finally {
    run.giveEntry(entry);
  }
}

/**
 * @param {Call} call
 * @param {import('./shim-config.js').StepConfig} config
 * @param {number} attempt
 * @returns {StepContext}
 */
export function stepContext(call, config, attempt) {
  const { shown } = config;
  return {
    step: { name: call.name, count: call.count },
    attempt,
    config: { ...shown, retries: { ...shown.retries } },
  };
}

/**
 * @param {Call} call
 * @param {unknown} value
 */
function encodeResult(call, value) {
  try {
    return toWire(value);
  } catch (error) {
    if (error instanceof TooLargeError) {
      const text = `Step ${call.name}-${call.count} output is too large. Maximum allowed size is 1MiB.`;
      throw namedError('WorkflowInternalError', text);
    }
    if (isFunctionRefused(error)) {
      const ends = `The execution of the Workflow instance was terminated, as the step "${call.name}" returned a value which is not serialisable`;
      throw new FatalResultError(`Value returned from step "${call.name}" is not serialisable`, ends);
    }
    throw error;
  }
}

/**
 * Whether a value cannot be stored because of a function in it. Cloudflare carries functions as far as its store, which ends the
 * instance; whatever else cannot be cloned fails on the way, as an error of the attempt. V8's text begins with the function's source;
 * those of other values are these.
 * @param {any} error
 */
function isFunctionRefused(error) {
  if (error?.name !== 'DataCloneError') return false;
  const { message } = error;
  return message !== 'Symbol(s) could not be cloned.' && !StringStartsWith(message, '#<') && !StringStartsWith(message, INSTANCE_REFUSED);
}

/**
 * How a failed attempt is told, with the delay that the user's function gives.
 * @param {Call} call
 * @param {import('./shim-config.js').StepConfig} config
 * @param {number} attempt
 * @param {StepContext} context
 * @param {unknown} error
 * @param {import('./shim-scope.js').Entry} entry
 * @returns {Promise<Thrown>}
 */
export async function failure(call, config, attempt, context, error, entry) {
  const thrown = toThrown(error);
  const { delay, limit } = config;
  if (delay === undefined || thrown.kind !== undefined || attempt > limit) return thrown;
  const label = `The delay function for step "${call.name}-${call.count}"`;
  try {
    const answer = await withinDelayTime(entry.enter(delay, { ctx: context, error }), label);
    thrown.delay_ms = delayMs(answer, label);
    return thrown;
  } catch (cause) {
    const { name, message } = toThrown(cause);
    const text = name === 'NonRetryableDelayError' ? message : `${label} threw an error: ${message}`;
    return { name: 'NonRetryableDelayError', message: text, kind: 'non_retryable' };
  }
}

/**
 * @param {unknown} answer
 * @param {string} label
 */
function delayMs(answer, label) {
  const ms = durationMs(answer);
  if (ms >= 0 && ms < Infinity) return ms;
  throw namedError(
    'NonRetryableDelayError',
    `${label} returned an invalid delay value (expected a number of ms or a duration string like "30 seconds")`,
  );
}

/**
 * @param {unknown} answer
 * @param {string} label
 */
async function withinDelayTime(answer, label) {
  if (typeof answer !== 'object' || answer === null || !('then' in answer)) return answer;
  /** @type {any} */
  let timer;
  const late = new NativePromise((_, reject) => {
    const error = namedError('NonRetryableDelayError', `${label} did not return within 5 seconds`);
    timer = nativeSetTimeout(() => reject(error), DELAY_FUNCTION_MS_MAX);
  });
  try {
    return await first(answer, late);
  } finally {
    nativeClearTimeout(timer);
  }
}

/**
 * @param {unknown} one
 * @param {unknown} other
 */
function first(one, other) {
  return new NativePromise((resolve, reject) => {
    const settle = async (/** @type {unknown} */ promise) => {
      try {
        resolve(await promise);
      } catch (error) {
        reject(error);
      }
    };
    settle(one);
    settle(other);
  });
}
