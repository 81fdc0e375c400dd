// What a step may be called with: names, configurations, rollback options, event options. Everything is checked before anything starts,
// with Cloudflare's texts; the server checks the same again.

import { ArrayIsArray, NativeRegExp, NumberIsNaN, ReflectOwnKeys, RegExpExec } from './shim-builtins.js';
import { DURATION_MS_MAX, durationMs } from './shim-duration.js';
import { namedError, workflowFatalError } from './shim-errors.js';

/**
 * @typedef {{limit: number, delay_ms: number, backoff: string, timeout_ms: number}} Defaults
 * @typedef {{limit?: number, delay_ms?: number, dynamic?: boolean, backoff?: string, timeout_ms?: number, sensitive?: boolean}} WireConfig
 * @typedef {{retries: {limit: number, delay?: unknown, backoff: string}, timeout: unknown, sensitive?: string}} ShownConfig
 * @typedef {{wire: WireConfig | undefined, limit: number, delay: Function | undefined, shown: ShownConfig}} StepConfig
 */

/** Longest step name in UTF-16 units. */
const NAME_LENGTH_MAX = 256;
/** Longest event type. */
const EVENT_TYPE_LENGTH_MAX = 100;
/** Shortest event wait. */
const EVENT_WAIT_MS_MIN = 1_000;
const EVENT_WAIT_MS_DEFAULT = 86_400_000;
/** How `Infinity` travels. */
const INFINITE = 1e308;

const CONTROL = new NativeRegExp('[\\u0000-\\u001f]');
const EVENT_TYPE = new NativeRegExp('^[a-zA-Z0-9_][a-zA-Z0-9-_]*$');

const DURATION_HELP =
  "Duration must be a number or a string in format '{{number}} {{unit}}' where unit is second(s), minute(s), etc.";

/**
 * @param {unknown} name
 * @returns {asserts name is string}
 */
export function checkName(name) {
  if (typeof name !== 'string' || name.length > NAME_LENGTH_MAX || RegExpExec(CONTROL, name) !== null) {
    throw workflowFatalError(`Step name "${show(name)}" exceeds max length (256 chars) or invalid characters found`);
  }
}

/**
 * The configuration of a step, merged over the defaults.
 * @param {string} name
 * @param {unknown} config
 * @param {Defaults} defaults
 * @returns {StepConfig}
 */
export function parseConfig(name, config, defaults) {
  return parseConfigOf('Step', name, config, defaults);
}

/**
 * @param {'Step' | 'Rollback'} whose
 * @param {string} name
 * @param {unknown} config
 * @param {Defaults} defaults
 * @returns {StepConfig}
 */
function parseConfigOf(whose, name, config, defaults) {
  if (config === undefined || config === null) return defaultConfig(defaults);
  const fields = fieldsOf(config, ['retries', 'timeout', 'sensitive']);
  if (fields === undefined) throw invalidConfig(whose, name);
  const retries = parseRetries(fields.retries);
  const timeout_ms = fields.timeout === undefined ? undefined : durationMs(fields.timeout);
  const valid =
    retries !== undefined &&
    (timeout_ms === undefined || timeout_ms > 0) &&
    (fields.sensitive === undefined || fields.sensitive === 'output');
  if (!valid) throw invalidConfig(whose, name);
  return merged(fields, retries, timeout_ms, defaults);
}

/**
 * The rollback handler of a step with the configuration of its attempts.
 * @param {string} name
 * @param {unknown} options
 * @param {Defaults} defaults
 * @returns {{handler: Function, config: StepConfig} | undefined}
 */
export function parseRollback(name, options, defaults) {
  if (options === undefined) return undefined;
  if (typeof options !== 'object' || options === null || ArrayIsArray(options)) {
    throw workflowFatalError(`Rollback options for "${name}" must be an object`);
  }
  const { rollback, rollbackConfig } = /** @type {Record<string, unknown>} */ (options);
  if (typeof rollback !== 'function') throw workflowFatalError(`Rollback for "${name}" must be a function`);
  return { handler: rollback, config: parseConfigOf('Rollback', name, rollbackConfig, defaults) };
}

/**
 * Milliseconds of a `step.sleep`.
 * @param {string} name
 * @param {unknown} duration
 */
export function parseSleep(name, duration) {
  const ms = durationMs(duration);
  if (NumberIsNaN(ms)) throw workflowFatalError(`Sleep "${name}": ${DURATION_HELP}`);
  if (ms > DURATION_MS_MAX) throw workflowFatalError(`Sleep "${name}" exceeds the maximum of 365 days`);
  return ms > 0 ? ms : 0;
}

/**
 * Epoch milliseconds of a `step.sleepUntil`.
 * @param {string} name
 * @param {unknown} at `Date` or epoch milliseconds
 */
export function parseSleepUntil(name, at) {
  const ms = typeof at === 'number' ? at : +(/** @type {any} */ (at));
  if (NumberIsNaN(ms)) throw workflowFatalError(`Sleep "${name}": the time must be a Date or a number of milliseconds`);
  return ms;
}

/**
 * A `sleepUntil` that is not recorded may not end before it begins.
 * @param {string} name
 * @param {number} at epoch milliseconds
 * @param {number} now epoch milliseconds
 */
export function checkFuture(name, at, now) {
  if (at < now) throw namedError('Error', "You can't sleep until a time in the past, time-traveler");
  if (at - now > DURATION_MS_MAX) throw workflowFatalError(`Sleep "${name}" exceeds the maximum of 365 days`);
}

