// What every Worker of the suite is driven through from outside: one `fetch` handler that calls binding and instance
// methods and answers what user code saw, and a journal of what happened in the isolate. The workflows beside it know
// only the journal; everything else they use is Cloudflare's.
//
// `POST /` takes `{"method", "args", "workflow", "id"?, "probe"?}` and answers `{"value"}` or `{"error"}`;
// `GET /journal?id=` answers what an instance has noted, `GET /journals` what all have, and `GET /held` which stand still
// before a kill.

import { describe, describeError } from './describe.js';
import { journals, unheld } from './kill.js';

/** @type {Map<string, string[]>} by instance id; it outlives a kill, as what has happened in the world does */
const journal = new Map(Object.entries(journals));

/** @type {Map<string, { begun: number, ended: number }>} withheld calls by instance id */
const held = new Map();

/**
 * Notes what must happen as often on every host, replayed or not: attempts, and what comes after a wait.
 * @param {{ instanceId: string } | string} instance
 * @param {string} what
 */
export function mark(instance, what) {
  const id = typeof instance === 'string' ? instance : instance.instanceId;
  const marks = journal.get(id) ?? [];
  marks.push(what);
  journal.set(id, marks);
}

/**
 * Notes what a replay repeats by right: code between steps. It is noted once.
 * @param {{ instanceId: string } | string} instance
 * @param {string} what
 */
export function pass(instance, what) {
  const id = typeof instance === 'string' ? instance : instance.instanceId;
  if (!journal.get(id)?.includes(what)) mark(id, what);
}

/**
 * How often an instance has noted something.
 * @param {{ instanceId: string }} instance
 * @param {string} what
 */
export function marks({ instanceId }, what) {
  return (journal.get(instanceId) ?? []).filter((one) => one === what).length;
}

/**
 * Whether an instance is held before a kill: all but those of cases that say themselves where the kill comes.
 * @param {string} id
 */
export function isHeld(id) {
  return !unheld.some((name) => id === name || id.startsWith(`${name}-`));
}

/** @param {string} id */
export function begun(id) {
  const calls = held.get(id) ?? { begun: 0, ended: 0 };
  calls.begun += 1;
  held.set(id, calls);
}

/** @param {string} id */
export function ended(id) {
  const calls = held.get(id);
  if (calls) calls.ended += 1;
}

/**
 * What became of a promise, as observations tell it.
 * @param {() => unknown} act
 */
export async function outcome(act) {
  try {
    return { value: describe(await act()) };
  } catch (error) {
    return { error: describeError(error) };
  }
}

/**
 * The Worker's `fetch` handler.
 * @param {Record<string, (env: any, id: string, ...args: any[]) => unknown>} [probes] what some cases do within one request
 */
export function driver(probes = {}) {
  return {
    /** @param {Request} request @param {any} env @param {any} ctx */
    async fetch(request, env, ctx) {
      const url = new URL(request.url);
      if (url.pathname === '/journal') return Response.json(journal.get(url.searchParams.get('id') ?? '') ?? []);
      if (url.pathname === '/journals') return Response.json(Object.fromEntries(journal));
      if (url.pathname === '/held') return Response.json(Object.fromEntries(held));
      const call = await request.json();
      return Response.json(await outcome(() => perform(call, { ...ctx.exports, ...env }, probes)));
    },
  };
}

/** @param {any} call @param {any} env @param {any} probes */
async function perform({ workflow, id, method, args, probe }, env, probes) {
  const values = args.map(revive);
  if (probe !== undefined) return await probes[probe](env, id, ...values);
  const binding = env[workflow];
  if (id === undefined) return shown(await binding[method](...values));
  const instance = await binding.get(id);
  return statusLike(await instance[method](...values));
}

/** Instances are told by their ids, alone and in a list of those that were created. @param {any} result */
function shown(result) {
  if (Array.isArray(result)) return result.map(shown);
  if (Array.isArray(result?.created)) return { ...result, created: result.created.map(shown) };
  return typeof result?.status === 'function' ? { id: result.id } : result;
}

/**
 * A status without Miniflare's member for its own tests, and without members that are `undefined`: whether those are there
 * at all depends on how many Workers a status has crossed.
 * @param {any} result
 */
function statusLike(result) {
  if (typeof result?.status !== 'string') return result;
  const { __LOCAL_DEV_STEP_OUTPUTS, ...rest } = result;
  return Object.fromEntries(Object.entries(rest).filter(([, member]) => member !== undefined));
}

/**
 * The status of an instance, as the driver tells it.
 * @param {{ status: () => Promise<any> }} instance
 */
export async function statusOf(instance) {
  return statusLike(await instance.status());
}

/**
 * Arguments that JSON cannot carry, or should not: `{"$repeat": ["x", 5]}`, `{"$list": ["x", 5]}`,
 * `{"$null": true}`, `{"$undefined": true}`, `{"$date": 0}`,
 * `{"$bigint": "1"}`, `{"$number": "NaN"}`, `{"$bytes": 5}`, `{"$function": true}`.
 * @param {any} value
 * @returns {any}
 */
function revive(value) {
  if (Array.isArray(value)) return value.map(revive);
  if (value === null || typeof value !== 'object') return value;
  if ('$repeat' in value) return repeat(value.$repeat);
  if ('$list' in value) return Array.from({ length: value.$list[1] }, () => value.$list[0]);
  if ('$null' in value) return null;
  if ('$undefined' in value) return undefined;
  if ('$date' in value) return new Date(value.$date);
  if ('$bigint' in value) return BigInt(value.$bigint);
  if ('$number' in value) return Number(value.$number);
  if ('$bytes' in value) return new Uint8Array(value.$bytes).fill(7);
  if ('$function' in value) return () => 1;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, revive(member)]));
}

/** @param {[any, number]} what */
function repeat([value, times]) {
  return typeof value === 'string' ? value.repeat(times) : Array.from({ length: times }, () => revive(value));
}
