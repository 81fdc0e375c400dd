// User values as text: plain JSON where that is exact, else a short JSON view for people beside an exact encoding that only this file
// reads (devalue over a structured clone, so that what Cloudflare refuses is refused here with the same error).

import {
  ArrayBufferIsView, ArrayIsArray, ArrayPrototype, DateGetTime, DateToISOString, HasOwn, JSONParse, JSONStringify, nativeStructuredClone, NativeArrayBuffer,
  NativeAggregateError, NativeBigInt, NativeBoolean, NativeDate, NativeDOMException, NativeError, NativeHeaders, NativeMap, NativeNumber, NativeRegExp, NativeSet, NativeString,
  ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ObjectDefineProperty, ObjectKeys, ObjectPrototype, ObjectToString, NumberIsFinite,
  NumberIsNaN, ReflectApply, ReflectOwnKeys, RegExpExec, SafeSet, StringIsWellFormed, StringSlice,
  NativeUint8Array, StringToWellFormed, TypedArraySet, utf8Length,
} from './shim-builtins.js';
import { namedError, setHidden } from './shim-errors.js';
import { withNatives } from './shim-natives.js';
import { parse, stringify } from './vendor/devalue.js';

/** Largest value in its own bytes. */
export const VALUE_BYTES_MAX = 1024 * 1024;
/** Deepest value that travels as plain JSON. */
const PLAIN_DEPTH_MAX = 200;
/** Longest JSON view of a value that JSON cannot carry. */
const VIEW_LENGTH_MAX = 4 * 1024;
/** Members of one collection that the view shows. */
const VIEW_MEMBERS_MAX = 50;
const VIEW_DEPTH_MAX = 6;
/** Objects that the view enters: it is short anyway, and a wide cycle would never end. */
const VIEW_OBJECTS_MAX = 500;

/** How the refusal of an object with a class of user code begins. */
export const INSTANCE_REFUSED = 'Could not serialize object of type ';

/** A value of more than `VALUE_BYTES_MAX`. */
export class TooLargeError extends NativeError {
  constructor() {
    super('The value is too large. Maximum allowed size is 1MiB.');
  }
}

/**
 * A value for the session.
 * @typedef {{v?: string, x?: string, n?: number}} WireText JSON text, JSON string literal of the exact encoding, bytes where those of the text do not count
 * @param {unknown} value
 * @returns {WireText}
 * @throws `DataCloneError` for what structured clone refuses, `TooLargeError`, and what the value's own getters throw
 */
export function toWire(value) {
  if (value === undefined) return {};
  if (isPlain(value)) return plainWire(value);
  refuseInstances(value, new SafeSet());
  const clone = nativeStructuredClone(value);
  return withNatives(() => exactWire(clone));
}

/**
 * @param {unknown} clone
 * @returns {WireText}
 */
function exactWire(clone) {
  const n = sizeOf(clone);
  if (n > VALUE_BYTES_MAX) throw new TooLargeError();
  return { v: viewText(clone), x: JSONStringify(exactText(clone)), n };
}

/**
 * The value of a message.
 * @param {unknown} v parsed JSON
 * @param {string | undefined} x exact encoding
 * @returns {any}
 */
export function fromWire(v, x) {
  return x === undefined ? v : withNatives(() => decode(x));
}

/**
 * The value of texts that `toWire` made.
 * @param {WireText} wire
 * @returns {any}
 */
export function fromWireText(wire) {
  if (wire.x !== undefined) return fromWire(undefined, JSONParse(wire.x));
  return wire.v === undefined ? undefined : JSONParse(wire.v);
}

/**
 * A value for an HTTP body: JSON text and, where that is not exact, the exact encoding with the bytes of the value itself.
 * @param {unknown} value
 * @returns {{json: string | undefined, exact: string | undefined, bytes: number | undefined}}
 */
export function encodeValue(value) {
  const { v, x, n } = toWire(value);
  return { json: v, exact: x === undefined ? undefined : JSONParse(x), bytes: n };
}

/**
 * @param {string | null | undefined} json
 * @param {string | null | undefined} exact
 * @returns {any}
 */
export function decodeValue(json, exact) {
  if (typeof exact === 'string') return fromWire(undefined, exact);
  return typeof json === 'string' ? JSONParse(json) : undefined;
}

