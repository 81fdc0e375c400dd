// Errors between user code and the server: how one that was thrown is told, and how a recorded one is given back. An error keeps name,
// message and stack and nothing else, live as after a replay; its cause is
// told for people only.

import { NonRetryableError } from 'cloudflare:workflows';
import {
  ArrayIsArray, HasOwn, JSONStringify, NativeError, NativeRegExp, NativeString, ObjectDefineProperty, ObjectFreeze, RegExpExec, SafeWeakMap, StringIndexOf,
  StringSlice, StringStartsWith, StringToWellFormed,
} from './shim-builtins.js';

/**
 * @typedef {{name: string, message: string, stack?: string, cause?: string, kind?: 'non_retryable' | 'fatal', ends_with?: string,
 *   delay_ms?: number}} Thrown
 */

/** Longest text of an error part that travels; a longer one is cut. */
const ERROR_TEXT_MAX = 64 * 1024;
/** Causes of causes that are told. */
const CAUSES_MAX = 5;

const CAUSED_BY = '; caused by ';
/** What the engine has before the message of such an error. */
const NAMED = 'NonRetryableError: ';
const REPLACED = new NativeRegExp('^Step threw a NonRetryableError with message "([^]*)"$');
const NAME_IN_MESSAGE = new NativeRegExp('^NonRetryableError:?\\s*([^]*)$');

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

/** What is told of the cause of errors that were given back without it. */
const recordedCauses = new SafeWeakMap();

/**
 * A recorded error as user code gets it.
 * @param {import('./shim-call.js').RecordedError} recorded
 */
export function recordedError(recorded) {
  const { name, message, stack, cause } = unreplaced(recorded);
  const error = namedError(name, message, stack);
  if (cause !== undefined) recordedCauses.set(error, cause);
  return error;
}

/**
 * What user code may catch when it uses a step wrongly.
 * @param {string} message
 */
export function workflowFatalError(message) {
  return namedError('WorkflowFatalError', message);
}

/** @param {unknown} error */
export async function rejected(error) {
  throw error;
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
    return { name: 'Error', message: text(thrownText(thrown)) };
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
  const cause = causeOf(error);
  if (cause !== undefined) told.cause = cause;
  if (isNonRetryable(error, told)) told.kind = 'non_retryable';
  return told;
}

/**
 * What the causes of an error say, the nearest first. One that cannot be read is left out: the error itself counts.
 * @param {Error} error
 * @returns {string | undefined}
 */
function causeOf(error) {
  try {
    return readCauses(error);
  } catch {
    return undefined;
  }
}

/** @param {Error} error */
function readCauses(error) {
  let told = '';
  /** @type {any} */
  let cause = nextCause(error);
  for (let depth = 0; depth < CAUSES_MAX && cause !== undefined && cause !== null; depth += 1) {
    const isError = cause instanceof NativeError;
    const said = isError ? `${text(cause.name)}: ${text(cause.message)}` : text(causeText(cause));
    told += depth === 0 ? said : CAUSED_BY + said;
    cause = isError ? nextCause(cause) : undefined;
  }
  return told === '' ? undefined : text(told);
}

/** @param {Error} error */
function nextCause(error) {
  return error.cause ?? recordedCauses.get(error);
}

/**
 * A cause that is no error: as JSON where it has no text of its own.
 * @param {any} cause
 */
function causeText(cause) {
  if (typeof cause !== 'object' || (!ArrayIsArray(cause) && NativeString(cause) !== '[object Object]')) return cause;
  try {
    return JSONStringify(cause) ?? thrownText(cause);
  } catch {
    return thrownText(cause);
  }
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

/**
 * What is thrown and is no error is told as V8 tells it: an object without a text of its own by its constructor.
 * @param {any} thrown
 */
function thrownText(thrown) {
  const told = NativeString(thrown);
  if (told !== '[object Object]') return told;
  const name = thrown.constructor?.name;
  return `#<${typeof name === 'string' && name !== '' ? name : 'Object'}>`;
}

/**
 * An error that is not retried because of how its message begins: that beginning is its name.
 * @param {Thrown} thrown
 * @returns {Thrown}
 */
export function preserved(thrown) {
  const match = RegExpExec(NAME_IN_MESSAGE, thrown.message);
  if (thrown.name === 'NonRetryableError' || match === null) return thrown;
  return { ...thrown, name: 'NonRetryableError', message: match[1] };
}

/**
 * How an attempt's error that is not retried is told before its own name and message are kept: they are told as its cause.
 * @param {Thrown} thrown
 * @returns {Thrown}
 */
export function replaced(thrown) {
  const { name, message, cause } = thrown;
  const told = StringStartsWith(message, 'NonRetryableError') ? message : NAMED + message;
  const own = `${name}: ${message}${cause === undefined ? '' : `${CAUSED_BY}${cause}`}`;
  return { ...thrown, name: 'WorkflowFatalError', message: text(`Step threw a NonRetryableError with message "${told}"`), cause: text(own) };
}

/**
 * The error that `replaced` made another of: code catches its own after a replay, too.
 * @param {import('./shim-call.js').RecordedError} recorded
 * @returns {import('./shim-call.js').RecordedError}
 */
function unreplaced(recorded) {
  const { name, stack, cause } = recorded;
  const match = name === 'WorkflowFatalError' ? RegExpExec(REPLACED, recorded.message) : null;
  if (match === null || cause === undefined) return recorded;
  const isWhole = StringIndexOf(cause, `: ${match[1]}`) > 0;
  const message = isWhole ? match[1] : StringSlice(match[1], NAMED.length);
  const end = StringIndexOf(cause, `: ${message}`);
  if (end < 0) return recorded;
  const rest = StringSlice(cause, end + 2 + message.length + CAUSED_BY.length);
  return { name: StringSlice(cause, 0, end), message, stack, cause: rest === '' ? undefined : rest };
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
export function setHidden(target, key, value) {
  ObjectDefineProperty(target, key, { value, writable: true, configurable: true, enumerable: false });
}
