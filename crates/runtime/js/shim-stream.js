// Streams as step results: written to the server piece by piece while the user's stream is read, and read back piece by piece while user
// code reads what the step gave. At most one piece of a stream is held; the session only names it.

import {
  ArrayBufferGetByteLength, ArrayBufferIsView, ControllerByobRequest, ControllerClose, JSONParse, JSONStringify, MathMin, NativeDataView,
  NativeError, NativeReadableStream, NativeTextDecoder, NativeUint8Array, never, PromiseThen, ReaderCancel, ReaderRead, ReaderReleaseLock,
  ReaderReadAtLeast, ResponseBody, ResponseStatus, ResponseText, StreamGetReader, StreamIsLocked, StringSlice, TextDecoderDecode, TypedArraySet,
  TypedArraySubarray,
} from './shim-builtins.js';
import { FatalResultError, namedError } from './shim-errors.js';
import { askHost } from './shim-host.js';

/**
 * @typedef {import('./shim-call.js').Call} Call
 * @typedef {import('./shim-run.js').Run} Run
 * @typedef {{id: number, chunks: number, bytes: number}} StreamRef
 * @typedef {import('./value.js').WireText & {stream: StreamRef}} StreamText
 */

/** Bytes of a piece, as Cloudflare keeps it. */
const CHUNK_BYTES = 256 * 1024;
/** Largest chunk that user code may enqueue (Cloudflare). */
const INPUT_BYTES_MAX = 16 * 1024 * 1024;
/** Characters of the preview (Cloudflare). */
const PREVIEW_LENGTH_MAX = 1_024;
/** Bytes from which the preview is made: no character of UTF-8 has more than four. */
const PREVIEW_BYTES_MAX = 4 * PREVIEW_LENGTH_MAX;

const LOCKED =
  'Step returned a ReadableStream that is already locked or otherwise unreadable. Return a fresh, unlocked ReadableStream from step.do().';
const UNSUPPORTED =
  'Step returned a ReadableStream with unsupported chunk type. Only ArrayBuffer and TypedArray chunks are supported.';
const OVERSIZED =
  `Step returned a ReadableStream chunk larger than the maximum allowed size of ${INPUT_BYTES_MAX} bytes. Return smaller chunks from step.do().`;
const FULL = 'The instance has exceeded the 1GiB storage limit';

/** Answers of the server, by status. */
const OVER = 409;
const STORAGE_FULL = 507;

/**
 * Whether a result is to be written as a stream.
 * @param {unknown} value
 * @returns {value is ReadableStream}
 */
export function isStream(value) {
  return value instanceof NativeReadableStream;
}

/**
 * Writes the stream that an attempt gave. What it holds of it is one piece.
 * @param {Call} call
 * @param {number} attempt
 * @param {ReadableStream} stream
 * @returns {Promise<StreamText>}
 * @throws `FatalResultError` for a stream that cannot be a result, an ordinary error where it could not be kept
 */
export async function writeStream(call, attempt, stream) {
  const reader = openReader(call, stream);
  const writer = new StreamWriter(call, attempt);
  call.cancelStream = (reason) => cancel(reader, reason);
  try {
    for (let bytes = await next(call, reader); bytes !== null; bytes = await next(call, reader)) await writer.add(bytes);
    return await writer.finish();
  } catch (error) {
    cancel(reader, error);
    throw error;
  } finally {
    call.cancelStream = null;
    release(reader);
  }
}

/**
 * @param {Call} call
 * @param {ReadableStream} stream
 */
function openReader(call, stream) {
  if (StreamIsLocked(stream)) throw invalid(call, LOCKED);
  try {
    return StreamGetReader(stream);
  } catch {
    throw invalid(call, LOCKED);
  }
}

/**
 * The next bytes, `null` at the end.
 * @param {Call} call
 * @param {any} reader
 * @returns {Promise<Uint8Array | null>}
 */
async function next(call, reader) {
  let result;
  try {
    result = await ReaderRead(reader);
  } catch (error) {
    const reason = error instanceof NativeError ? error.message : `${error}`;
    throw invalid(call, `Failed to read from step ReadableStream output. ${reason}`);
  }
  if (result.done) return null;
  const bytes = bytesOf(call, result.value);
  if (bytes.byteLength > INPUT_BYTES_MAX) throw invalid(call, OVERSIZED);
  return bytes;
}

/**
 * @param {Call} call
 * @param {any} chunk
 * @returns {Uint8Array}
 */
