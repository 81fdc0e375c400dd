// Errors between user code and the server: how one that was thrown is told, and how a recorded one is given back. An error keeps name,
// message and stack and nothing else, live as after a replay.

import { NonRetryableError } from 'cloudflare:workflows';
import {
  HasOwn, NativeError, NativeString, ObjectDefineProperty, ObjectFreeze, StringSlice, StringStartsWith, StringToWellFormed,
} from './shim-builtins.js';

/**
 * @typedef {{name: string, message: string, stack?: string, kind?: 'non_retryable' | 'fatal', ends_with?: string, delay_ms?: number}} Thrown
 */

/** Longest text of an error part that travels; a longer one is cut. */
const ERROR_TEXT_MAX = 64 * 1024;

/** @type {Readonly<Record<string, new (message: string) => Error>>} */
const CLASSES = ObjectFreeze({
  Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, NonRetryableError,
});

/** Marks an error that ends the instance. */
export class FatalResultError extends NativeError {
  /**
   * @param {string} message of the attempt's error
   * @param {string} ends message of the instance's error
   */
  constructor(message, ends) {
    super(message);
    this.ends = ends;
    setHidden(this, 'name', 'WorkflowFatalError');
  }
}

/**
 * An error with a name, of the built-in class of this name where there is one.
 * @param {string} name
 * @param {string} message
 * @param {string} [stack]
 * @returns {Error}
 */
export function namedError(name, message, stack) {
  const Class = HasOwn(CLASSES, name) ? CLASSES[name] : NativeError;
  const error = new Class(message);
  if (Class === NativeError && name !== 'Error') setHidden(error, 'name', name);
  if (stack !== undefined) setHidden(error, 'stack', stack);
  return error;
}

/**
 * What user code may catch when it uses a step wrongly.
 * @param {string} message
 */
export function workflowFatalError(message) {
  return namedError('WorkflowFatalError', message);
}

/**
 * How a thrown value is told to the server.
 * @param {unknown} thrown
 * @returns {Thrown}
 */
export function toThrown(thrown) {
  try {
    if (thrown instanceof FatalResultError) {
      return { name: 'WorkflowFatalError', message: text(thrown.message), kind: 'fatal', ends_with: text(thrown.ends) };
    }
    if (thrown instanceof NativeError) return fromError(thrown);
    return { name: 'Error', message: text(thrown) };
  } catch {
    return { name: 'Error', message: 'a value was thrown that cannot be read' };
  }
}

/**
 * @param {Error} error
 * @returns {Thrown}
 */
function fromError(error) {
  /** @type {Thrown} */
  const told = { name: text(error.name), message: text(error.message) };
  if (typeof error.stack === 'string') told.stack = text(error.stack);
  if (isNonRetryable(error, told)) told.kind = 'non_retryable';
  return told;
}

/**
 * @param {Error} error
 * @param {Thrown} told
 */
function isNonRetryable(error, told) {
  return (
    told.name === 'NonRetryableError' ||
    StringStartsWith(told.message, 'NonRetryableError') ||
    error instanceof NonRetryableError
  );
}

/** @param {unknown} value */
function text(value) {
  const all = NativeString(value);
  return StringToWellFormed(all.length > ERROR_TEXT_MAX ? StringSlice(all, 0, ERROR_TEXT_MAX) : all);
}

/**
 * @param {object} target
 * @param {string} key
 * @param {unknown} value
 */
function setHidden(target, key, value) {
  ObjectDefineProperty(target, key, { value, writable: true, configurable: true, enumerable: false });
}
