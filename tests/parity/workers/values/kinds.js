// Values of every kind that structured clone carries, by name.

const shared = { same: true };
const cycle = { name: 'cycle' };
cycle.self = cycle;
const holes = [1, , 3];

class Point {
  constructor(x) {
    this.x = x;
  }
  double() {
    return this.x * 2;
  }
}

/** @type {Record<string, () => unknown>} */
export const KINDS = {
  text: () => 'größe 🚀',
  'empty-text': () => '',
  'lone-surrogate': () => 'a\ud800b',
  number: () => 1.5,
  zero: () => 0,
  'negative-zero': () => -0,
  nan: () => NaN,
  infinity: () => -Infinity,
  'large-number': () => Number.MAX_SAFE_INTEGER,
  boolean: () => false,
  null: () => null,
  undefined: () => undefined,
  bigint: () => 18446744073709551616n,
  object: () => ({ b: 1, a: { deep: [1, { deeper: null }] } }),
  'undefined-member': () => ({ a: undefined, b: 1 }),
  'null-prototype': () => Object.assign(Object.create(null), { a: 1 }),
  'proto-key': () => JSON.parse('{"__proto__": {"a": 1}, "b": 2}'),
  array: () => [1, 'two', [3]],
  'array-with-undefined': () => [undefined, 1],
  'array-with-holes': () => holes,
  date: () => new Date(86_400_000),
  'invalid-date': () => new Date(NaN),
  regexp: () => /a+b/gi,
  map: () => new Map([['a', new Date(1)], [{ key: 1 }, new Set([1])]]),
  set: () => new Set([1, 'a', 1n]),
  'array-buffer': () => new Uint8Array([1, 2, 3]).buffer,
  'uint8-array': () => new Uint8Array([0, 127, 255]),
  'float64-array': () => new Float64Array([1.5, -2, NaN]),
  'bigint64-array': () => new BigInt64Array([1n, -1n]),
  'data-view': () => new DataView(new Uint8Array([9, 8]).buffer),
  'view-of-larger-buffer': () => new Uint8Array(new Uint8Array([1, 2, 3, 4, 5, 6]).buffer, 2, 3),
  'nested-view-of-larger-buffer': () => ({ list: [new Uint8Array(new Uint8Array(1_000).fill(5).buffer, 10, 4)] }),
  error: () => new RangeError('as a value'),
  'error-with-cause': () => new Error('outer', { cause: new TypeError('inner') }),
  'errors-in-list': () => [new SyntaxError('one')],
  'error-with-members': () => Object.assign(new Error('outer'), { code: 5 }),
  'aggregate-error': () => new AggregateError([new TypeError('inner'), 2], 'several'),
  'dom-exception': () => new DOMException('given up', 'AbortError'),
  headers: () => new Headers([['a', '1'], ['set-cookie', 'b=1'], ['set-cookie', 'c=2']]),
  'nested-platform-values': () => [{ headers: new Headers({ a: '1' }) }, new DOMException('m', 'TimeoutError')],
  request: () => new Request('https://example.com/path'),
  'request-with-body': () => new Request('https://example.com/', { method: 'POST', body: 'text' }),
  response: () => new Response('text'),
  'response-without-body': () => new Response(null, { status: 204 }),
  blob: () => new Blob(['text']),
  url: () => new URL('https://example.com/path'),
  'shared-array-buffer': () => new SharedArrayBuffer(3),
  'view-of-shared-array-buffer': () => new Uint8Array(new SharedArrayBuffer(3)),
  'resizable-array-buffer': () => new ArrayBuffer(3, { maxByteLength: 10 }),
  'quotes-600-000': () => '"'.repeat(600_000),
  'latin-600-000': () => 'é'.repeat(600_000),
  'han-400-000': () => '漢'.repeat(400_000),
  'numbers-60-000': () => Array.from({ length: 60_000 }, (_, index) => Math.sqrt(index + 0.1)),
  'html-910-000': () => '<p class="a" id="b">t</p>\n'.repeat(910_000 / 26),
  'boxed-values': () => [new Number(5), new String('s'), new Boolean(false)],
  'shared-reference': () => [shared, shared],
  cycle: () => cycle,
  'class-instance': () => new Point(4),
  mixed: () => ({ when: new Date(0), what: new Map([['k', [1n, undefined]]]), bytes: new Uint8Array([1]) }),
  'bytes-200-kb': () => new Uint8Array(200_000).fill(3),
  'object-with-bytes': () => ({ name: 'n', data: new Uint8Array(200_000).fill(3) }),
  deep: () => Array.from({ length: 150 }).reduce((inner) => ({ inner }), 'bottom'),
  'many-members': () => Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`k${index}`, index])),
};

/** What can be asked of a value that a description does not tell. @param {string} kind @param {any} value */
export function identity(kind, value) {
  if (kind === 'shared-reference') return value[0] === value[1];
  if (kind === 'cycle') return value.self === value;
  if (kind === 'class-instance') return typeof value.double;
  if (kind === 'deep') {
    let depth = 0;
    for (let inner = value; inner !== 'bottom'; inner = inner.inner) depth += 1;
    return depth;
  }
  if (kind === 'numbers-60-000') return value.reduce((/** @type {number} */ sum, /** @type {number} */ member) => sum + member, value.length);
  if (kind === 'error-with-members') return value.code;
  if (kind === 'aggregate-error') return value.errors?.length;
  if (kind === 'dom-exception') return [value instanceof DOMException, value.code];
  if (kind === 'headers') return [value instanceof Headers, [...value]];
  if (kind === 'nested-platform-values') return [value[0].headers.get('a'), value[1] instanceof DOMException];
  if (kind === 'request') return value.url;
  if (kind === 'resizable-array-buffer') return [value.resizable, value.maxByteLength];
  if (kind === 'many-members') return Object.keys(value).length;
  return undefined;
}
