// The shim: runs Workflow classes in their own isolate, in conversation with the server. The generated wrapper imports this module before
// the user's, so that it has captured the built-ins, and exports what `createSession` and `createTraced` give under names that user code
// cannot guess.

import { WorkerEntrypoint } from 'cloudflare:workers';
import { NativeResponse, NativeWebSocketPair, RequestHeadersGet } from './shim-builtins.js';
import { installConsole } from './shim-console.js';
import { guardProcess } from './shim-context.js';
import { Session } from './shim-session.js';
import { installTimers } from './shim-timers.js';

export { createTraced } from './shim-trace.js';

/** Header that carries the token made when the process was started. */
const TOKEN_HEADER = 'x-stepwell-token';

installConsole();
installTimers();
guardProcess();

/**
 * The entrypoint that accepts sessions.
 * @param {Record<string, any>} userModule the user's main module
 * @param {string[]} classes exported workflow classes
 * @param {string} token what the server must send
 */
export function createSession(userModule, classes, token) {
  return class extends WorkerEntrypoint {
    /** @param {Request} request */
    async fetch(request) {
      if (RequestHeadersGet(request.headers, TOKEN_HEADER) !== token) return new NativeResponse(null, { status: 403 });
      if (RequestHeadersGet(request.headers, 'upgrade') !== 'websocket') return new NativeResponse(null, { status: 426 });
      const { 0: client, 1: server } = new NativeWebSocketPair();
      const session = new Session(userModule, this.ctx, this.env, server, token);
      server.accept();
      server.addEventListener('message', (event) => session.receive(/** @type {string} */ (event.data)));
      server.addEventListener('close', () => session.close(1000, 'closed'));
      server.addEventListener('error', () => session.close(1011, 'error'));
      session.hello(classes);
      return new NativeResponse(null, { status: 101, webSocket: client });
    }
  };
}
