// The `step` object that user code gets. Everything is checked before anything starts; what is wrong rejects the promise.

import { DateNow, JSONStringify, ObjectFreeze } from './shim-builtins.js';
import { checkFuture, checkName, parseConfig, parseRollback, parseSleep, parseSleepUntil, parseWait } from './shim-config.js';
import { rejected, workflowFatalError } from './shim-errors.js';

/**
 * @typedef {import('./shim-run.js').Run} Run
 */

/**
 * @param {Run} run
 */
export function makeStep(run) {
  return ObjectFreeze({
    /**
     * @param {string} name
     * @param {unknown[]} rest `[config], callback, [rollback options]`
     */
    do: (name, ...rest) => guarded(run, () => makeDo(run, name, rest)),
    /**
     * @param {string} name
     * @param {unknown} duration
     */
    sleep: (name, duration) =>
      guarded(run, () => {
        checkName(name);
        const ms = parseSleep(name, duration);
        return run.make('sleep', name, (call) => {
          call.detail = `{"ms":${ms}}`;
        });
      }),
    /**
     * @param {string} name
     * @param {unknown} at
     */
    sleepUntil: (name, at) =>
      guarded(run, () => {
        checkName(name);
        const ms = parseSleepUntil(name, at);
        return run.make('sleep_until', name, (call, recorded) => {
          if (recorded === undefined) checkFuture(name, ms, DateNow());
          call.detail = `{"at":${ms}}`;
        });
      }),
    /**
     * @param {string} name
     * @param {unknown} options
     */
    waitForEvent: (name, options) =>
      guarded(run, () => {
        checkName(name);
        const { event, timeout_ms } = parseWait(name, options);
        return run.make('wait', name, (call) => {
          call.detail = `{"event":${JSONStringify(event)},"timeout_ms":${timeout_ms}}`;
        });
      }),
  });
}

/**
 * @param {Run} run
 * @param {() => Promise<any>} call
 * @returns {Promise<any>}
 */
function guarded(run, call) {
  if (run.closed) return run.refuse();
  try {
    return call();
  } catch (error) {
    return rejected(error);
  }
}

/**
 * @param {Run} run
 * @param {string} name
 * @param {unknown[]} rest
 */
function makeDo(run, name, rest) {
  checkName(name);
  const configured = typeof rest[0] !== 'function';
  const callback = configured ? rest[1] : rest[0];
  const config = parseConfig(name, configured ? rest[0] : undefined, run.settings.defaults);
  if (typeof callback !== 'function') throw workflowFatalError(`Step "${name}" requires a callback function`);
  const rollback = parseRollback(name, configured ? rest[2] : rest[1], run.settings.defaults);
  const { steps_max } = run.settings;
  if (run.stepsUsed >= steps_max) {
    throw workflowFatalError(
      `The limit of ${steps_max} steps has been reached. This limit can be changed in your worker configuration.`,
    );
  }
  run.stepsUsed += 1;
  return run.make('do', name, (call, recorded) => {
    call.body = { config: recorded?.config === undefined ? config : asRecorded(config, recorded.config, run.settings.defaults), callback };
    // A step that began without a handler has none.
    if (rollback !== undefined && (recorded === undefined || recorded.attempts !== undefined)) {
      call.undo = { ...rollback, attempts: recorded?.attempts ?? 0, settlement: undefined };
    }
  });
}

/**
 * A step that began keeps the configuration it began with; only a delay function comes from the code. What the code still says
 * the same is shown as the code spells it.
 * @param {import('./shim-config.js').StepConfig} config
 * @param {import('./shim-config.js').WireConfig} recorded
 * @param {import('./shim-config.js').Defaults} defaults
 * @returns {import('./shim-config.js').StepConfig}
 */
function asRecorded(config, recorded, defaults) {
  const { limit = config.limit, delay_ms, backoff = config.shown.retries.backoff, timeout_ms, dynamic } = recorded;
  const retries = { ...config.shown.retries, limit: limit >= 1e308 ? Infinity : limit, backoff };
  // Where the code still says the same, in its own words.
  const isSame = (/** @type {number | undefined} */ one, /** @type {number} */ other) => one === undefined || one === other;
  if (!isSame(delay_ms, config.wire?.delay_ms ?? defaults.delay_ms)) retries.delay = delay_ms;
  const timeout = isSame(timeout_ms, config.wire?.timeout_ms ?? defaults.timeout_ms) ? config.shown.timeout : timeout_ms;
  return { wire: recorded, limit, delay: dynamic === true ? config.delay : undefined, shown: { ...config.shown, retries, timeout } };
}