/**
 * Options of `step.waitForEvent`.
 * @param {string} name
 * @param {unknown} options
 * @returns {{event: string, timeout_ms: number}}
 */
export function parseWait(name, options) {
  const { type, timeout } = /** @type {{type?: unknown, timeout?: unknown}} */ (options ?? {});
  if (typeof type !== 'string' || type.length > EVENT_TYPE_LENGTH_MAX || RegExpExec(EVENT_TYPE, type) === null) {
    throw workflowFatalError(`Event type "${show(type)}" exceeds max length (100 chars) or invalid characters found`);
  }
  const timeout_ms = timeout === undefined ? EVENT_WAIT_MS_DEFAULT : durationMs(timeout);
  if (!(timeout_ms >= EVENT_WAIT_MS_MIN && timeout_ms <= DURATION_MS_MAX)) {
    throw workflowFatalError(`Timeout of event wait "${name}" must be between 1 second and 365 days. ${DURATION_HELP}`);
  }
  return { event: type, timeout_ms };
}

/**
 * @param {Defaults} defaults
 * @returns {StepConfig}
 */
function defaultConfig(defaults) {
  return { wire: undefined, limit: defaults.limit, delay: undefined, shown: shownDefaults(defaults) };
}

/**
 * @param {Defaults} defaults
 * @returns {ShownConfig}
 */
function shownDefaults(defaults) {
  return {
    retries: { limit: defaults.limit, delay: defaults.delay_ms, backoff: defaults.backoff },
    timeout: defaults.timeout_ms === 600_000 ? '10 minutes' : defaults.timeout_ms,
  };
}

/**
 * @typedef {{given: boolean, limit: number, delay: unknown, delay_ms: number, backoff: string | undefined}} Retries
 */

/**
 * @param {unknown} retries
 * @returns {Retries | undefined} undefined where invalid
 */
function parseRetries(retries) {
  if (retries === undefined) return { given: false, limit: 0, delay: undefined, delay_ms: 0, backoff: undefined };
  const fields = fieldsOf(retries, ['limit', 'delay', 'backoff']);
  if (fields === undefined) return undefined;
  const { limit, delay, backoff } = fields;
  const delay_ms = typeof delay === 'function' ? 0 : durationMs(delay);
  const known = backoff === undefined || backoff === 'constant' || backoff === 'linear' || backoff === 'exponential';
  if (typeof limit !== 'number' || !(limit >= 0) || !(delay_ms >= 0) || !known) return undefined;
  return { given: true, limit, delay, delay_ms, backoff: /** @type {string | undefined} */ (backoff) };
}

/**
 * @param {Record<string, unknown>} fields
 * @param {Retries} retries
 * @param {number | undefined} timeout_ms
 * @param {Defaults} defaults
 * @returns {StepConfig}
 */
function merged(fields, retries, timeout_ms, defaults) {
  const dynamic = typeof retries.delay === 'function';
  /** @type {WireConfig} */
  const wire = {};
  const shown = shownDefaults(defaults);
  if (retries.given) {
    wire.limit = finite(retries.limit);
    shown.retries.limit = retries.limit;
    if (dynamic) {
      wire.dynamic = true;
      delete shown.retries.delay;
    } else {
      wire.delay_ms = finite(retries.delay_ms);
      shown.retries.delay = retries.delay;
    }
    if (retries.backoff !== undefined) shown.retries.backoff = wire.backoff = retries.backoff;
  }
  if (timeout_ms !== undefined) {
    wire.timeout_ms = finite(timeout_ms);
    shown.timeout = fields.timeout;
  }
  if (fields.sensitive !== undefined) {
    wire.sensitive = true;
    shown.sensitive = 'output';
  }
  return { wire, limit: shown.retries.limit, delay: dynamic ? /** @type {Function} */ (retries.delay) : undefined, shown };
}

/** @param {number} value */
function finite(value) {
  return value > INFINITE ? INFINITE : value;
}

/**
 * The members of a plain object that has no others than these.
 * @param {unknown} value
 * @param {string[]} known
 * @returns {Record<string, unknown> | undefined}
 */
function fieldsOf(value, known) {
  if (typeof value !== 'object' || value === null || ArrayIsArray(value)) return undefined;
  const keys = ReflectOwnKeys(value);
  for (let i = 0; i < keys.length; i += 1) {
    if (!isOneOf(keys[i], known)) return undefined;
  }
  /** @type {Record<string, unknown>} */
  const fields = {};
  for (let i = 0; i < known.length; i += 1) fields[known[i]] = /** @type {any} */ (value)[known[i]];
  return fields;
}

/**
 * @param {string | symbol} key
 * @param {string[]} known
 */
function isOneOf(key, known) {
  for (let i = 0; i < known.length; i += 1) {
    if (known[i] === key) return true;
  }
  return false;
}

/**
 * @param {'Step' | 'Rollback'} whose
 * @param {string} name
 */
function invalidConfig(whose, name) {
  return workflowFatalError(
    `${whose} config for "${name}" is in a invalid format. See https://developers.cloudflare.com/workflows/build/sleeping-and-retrying/`,
  );
}

/** @param {unknown} value */
function show(value) {
  return typeof value === 'symbol' ? 'a symbol' : `${value}`;
}
