// The service behind a Workflow binding. workerd's own `cloudflare-internal:workflows-api` makes the
// handles user code sees and calls these methods; each becomes one request to the server:
// `POST http://stepwell/workflows/<workflow>/<method>`. No rule about ids, states or limits lives here.
// User values travel as `{"json": …, "exact": "…", "bytes": …}`, so bodies are joined from finished texts.

import { DurableObject, RpcTarget, WorkerEntrypoint } from 'cloudflare:workers';
import { decodeValue, encodeValue, TooLargeError } from './value.js';

/** @typedef {{ workflow: string, namedErrors: boolean }} Props */
/** @typedef {{ json?: unknown, exact?: string }} Travelling */

/**
 * @param {unknown} value
 * @param {string} what begins the sentence that it is too large
 * @param {Props} props
 * @returns {string | undefined} the JSON text of a travelling value
 */
function travelling(value, what, { namedErrors }) {
  if (value === undefined) return undefined;
  try {
    const { json, exact, bytes } = encodeValue(value);
    return object({ json, exact: text(exact), bytes: text(bytes) });
  } catch (error) {
    if (error instanceof TooLargeError) {
      const message = `(instance.payload_too_large) ${what} too large. Maximum allowed size is 1MiB.`;
      throw thrown({ name: 'WorkflowError', message }, namedErrors);
    }
    throw error;
  }
}

/** @param {Travelling | null | undefined} value */
function arrived(value) {
  if (value === undefined || value === null) return undefined;
  const json = value.json === undefined ? undefined : JSON.stringify(value.json);
  return decodeValue(json, value.exact);
}

/** @param {unknown} value */
function text(value) {
  return value === undefined ? undefined : JSON.stringify(value);
}

/** @param {Record<string, string | undefined>} members finished JSON texts; undefined ones are left out */
function object(members) {
  const written = Object.entries(members).filter(([, json]) => json !== undefined);
  return `{${written.map(([key, json]) => `${JSON.stringify(key)}:${json}`).join(',')}}`;
}

/**
 * @param {any} options what user code gave to `create`, or one entry of `createBatch`
 * @param {Props} props
 */
function createOptions(options, props) {
  const { id, params, retention, locationHint } = options ?? {};
  // What is no text is no id either, and the server says so of the empty one.
  const named = id === undefined || typeof id === 'string' ? id : '';
  const travels = travelling(params, 'Instance params are', props);
  return { id: text(named), params: travels, retention: text(retention), locationHint: text(locationHint) };
}

/**
 * Before 2026-04-21 an error that crosses from Worker to Worker keeps its message exact only when its
 * name is plain `Error`; otherwise the name is put in front of the message.
 *
 * @param {{ name?: string, message?: string } | undefined} error
 * @param {boolean} named
 */
function thrown(error, named) {
  const rejection = new Error(error?.message ?? 'The workflow server gave no reason');
  if (named && error?.name) rejection.name = error.name;
  return rejection;
}

/**
 * @param {{ env: any, ctx: any }} entrypoint
 * @param {string} method
 * @param {string} body
 */
