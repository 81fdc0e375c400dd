// The built-ins that the shim uses, captured before any user code is imported: user code may overwrite globals and prototypes, and
// a run that does so must harm no other run. The names say where they come from; methods take their receiver as first argument.

const uncurryThis = /** @type {(method: Function) => (...args: any[]) => any} */ (
  Function.prototype.bind.bind(Function.prototype.call)
);

export const ArrayIsArray = Array.isArray;
export const ArrayPrototype = Array.prototype;
export const DateNow = Date.now;
export const JSONParse = JSON.parse;
export const JSONStringify = JSON.stringify;
export const MathMax = Math.max;
export const MathMin = Math.min;
export const NativeAggregateError = AggregateError;
export const NativeArrayBuffer = ArrayBuffer;
export const NativeBigInt = BigInt;
export const NativeBoolean = Boolean;
export const NativeDataView = DataView;
export const NativeDate = Date;
export const NativeDOMException = DOMException;
export const NativeError = Error;
export const NativeHeaders = Headers;
export const NativeMap = Map;
export const NativeNumber = Number;
export const NativePromise = Promise;
export const NativeProxy = Proxy;
export const NativeReadableStream = ReadableStream;
export const NativeRegExp = RegExp;
export const NativeSet = Set;
export const NativeString = String;
export const NativeTextDecoder = TextDecoder;
export const NativeUint8Array = Uint8Array;
export const NumberIsFinite = Number.isFinite;
export const NumberIsNaN = Number.isNaN;
export const ObjectCreate = Object.create;
export const ObjectDefineProperty = Object.defineProperty;
export const ObjectFreeze = Object.freeze;
export const ObjectGetOwnPropertyDescriptor = Object.getOwnPropertyDescriptor;
export const ObjectGetPrototypeOf = Object.getPrototypeOf;
export const ObjectKeys = Object.keys;
export const ObjectPrototype = Object.prototype;
export const ObjectToString = Object.prototype.toString;
export const ReflectApply = Reflect.apply;
export const ReflectDeleteProperty = Reflect.deleteProperty;
export const ReflectOwnKeys = Reflect.ownKeys;
export const ArrayBufferIsView = ArrayBuffer.isView;

export const DateGetTime = uncurryThis(Date.prototype.getTime);
export const DateToISOString = uncurryThis(Date.prototype.toISOString);
export const FunctionToString = uncurryThis(Function.prototype.toString);
export const HasOwn = Object.hasOwn;
export const PromiseThen = uncurryThis(Promise.prototype.then);
export const RegExpExec = uncurryThis(RegExp.prototype.exec);
export const StringIsWellFormed = uncurryThis(String.prototype.isWellFormed);
export const StringIndexOf = uncurryThis(String.prototype.indexOf);
export const StringSlice = uncurryThis(String.prototype.slice);
export const StringStartsWith = uncurryThis(String.prototype.startsWith);
export const StringToWellFormed = uncurryThis(String.prototype.toWellFormed);

/**
 * Reads a property of built-in objects of this kind. Before 2022-01-31 such properties are the objects' own.
 * @param {object} prototype
 * @param {string} key
 * @returns {(of: any) => any}
 */
function getter(prototype, key) {
  const get = ObjectGetOwnPropertyDescriptor(prototype, key)?.get;
  return get === undefined ? (of) => of[key] : uncurryThis(get);
}

const TypedArrayPrototype = ObjectGetPrototypeOf(Uint8Array.prototype);
const Controller = /** @type {any} */ (globalThis).ReadableByteStreamController;
export const ArrayBufferGetByteLength = getter(ArrayBuffer.prototype, 'byteLength');
export const ControllerByobRequest = getter(Controller?.prototype ?? {}, 'byobRequest');
export const ControllerClose = method(Controller?.prototype, 'close');
export const ReaderCancel = uncurryThis(ReadableStreamDefaultReader.prototype.cancel);
export const ReaderRead = uncurryThis(ReadableStreamDefaultReader.prototype.read);
export const ReaderReleaseLock = uncurryThis(ReadableStreamDefaultReader.prototype.releaseLock);
export const ReaderReadAtLeast = uncurryThis(/** @type {any} */ (ReadableStreamBYOBReader.prototype).readAtLeast);
export const ResponseBody = getter(Response.prototype, 'body');
export const ResponseStatus = getter(Response.prototype, 'status');
export const ResponseText = uncurryThis(Response.prototype.text);
export const StreamGetReader = uncurryThis(ReadableStream.prototype.getReader);
export const StreamIsLocked = getter(ReadableStream.prototype, 'locked');
export const TextDecoderDecode = uncurryThis(TextDecoder.prototype.decode);
export const TypedArraySet = uncurryThis(TypedArrayPrototype.set);
export const TypedArraySubarray = uncurryThis(TypedArrayPrototype.subarray);

/**
 * A method of built-in objects of this kind, by name where the kind itself is hidden.
 * @param {any} prototype
 * @param {string} key
 * @returns {(of: any, ...args: any[]) => any}
 */
function method(prototype, key) {
  return prototype === undefined ? (of, ...args) => of[key](...args) : uncurryThis(prototype[key]);
}

export const nativeStructuredClone = structuredClone;
export const nativeQueueMicrotask = queueMicrotask;
export const nativeSetTimeout = setTimeout;
export const nativeClearTimeout = clearTimeout;
export const nativeSetInterval = setInterval;
export const nativeClearInterval = clearInterval;
export const NativeWebSocketPair = WebSocketPair;
export const NativeResponse = Response;
export const RequestHeadersGet = uncurryThis(Headers.prototype.get);

/** Tells the operator; user code may replace the console. */
export const complain = console.error.bind(console);

const encoder = new TextEncoder();
const encode = uncurryThis(TextEncoder.prototype.encode);

/**
 * Bytes of a text in UTF-8.
 * @param {string} text
 * @returns {number}
 */
export function utf8Length(text) {
  return encode(encoder, text).byteLength;
}

/**
 * A promise that `resolve` settles.
 * @template T
 * @returns {{promise: Promise<T>, resolve: (value: T) => void, reject: (reason: unknown) => void}}
 */
export function deferred() {
  /** @type {any} */
  const parts = {};
  parts.promise = new NativePromise((resolve, reject) => {
    parts.resolve = resolve;
    parts.reject = reject;
  });
  return parts;
}

/** @returns {Promise<never>} what a call on a forgotten run gives: nothing, ever. */
export function never() {
  return new NativePromise(() => {});
}

/**
 * A Map whose methods are its own, so that a changed `Map.prototype` does not reach it.
 * @template K, V
 * @extends {Map<K, V>}
 */
export class SafeMap extends Map {}

/**
 * A Set whose methods are its own.
 * @template T
 * @extends {Set<T>}
 */
export class SafeSet extends Set {}

/**
 * A WeakMap whose methods are its own.
 * @template {WeakKey} K
 * @template V
 * @extends {WeakMap<K, V>}
 */
export class SafeWeakMap extends WeakMap {}

const SAFE = [[SafeMap, NativeMap], [SafeSet, NativeSet], [SafeWeakMap, WeakMap]];
for (const [safe, native] of /** @type {[any, any][]} */ (SAFE)) {
  for (const key of ReflectOwnKeys(native.prototype)) {
    if (key === 'constructor') continue;
    ObjectDefineProperty(
      safe.prototype,
      key,
      /** @type {PropertyDescriptor} */ (ObjectGetOwnPropertyDescriptor(native.prototype, key)),
    );
  }
}
