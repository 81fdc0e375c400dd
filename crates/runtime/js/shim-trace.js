// A request that somebody follows: what its code writes to the console and what it throws, told to the server while the request goes on.
// The server leads a request here only while the Worker is being tailed; all others go to the user's own export, past this module.

import { AsyncLocalStorage } from 'node:async_hooks';
import { WorkerEntrypoint } from 'cloudflare:workers';
import { complain, DateNow, JSONStringify, nativeQueueMicrotask, NativePromise, ObjectDefineProperty, PromiseThen, ReflectApply } from './shim-builtins.js';
import { namedError, toThrown } from './shim-errors.js';
import { askHost, takeHost } from './shim-host.js';

/** Length of all lines of a request after which no further one is told: the server cuts where it passes this. */
const LINES_LENGTH_MAX = 256 * 1024;
/** Exceptions of a request that are told: one more than the server shows, so that it knows of more. */
const EXCEPTIONS_MAX = 101;

/** @type {AsyncLocalStorage<Trace>} */
const storage = new AsyncLocalStorage();
const runInStore = storage.run.bind(storage);
const getStore = storage.getStore.bind(storage);

/** @returns {Trace | undefined} that of the running code */
export function currentTrace() {
  return getStore();
}

/**
 * The entrypoint that does what the user's own does, and tells of it.
 * @param {any} main the user's default export
 */
export function createTraced(main) {
  return class extends WorkerEntrypoint {
    /** @param {Request} request */
    fetch(request) {
      const { ctx, env } = /** @type {any} */ (this);
      takeHost(env);
      const trace = new Trace(ctx, /** @type {any} */ (request).cf.trace);
      // It came with the server's word for the trace, and user code finds what it finds without one.
      ObjectDefineProperty(request, 'cf', { value: undefined, writable: true, configurable: true, enumerable: true });
      return trace.follow(() => callMain(main, request, env, ctx));
    }
  };
}

/**
 * Calls the handler as workerd does: that of an entrypoint's object, or of the export itself.
 * @param {any} main
 * @param {Request} request
 * @param {unknown} env
 * @param {unknown} ctx
 * @returns {Promise<Response>}
 */
async function callMain(main, request, env, ctx) {
  const target = main.prototype instanceof WorkerEntrypoint ? new main(ctx, env) : main;
  if (typeof target.fetch !== 'function') throw namedError('TypeError', 'Handler does not export a fetch() function.');
  return target === main ? target.fetch(request, env, ctx) : target.fetch(request);
}

class Trace {
  /**
   * @param {any} ctx the request's own
   * @param {string} id what the server knows the request by
   */
  constructor(ctx, id) {
    this.id = id;
    const native = ctx.waitUntil;
    this.waitUntil = (/** @type {unknown} */ promise) => ReflectApply(native, ctx, [promise]);
    /** Promises of user code that are not settled, the handler's among them. */
    this.pending = 0;
    /** @type {string[]} JSON of what is to be told */
    this.lines = [];
    this.linesLength = 0;
    /** @type {string[]} */
    this.exceptions = [];
    this.exceptionsCount = 0;
    this.done = false;
    this.waking = false;
    this.telling = false;
    const value = (/** @type {unknown} */ promise) => {
      this.watch(promise);
      this.waitUntil(promise);
    };
    ObjectDefineProperty(ctx, 'waitUntil', { value, writable: true, configurable: true });
  }

  /**
   * @param {() => Promise<Response>} handle
   */
  follow(handle) {
    const answer = runInStore(this, handle);
    this.watch(answer);
    return answer;
  }

  /** @param {unknown} promise */
  watch(promise) {
    this.pending += 1;
    PromiseThen(NativePromise.resolve(promise), () => this.settled(), (/** @type {unknown} */ error) => {
      this.threw(error);
      this.settled();
    });
  }

  /** @param {unknown} error */
  threw(error) {
    this.exceptionsCount += 1;
    if (this.exceptionsCount > EXCEPTIONS_MAX) return;
    const { name, message, stack } = toThrown(error);
    this.exceptions[this.exceptions.length] = JSONStringify({ name, message, stack, timestamp: DateNow() });
  }

  settled() {
    this.pending -= 1;
    this.done = this.pending === 0;
    this.wake();
  }

  /**
   * @param {string} level
   * @param {string} message JSON
   */
  log(level, message) {
    if (this.linesLength > LINES_LENGTH_MAX) return;
    this.linesLength += message.length;
    this.lines[this.lines.length] = `{"level":"${level}","message":${message},"timestamp":${DateNow()}}`;
    this.wake();
  }

  /** Tells what there is when this turn has gathered more. */
  wake() {
    if (this.waking || this.telling) return;
    this.waking = true;
    nativeQueueMicrotask(() => {
      this.waking = false;
      this.tell();
    });
  }

  tell() {
    const { lines, exceptions, done } = this;
    let body = '';
    for (let i = 0; i < lines.length; i += 1) body += (i === 0 ? '' : ',') + lines[i];
    let thrown = '';
    for (let i = 0; i < exceptions.length; i += 1) thrown += (i === 0 ? '' : ',') + exceptions[i];
    this.lines = [];
    this.exceptions = [];
    this.done = false;
    this.telling = true;
    const told = askHost(`/traces/${this.id}`, { method: 'POST', body: `{"lines":[${body}],"exceptions":[${thrown}],"done":${done}}` });
    const over = () => {
      this.telling = false;
      if (this.lines.length > 0 || this.exceptions.length > 0 || this.done) this.tell();
    };
    this.waitUntil(PromiseThen(told, over, (/** @type {unknown} */ error) => complain('a tailed request could not be told of:', error)));
  }
}