/**
 * @param {unknown} value
 * @returns {WireText}
 */
function plainWire(value) {
  const v = JSONStringify(value);
  if (v.length * 3 <= VALUE_BYTES_MAX || utf8Length(v) <= VALUE_BYTES_MAX) return { v };
  const n = sizeOf(value);
  if (n > VALUE_BYTES_MAX) throw new TooLargeError();
  return { v, n };
}

/**
 * Whether JSON carries the value exactly. Reads no accessor and calls no `toJSON`.
 * @param {unknown} value
 */
function isPlain(value) {
  return isPlainPrimitive(value) || (typeof value === 'object' && !hasToJSON() && isPlainObject(value, 0, { first: value, rest: null }));
}

/**
 * A clone would make plain objects of instances of user classes; Cloudflare refuses them. What has a class of the platform is left to
 * the clone. Reads no accessor.
 * @param {any} value
 * @param {Set<unknown>} seen
 * @throws `DataCloneError`
 */
function refuseInstances(value, seen) {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if (ArrayBufferIsView(value) || value instanceof NativeArrayBuffer) return;
  if (value instanceof NativeMap) {
    for (const [key, member] of value) {
      refuseInstances(key, seen);
      refuseInstances(member, seen);
    }
  } else if (value instanceof NativeSet) {
    for (const member of value) refuseInstances(member, seen);
  } else {
    if (isInstance(value)) {
      const text = `${INSTANCE_REFUSED}"${kindOf(value)}". This type does not support serialization.`;
      throw new NativeDOMException(text, 'DataCloneError');
    }
    refuseMembers(value, seen);
  }
}

/**
 * @param {any} object
 * @param {Set<unknown>} seen
 */
function refuseMembers(object, seen) {
  const keys = ObjectKeys(object);
  for (let i = 0; i < keys.length; i += 1) {
    const member = ObjectGetOwnPropertyDescriptor(object, keys[i]);
    if (member !== undefined && member.get === undefined) refuseInstances(member.value, seen);
  }
}

/**
 * Whether an object is an ordinary one with a prototype of user code.
 * @param {any} object
 */
function isInstance(object) {
  const prototype = ObjectGetPrototypeOf(object);
  if (prototype === ObjectPrototype || prototype === null || ArrayIsArray(object)) return false;
  return ReflectApply(ObjectToString, object, []) === '[object Object]';
}

/** A `toJSON` on a shared prototype would change every JSON text. */
function hasToJSON() {
  return HasOwn(ObjectPrototype, 'toJSON') || HasOwn(ArrayPrototype, 'toJSON');
}

/** @param {unknown} value */
function isPlainPrimitive(value) {
  switch (typeof value) {
    case 'string':
      return StringIsWellFormed(value);
    case 'boolean':
      return true;
    case 'number':
      return NumberIsFinite(value) && (value !== 0 || 1 / value > 0);
    default:
      return value === null;
  }
}

/**
 * @param {any} object
 * @param {number} depth
 * @param {{first: unknown, rest: Set<unknown> | null}} seen the outermost object, and the others
 */
function isPlainObject(object, depth, seen) {
  if (depth >= PLAIN_DEPTH_MAX) return false;
  const prototype = ObjectGetPrototypeOf(object);
  if (ArrayIsArray(object)) return prototype === ArrayPrototype && isPlainArray(object, depth, seen);
  if (prototype !== ObjectPrototype && prototype !== null) return false;
  const keys = ReflectOwnKeys(object);
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i];
    if (typeof key === 'symbol' || key === '__proto__' || !StringIsWellFormed(key)) return false;
    const member = ObjectGetOwnPropertyDescriptor(object, key);
    if (member === undefined || !member.enumerable || member.get !== undefined || member.set !== undefined) return false;
    if (!isPlainMember(member.value, depth, seen)) return false;
  }
  return true;
}

/**
 * @param {unknown[]} array
 * @param {number} depth
 * @param {{first: unknown, rest: Set<unknown> | null}} seen
 */
function isPlainArray(array, depth, seen) {
  for (let i = 0; i < array.length; i += 1) {
    if (!isPlainMember(array[i], depth, seen)) return false;
  }
  return !hasNamedMembers(array);
}

