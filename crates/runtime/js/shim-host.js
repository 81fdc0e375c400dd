// The way from the shim to the server beside the session: HTTP through a binding that user code never sees. It is taken out of `env`
// before any user code runs; where the Worker forbids importing `env`, as soon as there is a session.

import { env } from 'cloudflare:workers';
import { namedError } from './shim-errors.js';

/** Must be `HOST_BINDING` of config/mod.rs. */
const HOST_BINDING = '__stepwell_host__';

/** @type {((url: string, request: object) => Promise<Response>) | undefined} */
let fetchHost = taken(env);

/** @param {any} from */
function taken(from) {
  const host = from[HOST_BINDING];
  if (host === undefined) return undefined;
  delete from[HOST_BINDING];
  return host.fetch.bind(host);
}

/**
 * Takes the binding where it could not be taken before.
 * @param {any} from
 */
export function takeHost(from) {
  fetchHost ??= taken(from);
}

/**
 * Asks the server.
 * @param {string} path
 * @param {object} request
 * @returns {Promise<Response>}
 */
export function askHost(path, request) {
  if (fetchHost === undefined) throw namedError('Error', 'this Worker has no way to the server');
  return fetchHost(`http://stepwell${path}`, request);
}
