// Console lines of a run go to the server with the step that wrote them; other lines go where workerd puts them.

import { NativeError, NativeString, ObjectDefineProperty, ObjectGetPrototypeOf, ObjectPrototype, StringSlice, JSONStringify, ArrayIsArray } from './shim-builtins.js';
import { currentScope } from './shim-scope.js';

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
      if (scope === undefined || scope.run.dead) native(...args);
      else scope.run.log(level, line(args), scope.call);
    };
    ObjectDefineProperty(target, level, { value, writable: true, configurable: true, enumerable: true });
  }
}

/** @param {unknown[]} args */
function line(args) {
  let text = '';
  for (let i = 0; i < args.length; i += 1) {
    text += (i === 0 ? '' : ' ') + show(args[i]);
    if (text.length > LINE_LENGTH_MAX) return `${StringSlice(text, 0, LINE_LENGTH_MAX)}…`;
  }
  return text;
}

/**
 * @param {any} value
 * @returns {string}
 */
function show(value) {
  try {
    if (typeof value === 'string') return value;
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value === 'function') return `[Function ${value.name}]`;
    if (typeof value !== 'object' || value === null) return NativeString(value);
    if (value instanceof NativeError) return NativeString(value.stack ?? value);
    const prototype = ObjectGetPrototypeOf(value);
    const plain = prototype === null || prototype === ObjectPrototype || ArrayIsArray(value);
    return `${plain ? '' : `${value.constructor?.name} `}${JSONStringify(value)}`;
  } catch {
    return '[unreadable]';
  }
}
