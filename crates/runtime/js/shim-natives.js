// Work on values with the prototypes as they were: the encoder of rich values calls methods of arrays, maps and texts, and user code that
// has changed one of them must not reach what other runs are given. What was changed is put back for the moment, which no user code sees.

import { ObjectDefineProperty, ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ReflectDeleteProperty } from './shim-builtins.js';

/** @typedef {{object: any, key: PropertyKey, descriptor: PropertyDescriptor}} Native */

const { iterator, replace } = Symbol;
const TypedArrayPrototype = ObjectGetPrototypeOf(Uint8Array.prototype);

/** @type {[any, PropertyKey[]][]} what the encoder and its decoder use */
const USED = [
  [Array.prototype, ['push', 'pop', 'join', 'slice', 'sort', 'filter', iterator]],
  [ArrayBuffer.prototype, ['slice', 'byteLength', 'maxByteLength', 'resizable']],
  [BigInt.prototype, ['toString', 'valueOf']],
  [Boolean.prototype, ['valueOf']],
  [DataView.prototype, ['buffer', 'byteLength', 'byteOffset']],
  [Date.prototype, ['getDate', 'toISOString']],
  [Function.prototype, ['apply', 'call']],
  [Headers.prototype, ['entries', iterator]],
  [Map.prototype, ['clear', 'entries', 'get', 'has', 'set', 'size', iterator]],
  [Number.prototype, ['toString', 'valueOf']],
  [Object.prototype, ['toString', 'valueOf']],
  [RegExp.prototype, ['exec', 'flags', 'source', 'test', replace]],
  [Set.prototype, ['add', 'delete', 'has', 'values', iterator]],
  [String.prototype, ['charCodeAt', 'isWellFormed', 'replace', 'slice', 'toString', 'valueOf']],
  [TypedArrayPrototype, ['buffer', 'byteLength', 'byteOffset', 'length', 'subarray']],
  [Uint8Array, ['fromBase64']],
  [Uint8Array.prototype, ['toBase64']],
  [ObjectGetPrototypeOf([].values()), ['next']],
  [ObjectGetPrototypeOf(new Headers().entries()), ['next', iterator]],
  [ObjectGetPrototypeOf(new Map().entries()), ['next']],
  [ObjectGetPrototypeOf(new Set().values()), ['next']],
];

/** @type {Native[]} */
const NATIVES = [];
for (const [object, keys] of USED) {
  for (const key of keys) {
    const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
    if (descriptor !== undefined) NATIVES.push({ object, key, descriptor });
  }
}

/**
 * Does `work`, which must call no user code.
 * @template T
 * @param {() => T} work
 * @returns {T}
 */
export function withNatives(work) {
  const changed = restoreNatives();
  if (changed === null) return work();
  try {
    return work();
  } finally {
    for (let i = 0; i < changed.length; i += 1) giveBack(changed[i]);
  }
}

/** @typedef {{object: any, key: PropertyKey, own: PropertyDescriptor | undefined}} Changed */

/** @returns {Changed[] | null} what user code had put there */
function restoreNatives() {
  /** @type {Changed[] | null} */
  let changed = null;
  for (let i = 0; i < NATIVES.length; i += 1) {
    const { object, key, descriptor } = NATIVES[i];
    const own = ObjectGetOwnPropertyDescriptor(object, key);
    if (own !== undefined && own.value === descriptor.value && own.get === descriptor.get) continue;
    changed ??= [];
    define(object, key, descriptor);
    define(changed, changed.length, { value: { object, key, own }, writable: true, enumerable: true, configurable: true });
  }
  return changed;
}

/** @param {Changed} changed */
function giveBack({ object, key, own }) {
  if (own === undefined) ReflectDeleteProperty(object, key);
  else define(object, key, own);
}

/**
 * @param {any} object
 * @param {PropertyKey} key
 * @param {PropertyDescriptor} descriptor
 */
function define(object, key, descriptor) {
  try {
    ObjectDefineProperty(object, key, descriptor);
  } catch {
    // User code has made it unchangeable: it stays as it is, for all.
  }
}
