// Console lines of a run go to the server with the step that wrote them, those of a request that somebody follows as well; all but those of runs
// go where workerd puts them.

import {
  ArrayIsArray, JSONStringify, NativeError, NativeString, NumberIsFinite, ObjectDefineProperty, ObjectGetPrototypeOf, ObjectPrototype, StringSlice,
  StringToWellFormed,
} from './shim-builtins.js';
import { currentScope } from './shim-scope.js';
import { currentTrace } from './shim-trace.js';

/** Longest line; the rest is cut. */
const LINE_LENGTH_MAX = 16 * 1024;

const LEVELS = ['log', 'info', 'warn', 'error', 'debug'];

/** Puts the attributed methods into the global console. */
export function installConsole() {
  const target = /** @type {any} */ (console);
  for (const level of LEVELS) {
    const native = target[level].bind(target);
    const value = (/** @type {unknown[]} */ ...args) => {
      const scope = currentScope();
      if (scope !== undefined && !scope.run.dead) {
        scope.run.log(level, line(args), scope.call);
        return;
      }
      currentTrace()?.log(level, line(args));
      native(...args);
    };
    ObjectDefineProperty(target, level, { value, writable: true, configurable: true, enumerable: true });
  }
}

/**
 * A line as the JSON text of an array with an element for each argument.
 * @param {unknown[]} args
 */
function line(args) {
  let text = '';
  for (let i = 0; i < args.length; i += 1) {
    const left = LINE_LENGTH_MAX - text.length;
    const part = show(args[i]);
    const fits = part.text.length <= left;
    const cut = fits ? part.text : `${StringSlice(part.text, 0, left)}…`;
    text += (i === 0 ? '' : ',') + (part.isJson && fits ? cut : JSONStringify(StringToWellFormed(cut)));
    if (!fits) break;
  }
  return `[${text}]`;
}

/**
 * What people are shown of a value: JSON, or a text.
 * @param {any} value
 * @returns {{text: string, isJson: boolean}}
 */
function show(value) {
  try {
    if (typeof value === 'string') return asText(value);
    if (typeof value === 'bigint') return asText(`${value}n`);
    if (typeof value === 'function') return asText(`[Function ${value.name}]`);
    if (typeof value === 'boolean' || value === null || NumberIsFinite(value)) return { text: NativeString(value), isJson: true };
    if (typeof value !== 'object') return asText(NativeString(value));
    if (value instanceof NativeError) return asText(NativeString(value.stack ?? value));
    const prototype = ObjectGetPrototypeOf(value);
    const plain = prototype === null || prototype === ObjectPrototype || ArrayIsArray(value);
    const json = JSONStringify(value);
    return plain && json !== undefined ? { text: json, isJson: true } : asText(`${plain ? '' : `${value.constructor?.name} `}${json}`);
  } catch {
    return asText('[unreadable]');
  }
}

/** @param {string} text */
function asText(text) {
  return { text, isJson: false };
}