async function call({ env, ctx }, method, body) {
  const { workflow, namedErrors } = /** @type {Props} */ (ctx.props);
  const response = await env.HOST.fetch(`http://stepwell/workflows/${encodeURIComponent(workflow)}/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  const reply = await response.text();
  if (response.ok) return reply === '' ? undefined : JSON.parse(reply);
  throw thrown(failure(reply, response.status), namedErrors);
}

/**
 * @param {string} reply
 * @param {number} status
 */
function failure(reply, status) {
  try {
    const { error } = JSON.parse(reply);
    if (error) return error;
  } catch {
    // Falls through: what is not JSON did not come from the workflow server.
  }
  return { message: `The workflow server answered ${status}` };
}

/**
 * @typedef {{ incarnation: number, reader: number, cursor?: number | null }} Place
 * @typedef {{ type: string, eventId: number, params?: Travelling, output?: Travelling }} Told
 */

/** Events that end a subscription. */
const TERMINAL = ['workflow_completed', 'workflow_errored', 'workflow_terminated'];

/**
 * @param {string} instanceId
 * @param {Told} told
 */
function arrivedEvent(instanceId, { params, output, ...told }) {
  const event = /** @type {Record<string, unknown>} */ ({ instanceId, ...told });
  if (params !== undefined) event.params = arrived(params);
  const result = arrived(output);
  if (result !== undefined) event.output = result;
  return event;
}

class Subscription extends RpcTarget {
  #entrypoint;
  #id;
  #place;
  #options;
  /** @type {Told[]} read and not given out yet */
  #events = [];
  #done = false;
  #closed = false;
  #last = Promise.resolve(/** @type {any} */ (undefined));

  /** @param {any} entrypoint @param {string} id @param {Place} place @param {unknown} options */
  constructor(entrypoint, id, place, options) {
    super();
    this.#entrypoint = entrypoint;
    this.#id = id;
    this.#place = place;
    this.#options = options;
  }

  /** Calls at the same time get events one after the other. */
  next() {
    const after = this.#last.catch(() => {});
    this.#last = after.then(() => this.#next());
    return this.#last;
  }

  [Symbol.dispose]() {
    this.#close();
  }

  async #next() {
    while (!this.#closed && this.#events.length === 0 && !this.#done) await this.#read();
    const event = this.#closed ? undefined : this.#events.shift();
    if (event === undefined || TERMINAL.includes(event.type)) this.#close();
    return event === undefined ? { done: true, value: undefined } : { done: false, value: arrivedEvent(this.#id, event) };
  }

  async #read() {
    const { incarnation, reader, cursor } = this.#place;
    const body = { incarnation, reader, cursor: cursor ?? undefined, options: this.#options };
    const { events, done } = await call(this.#entrypoint, 'next', JSON.stringify(body));
    this.#events = events;
    this.#done = done;
    const last = events.at(-1);
    if (last !== undefined) this.#place = { incarnation, reader, cursor: last.eventId };
  }

  #close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#events = [];
    if (this.#done) return;
    const { incarnation, reader } = this.#place;
    const told = call(this.#entrypoint, 'unsubscribe', JSON.stringify({ incarnation, reader }));
    // The server forgets idle readers by itself.
    this.#entrypoint.ctx.waitUntil(told.catch(() => {}));
  }
}

/** workerd wants a class of an engine where it makes bindings in `ctx.exports`. The engine is the server. */
export class NoEngine extends DurableObject {}

export default class WorkflowsAdapter extends WorkerEntrypoint {
  /** @param {string} method @param {Record<string, string | undefined>} members */
  #call(method, members) {
    return call({ env: this.env, ctx: this.ctx }, method, object(members));
  }

  /** @param {string} id */
  getInstance(id) {
    return this.#call('getInstance', { id: text(id) });
  }

  /** @param {any} options */
  create(options) {
    return this.#call('create', createOptions(options, this.ctx.props));
  }

  /** @param {any} batch */
  createBatch(batch) {
    const { props } = this.ctx;
    const instances = (/** @type {any[]} */ entries) => `[${entries.map((entry) => object(createOptions(entry, props))).join(',')}]`;
    if (Array.isArray(batch)) return this.#call('createBatch', { form: '"array"', instances: instances(batch) });
    if (typeof batch !== 'object' || batch === null) return this.#call('createBatch', { form: '"object"' });
    const { count, instances: entries, ...each } = batch;
    if (count !== undefined) return this.#call('createBatch', { form: '"object"', count: text(count), ...createOptions(each, props) });
    const given = Array.isArray(entries) ? instances(entries) : undefined;
    return this.#call('createBatch', { form: '"object"', instances: given });
  }

  /** @param {{ instances: string[] }} batch */
  deleteBatch({ instances }) {
    return this.#call('deleteBatch', { instances: text(instances) });
  }

  /** @param {string} id */
  async pause(id) {
    await this.#call('pause', { id: text(id) });
  }

  /** @param {string} id */
  async resume(id) {
    await this.#call('resume', { id: text(id) });
  }

  /** @param {string} id @param {unknown} [options] */
  async terminate(id, options) {
    await this.#call('terminate', { id: text(id), options: text(options) });
  }

  /** @param {string} id @param {unknown} [options] */
  async restart(id, options) {
    await this.#call('restart', { id: text(id), options: text(options) });
  }

  /** @param {string} id */
  async deleteInstance(id) {
    await this.#call('deleteInstance', { id: text(id) });
  }

  /** @param {string} id */
  async status(id) {
    const { output, ...status } = await this.#call('status', { id: text(id) });
    return output === undefined || output === null ? { ...status, output: output ?? undefined } : { ...status, output: arrived(output) };
  }

  /** @param {string} id @param {{ type: string, payload?: unknown }} event */
  async sendEvent(id, { type, payload }) {
    const travels = travelling(payload, 'Event payload is', this.ctx.props);
    await this.#call('sendEvent', { id: text(id), type: text(type), payload: travels });
  }

  /** @param {string} id @param {unknown} [options] */
  async subscribe(id, options) {
    const place = await this.#call('subscribe', { id: text(id), options: text(options) });
    return new Subscription({ env: this.env, ctx: this.ctx }, id, place, options);
  }
}