/**
 * Whether there is more than the elements, as in the result of a match.
 * @param {unknown[]} array
 */
function hasNamedMembers(array) {
  const keys = ObjectKeys(array);
  return keys.length > 0 && !isIndex(keys[keys.length - 1]);
}

/**
 * Whether an own key of an array is an element's.
 * @param {string} key
 */
function isIndex(key) {
  return RegExpExec(INDEX, key) !== null && +key < 2 ** 32 - 1;
}

const INDEX = /^(?:0|[1-9][0-9]{0,9})$/;

/**
 * @param {unknown} value
 * @param {number} depth
 * @param {{first: unknown, rest: Set<unknown> | null}} seen
 */
function isPlainMember(value, depth, seen) {
  if (isPlainPrimitive(value)) return true;
  if (typeof value !== 'object') return false;
  if (value === seen.first) return false;
  seen.rest ??= new SafeSet();
  if (seen.rest.has(value)) return false;
  seen.rest.add(value);
  return isPlainObject(value, depth + 1, seen);
}

/**
 * @param {unknown} clone
 * @returns {string}
 */
function exactText(clone) {
  reducedErrors = 0;
  const exact = stringify(clone, REDUCERS, { operations: OPERATIONS });
  // A cycle through an Error or an array with named members shows only when it is read again: better now than on replay.
  if (reducedErrors > 0) decode(exact);
  return exact;
}

let reducedErrors = 0;

const REDUCERS = {
  DOMException: (/** @type {unknown} */ value) =>
    value instanceof NativeDOMException ? [value.name, value.message, value.stack] : undefined,
  AggregateError: (/** @type {unknown} */ value) =>
    value instanceof NativeAggregateError ? [value.errors, ...errorParts(value)] : undefined,
  Error: (/** @type {unknown} */ value) => (value instanceof NativeError ? errorParts(value) : undefined),
  Headers: (/** @type {unknown} */ value) => (value instanceof NativeHeaders ? [...value] : undefined),
  Resizable: (/** @type {any} */ value) =>
    value instanceof NativeArrayBuffer && value.resizable ? [value.slice(0), value.maxByteLength] : undefined,
  Named: (/** @type {any} */ value) => {
    if (!ArrayIsArray(value) || !hasNamedMembers(value)) return undefined;
    reducedErrors += 1;
    const elements = value.slice();
    /** @type {Record<string, unknown>} */
    const named = {};
    const keys = ObjectKeys(value);
    for (let i = keys.length - 1; i >= 0 && !isIndex(keys[i]); i -= 1) setOwn(named, keys[i], value[/** @type {any} */ (keys[i])]);
    return [elements, named];
  },
};

/** @param {Error} error */
function errorParts(error) {
  reducedErrors += 1;
  const parts = [error.name, error.message, error.stack];
  return HasOwn(error, 'cause') ? [...parts, error.cause] : parts;
}

const REVIVERS = {
  DOMException: (/** @type {string[]} */ [name, message, stack]) => {
    const error = new NativeDOMException(message, name);
    setHidden(error, 'stack', stack);
    return error;
  },
  AggregateError: (/** @type {any[]} */ [errors, ...parts]) => {
    const error = new NativeAggregateError(errors, parts[1]);
    setHidden(error, 'stack', parts[2]);
    if (parts[0] !== 'AggregateError') setHidden(error, 'name', parts[0]);
    return withCause(error, parts);
  },
  Error: (/** @type {any[]} */ parts) => withCause(namedError(parts[0], parts[1], parts[2]), parts),
  Headers: (/** @type {[string, string][]} */ entries) => new NativeHeaders(entries),
  Resizable: (/** @type {[ArrayBuffer, number]} */ [bytes, maxByteLength]) => {
    const buffer = new NativeArrayBuffer(bytes.byteLength, { maxByteLength });
    TypedArraySet(new NativeUint8Array(buffer), new NativeUint8Array(bytes));
    return buffer;
  },
  Named: (/** @type {[any[], any]} */ [elements, named]) => {
    const keys = ObjectKeys(named);
    for (let i = keys.length - 1; i >= 0; i -= 1) setOwn(elements, keys[i], named[keys[i]]);
    return elements;
  },
};