function bytesOf(call, chunk) {
  if (chunk instanceof NativeUint8Array) return chunk;
  if (ArrayBufferIsView(chunk) && !(chunk instanceof NativeDataView)) {
    return new NativeUint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  try {
    return new NativeUint8Array(chunk, 0, ArrayBufferGetByteLength(chunk));
  } catch {
    throw invalid(call, UNSUPPORTED);
  }
}

/**
 * @param {any} reader
 * @param {unknown} reason
 */
function cancel(reader, reason) {
  try {
    // The user's stream may fail to be cancelled: nobody is left to be told.
    PromiseThen(ReaderCancel(reader, reason), undefined, () => {});
  } catch {
    // It is released already.
  }
}

/** @param {any} reader */
function release(reader) {
  try {
    ReaderReleaseLock(reader);
  } catch {
    // A read is under way: the stream stays locked, as nobody else has it.
  }
}

/**
 * What ends the instance.
 * @param {Call} call
 * @param {string} message
 */
function invalid(call, message) {
  const ends = `The execution of the Workflow instance was terminated, as the step "${call.name}" returned an invalid ReadableStream output. ${message}`;
  return new FatalResultError(message, ends);
}

class StreamWriter {
  /**
   * @param {Call} call
   * @param {number} attempt
   */
  constructor(call, attempt) {
    this.call = call;
    this.path = `/streams/${call.run.number}/${call.id}/${attempt}`;
    this.headers = { __proto__: null, 'x-stepwell-token': call.run.session.token };
    this.piece = new NativeUint8Array(CHUNK_BYTES);
    this.filled = 0;
    this.id = 0;
    this.chunks = 0;
    this.bytes = 0;
    /** @type {Uint8Array} the beginning */
    this.head = new NativeUint8Array(0);
  }

  /** @param {Uint8Array} bytes */
  async add(bytes) {
    let from = 0;
    while (from < bytes.byteLength) {
      const until = MathMin(bytes.byteLength, from + CHUNK_BYTES - this.filled);
      TypedArraySet(this.piece, TypedArraySubarray(bytes, from, until), this.filled);
      this.filled += until - from;
      from = until;
      if (this.filled === CHUNK_BYTES) await this.send();
    }
  }

  /** @returns {Promise<StreamText>} */
  async finish() {
    if (this.filled > 0 || this.id === 0) await this.send();
    const { id, chunks, bytes } = this;
    return { v: JSONStringify(previewOf(this.head, bytes)), stream: { id, chunks, bytes } };
  }

  /** Sends what has been filled; the first time, the server says the number of the stream. */
  async send() {
    const piece = TypedArraySubarray(this.piece, 0, this.filled);
    if (this.bytes === 0) this.head = new NativeUint8Array(TypedArraySubarray(piece, 0, MathMin(this.filled, PREVIEW_BYTES_MAX)));
    const path = this.id === 0 ? this.path : `${this.path}/${this.id}/${this.chunks}`;
    const answer = await this.post(path, piece);
    if (this.id === 0) this.id = JSONParse(answer).stream;
    if (this.filled > 0) this.chunks += 1;
    this.bytes += this.filled;
    this.filled = 0;
  }

  /**
   * @param {string} path
   * @param {Uint8Array} body
   * @returns {Promise<string>}
   */
  async post(path, body) {
    const { call } = this;
    if (call.run.dead) return never();
    let status;
    let text;
    try {
      const response = await askHost(path, { __proto__: null, method: 'POST', headers: this.headers, body });
      status = ResponseStatus(response);
      text = await ResponseText(response);
    } catch {
      status = 0;
    }
    if (call.run.dead) return never();
    if (status === 200) return /** @type {string} */ (text);
    if (status === STORAGE_FULL) throw new FatalResultError(FULL, FULL);
    if (status === OVER) throw namedError('WorkflowInternalError', 'The attempt that writes this ReadableStream is over.');
    throw namedError('WorkflowInternalError', `Storage failure for ${call.name}-${call.count} due to internal error.`);
  }
}

/**
 * What people see of a stream.
 * @param {Uint8Array} head its beginning
 * @param {number} bytes of the whole
 */
function previewOf(head, bytes) {
  const cut = bytes > head.byteLength;
  try {
    const decoder = new NativeTextDecoder('utf-8', { fatal: true, ignoreBOM: false });
    const text = TextDecoderDecode(decoder, head, { stream: cut });
    return cut || text.length > PREVIEW_LENGTH_MAX ? `${StringSlice(text, 0, PREVIEW_LENGTH_MAX)}[truncated output]` : text;
  } catch {
    return `[ReadableStream (binary): ${bytes} bytes]`;
  }
}

/**
 * A stream that reads a kept one as it is read itself.
 * @param {Run} run
 * @param {StreamRef} stream
 * @returns {ReadableStream<Uint8Array>}
 */
export function openStream(run, stream) {
  let left = stream.bytes;
  /** @type {any} */
  let reader;
  const source = {
    // As on Cloudflare, where the stream comes from another process: a reader may bring its own buffer.
    type: 'bytes',
    // V8 collects what is allocated so in time; of buffers that are made here and handed over it lets twice as much gather.
    autoAllocateChunkSize: CHUNK_BYTES,
    /** @param {any} controller */
    async pull(controller) {
      if (left === 0) return close(controller);
      reader ??= await openKept(run, stream);
      const request = ControllerByobRequest(controller);
      const given = bytesOfView(request.view);
      const wanted = MathMin(left, given.byteLength);
      const { value } = await ReaderReadAtLeast(reader, wanted, TypedArraySubarray(given, 0, wanted));
      if (run.dead) return never();
      if (value === undefined || value.byteLength !== wanted) throw namedError('Error', 'The streamed step output ends too early');
      left -= wanted;
      request.respondWithNewView(value);
    },
    /** @param {unknown} reason */
    cancel(reason) {
      if (reader !== undefined) cancel(reader, reason);
    },
  };
  // Nothing is read ahead: what nobody reads costs nothing.
  return new NativeReadableStream(/** @type {any} */ (source), { highWaterMark: 0 });
}

/** @param {any} controller */
function close(controller) {
  const request = ControllerByobRequest(controller);
  ControllerClose(controller);
  // A reader that brought a buffer waits for it.
  if (request !== null) request.respond(0);
}

/** @param {ArrayBufferView} view */
function bytesOfView(view) {
  return new NativeUint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/**
 * @param {Run} run
 * @param {StreamRef} stream
 * @returns {Promise<any>} a reader of its bytes
 */
async function openKept(run, stream) {
  if (run.dead) return never();
  const headers = { __proto__: null, 'x-stepwell-token': run.session.token };
  const response = await askHost(`/streams/${run.number}/${stream.id}`, { __proto__: null, method: 'GET', headers });
  if (run.dead) return never();
  if (ResponseStatus(response) !== 200) throw namedError('Error', 'The streamed step output cannot be read');
  return StreamGetReader(ResponseBody(response), { __proto__: null, mode: 'byob' });
}
