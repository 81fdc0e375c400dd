// Values as JSON that tells their types, so that a Date and its text are not the same observation.

/** Longer texts are told by their length and beginning. */
const TEXT_MAX = 700;
/** Longer bytes are told by their length and sum. */
const BYTES_MAX = 16;

/**
 * @param {any} value
 * @param {any[]} [above] the values that hold this one
 * @returns {any}
 */
export function describe(value, above = []) {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'string') return describeText(value);
  if (typeof value === 'number') {
    return Number.isFinite(value) && !Object.is(value, -0) ? value : { $: 'number', is: Object.is(value, -0) ? '-0' : String(value) };
  }
  if (typeof value === 'undefined') return { $: 'undefined' };
  if (typeof value !== 'object') return { $: typeof value, is: String(value) };
  const depth = above.indexOf(value);
  if (depth >= 0) return { $: 'cycle', depth };
  return describeObject(value, [...above, value]);
}

/** @param {any} error */
export function describeError(error) {
  if (!(error instanceof Error)) return { thrown: describe(error) };
  return { name: error.name, message: describeText(error.message) };
}

/** @param {string} text */
function describeText(text) {
  return text.length <= TEXT_MAX ? text : { $: 'text', length: text.length, begins: text.slice(0, 20) };
}

/** @param {any} value @param {any[]} above */
function describeObject(value, above) {
  const inner = (/** @type {any} */ member) => describe(member, above);
  if (Array.isArray(value)) return Array.from(value, (member, index) => (index in value ? inner(member) : { $: 'hole' }));
  if (value instanceof Error) return { $: 'Error', class: value.constructor.name, ...describeError(value) };
  if (value instanceof Date) return { $: 'Date', at: value.getTime() };
  if (value instanceof RegExp) return { $: 'RegExp', is: String(value) };
  if (value instanceof Map) return { $: 'Map', entries: Array.from(value, ([key, member]) => [inner(key), inner(member)]) };
  if (value instanceof Set) return { $: 'Set', members: Array.from(value, inner) };
  if (value instanceof ArrayBuffer) return { $: 'ArrayBuffer', ...describeBytes(new Uint8Array(value)) };
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return { $: value.constructor.name, buffer: value.buffer.byteLength, ...describeBytes(bytes) };
  }
  if (value instanceof ReadableStream) return { $: 'ReadableStream' };
  if (value instanceof Boolean || value instanceof Number || value instanceof String) {
    return { $: value.constructor.name, is: String(value) };
  }
  return describeMembers(value, inner);
}

/** @param {any} value @param {(member: any) => any} inner */
function describeMembers(value, inner) {
  const members = Object.fromEntries(Object.keys(value).sort().map((key) => [key, inner(value[key])]));
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return members;
  return { $: 'object', class: value.constructor?.name, members };
}

/** @param {Uint8Array} bytes */
function describeBytes(bytes) {
  if (bytes.length <= BYTES_MAX) return { bytes: Array.from(bytes) };
  return { length: bytes.length, sum: bytes.reduce((sum, byte) => sum + byte, 0) };
}