/**
 * @param {Error} error
 * @param {any[]} parts
 */
function withCause(error, parts) {
  if (parts.length > 3) setHidden(error, 'cause', parts[3]);
  return error;
}

/**
 * The value of an exact encoding.
 * @param {string} exact
 */
function decode(exact) {
  return parse(exact, REVIVERS, { operations: { set: setMember } });
}

/**
 * An own member, whatever prototypes say of its name.
 * @param {object} target
 * @param {PropertyKey} key
 * @param {unknown} value
 */
function setOwn(target, key, value) {
  ObjectDefineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

/**
 * @param {object} target
 * @param {string | number} key as encoded
 * @param {unknown} value
 */
function setMember(target, key, value) {
  setOwn(target, typeof key === 'string' ? plainKey(key) : key, value);
}

/** The library takes no member of the name `__proto__`: it travels as `~__proto__`, and what looks like that with one `~` more. */
const PROTO = /^~*__proto__$/;

/** @param {string} key */
function encodedKey(key) {
  return RegExpExec(PROTO, key) === null ? key : `~${key}`;
}

/** @param {string} key as encoded */
function plainKey(key) {
  return RegExpExec(PROTO, key) === null ? key : StringSlice(key, 1);
}

/**
 * Some objects of the platform can be cloned and not be stored. Each is refused as Cloudflare refuses one like it.
 * @param {any} object
 */
function refusePlatform(object) {
  const prototype = ObjectGetPrototypeOf(object);
  if (prototype === ObjectPrototype || prototype === null || object instanceof NativeArrayBuffer) return;
  const kind = kindOf(object);
  if (kind === 'SharedArrayBuffer') throw new NativeError('Unable to deserialize cloned data.');
  throw new NativeDOMException(`${kind} can only be serialized for RPC.`, 'DataCloneError');
}

/** A view carries its own bytes, not those of the buffer around it. */
const OPERATIONS = {
  viewInfo: (/** @type {any} */ view) => {
    const { byteOffset, byteLength } = view;
    refusePlatform(view.buffer);
    const whole = byteLength === view.buffer.byteLength && !view.buffer.resizable;
    const buffer = whole ? view.buffer : view.buffer.slice(byteOffset, byteOffset + byteLength);
    return { buffer, byteOffset: 0, byteLength, length: view.length, bufferByteLength: byteLength };
  },
  // A clone has no symbols.
  shapeOf: (/** @type {any} */ value) => {
    refusePlatform(value);
    const keys = ObjectKeys(value);
    for (let i = 0; i < keys.length; i += 1) keys[i] = encodedKey(keys[i]);
    return { kind: 'plain', keys };
  },
  get: (/** @type {any} */ value, /** @type {any} */ key) => value[typeof key === 'string' ? plainKey(key) : key],
};

/**
 * Bytes of the value itself, each object once: about what a structured clone of it takes, and Cloudflare stores.
 * @param {unknown} value
 * @param {Set<unknown>} [seen]
 * @returns {number}
 */
function sizeOf(value, seen = new SafeSet()) {
  if (typeof value === 'string') return textBytes(value);
  if (typeof value === 'bigint') return NativeString(value).length;
  if (typeof value === 'number') return (value | 0) === value ? INTEGER_BYTES : 8;
  if (typeof value !== 'object' || value === null) return 1;
  if (seen.has(value)) return 0;
  seen.add(value);
  if (ArrayBufferIsView(value) || value instanceof NativeArrayBuffer) return value.byteLength;
  return 8 + sizeOfMembers(value, seen);
}

/** Most integers are shorter than other numbers. */
const INTEGER_BYTES = 4;
const BEYOND_LATIN_1 = /[^\0-\xff]/;

/**
 * V8 has one byte for each character of a text where that is enough for all, and two otherwise. Nothing counts as nothing.
 * @param {string} text
 */
function textBytes(text) {
  if (text === '') return 1;
  return RegExpExec(BEYOND_LATIN_1, text) === null ? text.length : text.length * 2;
}

/**
 * @param {any} value
 * @param {Set<unknown>} seen
 */
function sizeOfMembers(value, seen) {
  let bytes = 0;
  if (value instanceof NativeMap) {
    for (const [key, member] of value) bytes += sizeOf(key, seen) + sizeOf(member, seen);
  } else if (value instanceof NativeSet) {
    for (const member of value) bytes += sizeOf(member, seen);
  } else if (value instanceof NativeError) {
    bytes += sizeOf(value.message, seen) + sizeOf(value.stack, seen) + sizeOf(value.cause, seen) + sizeOf(/** @type {any} */ (value).errors, seen);
  } else if (value instanceof NativeHeaders) {
    bytes += sizeOf([...value], seen);
  } else if (value instanceof NativeRegExp) {
    bytes += textBytes(value.source);
  } else {
    const keys = ObjectKeys(value);
    for (let i = 0; i < keys.length; i += 1) bytes += (ArrayIsArray(value) ? 0 : textBytes(keys[i])) + sizeOf(value[keys[i]], seen);
  }
  return bytes;
}

/**
 * The view for people, as JSON text.
 * @param {unknown} clone
 */
function viewText(clone) {
  viewedObjects = 0;
  const text = JSONStringify(view(clone, 0));
  if (text.length <= VIEW_LENGTH_MAX) return text;
  return JSONStringify(`${kindOf(clone)}, too long to show: ${StringToWellFormed(StringSlice(text, 0, VIEW_LENGTH_MAX / 4))}…`);
}

let viewedObjects = 0;

/**
 * @param {any} value
 * @param {number} depth
 * @returns {unknown}
 */
function view(value, depth) {
  switch (typeof value) {
    case 'string':
      return StringToWellFormed(value.length > VIEW_LENGTH_MAX ? `${StringSlice(value, 0, VIEW_LENGTH_MAX)}…` : value);
    case 'bigint':
      return NativeString(value);
    case 'number':
      return NumberIsFinite(value) ? value : NativeString(value);
    case 'object':
      return value === null ? null : viewObject(value, depth);
    default:
      return value ?? null;
  }
}

/**
 * @param {any} value
 * @param {number} depth
 * @returns {unknown}
 */
function viewObject(value, depth) {
  if (value instanceof NativeDate) return NumberIsNaN(DateGetTime(value)) ? 'Invalid Date' : DateToISOString(value);
  if (value instanceof NativeRegExp) return view(NativeString(value), depth);
  if (value instanceof NativeError) return { name: view(value.name, depth), message: view(value.message, depth) };
  if (value instanceof NativeHeaders) return view([...value], depth);
  if (isBoxed(value)) return view(value.valueOf(), depth);
  if (ArrayBufferIsView(value) || value instanceof NativeArrayBuffer) return `${kindOf(value)} of ${value.byteLength} bytes`;
  viewedObjects += 1;
  if (depth >= VIEW_DEPTH_MAX || viewedObjects > VIEW_OBJECTS_MAX) return kindOf(value);
  if (value instanceof NativeMap) return viewList([...value], depth);
  if (value instanceof NativeSet) return viewList([...value], depth);
  if (ArrayIsArray(value)) return viewList(value, depth);
  /** @type {Record<string, unknown>} */
  const shown = {};
  const keys = ObjectKeys(value);
  for (let i = 0; i < keys.length && i < VIEW_MEMBERS_MAX; i += 1) {
    const member = value[keys[i]];
    // As JSON has it: an undefined member is not there.
    if (member !== undefined) setOwn(shown, StringToWellFormed(keys[i]), view(member, depth + 1));
  }
  return shown;
}

/** @param {object} value */
function isBoxed(value) {
  return value instanceof NativeString || value instanceof NativeNumber || value instanceof NativeBoolean || value instanceof NativeBigInt;
}

/**
 * @param {unknown[]} list
 * @param {number} depth
 */
function viewList(list, depth) {
  const shown = [];
  for (let i = 0; i < list.length && i < VIEW_MEMBERS_MAX; i += 1) shown[i] = view(list[i], depth + 1);
  if (list.length > VIEW_MEMBERS_MAX) shown[VIEW_MEMBERS_MAX] = `… ${list.length - VIEW_MEMBERS_MAX} more`;
  return shown;
}

/** @param {any} value */
function kindOf(value) {
  return value === null || typeof value !== 'object' ? typeof value : (value.constructor?.name ?? 'Object');
}
