// Injected into the bundle of devalue: what it uses is captured when it is imported, before user code can replace it.
const g = self; // the build replaces the other name of the global object by `captured_`
const NativeObject = g.Object;
const Object_ = NativeObject.assign((/** @type {unknown} */ value) => NativeObject(value), {
  create: g.Object.create,
  freeze: g.Object.freeze,
  getOwnPropertyDescriptor: g.Object.getOwnPropertyDescriptor,
  getOwnPropertyNames: g.Object.getOwnPropertyNames,
  getOwnPropertySymbols: g.Object.getOwnPropertySymbols,
  getPrototypeOf: g.Object.getPrototypeOf,
  hasOwn: g.Object.hasOwn,
  keys: g.Object.keys,
});
NativeObject.defineProperty(Object_, 'prototype', { value: NativeObject.prototype });
const JSON_ = { parse: g.JSON.parse, stringify: g.JSON.stringify };
const { Array: Array_, BigInt: BigInt_, Date: Date_, Map: Map_, Set: Set_, RegExp: RegExp_, Error: Error_, Promise: Promise_ } = g;
const { ArrayBuffer: ArrayBuffer_, Number: Number_, String: String_, Symbol: Symbol_, isNaN: isNaN_, Uint8Array: Uint8Array_ } = g;
const { URL: URL_, URLSearchParams: URLSearchParams_ } = g;
/** @type {Record<string, unknown>} */
const captured_ = {};
const views = ['Int8', 'Uint8', 'Uint8Clamped', 'Int16', 'Uint16', 'Int32', 'Uint32', 'Float16', 'Float32', 'Float64', 'BigInt64', 'BigUint64'];
for (const name of [...views.map((kind) => `${kind}Array`), 'DataView']) captured_[name] = /** @type {any} */ (g)[name];
export {
  Object_ as Object, JSON_ as JSON, Array_ as Array, BigInt_ as BigInt, Date_ as Date, Map_ as Map, Set_ as Set, RegExp_ as RegExp,
  Error_ as Error, Promise_ as Promise, ArrayBuffer_ as ArrayBuffer, Number_ as Number, String_ as String, Symbol_ as Symbol,
  isNaN_ as isNaN, Uint8Array_ as Uint8Array, URL_ as URL, URLSearchParams_ as URLSearchParams, captured_,
};
