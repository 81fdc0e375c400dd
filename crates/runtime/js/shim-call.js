// One call of a step method: what it is, how it is told to the server, and how it settles.

import { deferred, JSONStringify, NativeDate } from './shim-builtins.js';
import { namedError, recordedError } from './shim-errors.js';
import { openStream } from './shim-stream.js';
import { fromWire, fromWireText } from './value.js';

/**
 * @typedef {import('./shim-run.js').Run} Run
 * @typedef {import('./value.js').WireText} WireText
 * @typedef {{v?: unknown, x?: string}} Received
 * @typedef {{name: string, message: string, stack?: string, cause?: string}} RecordedError
 * @typedef {import('./shim-stream.js').StreamRef} StreamRef
 * @typedef {WireText & {stream?: StreamRef}} ResultText
 * @typedef {{call: number, held?: boolean, value?: Received, stream?: StreamRef, corrupt?: boolean, large?: number, slept?: boolean,
 *   event?: {type: string, at: number, payload?: Received}, error?: RecordedError}} Settlement
 * @typedef {'do' | 'sleep' | 'sleep_until' | 'wait'} Kind
 * @typedef {{config: import('./shim-config.js').StepConfig, callback: Function}} Body
 */

export class Call {
  /**
   * @param {Run} run
   * @param {number} id number in the instance
   * @param {number | undefined} parent number of the calling call
   * @param {Kind} kind
   * @param {string} name
   * @param {number} count
   */
  constructor(run, id, parent, kind, name, count) {
    this.run = run;
    this.id = id;
    this.parent = parent;
    this.kind = kind;
    this.name = name;
    this.count = count;
    /** JSON of what `begin` says of the kind, for a sleep or a wait. */
    this.detail = '{}';
    /** @type {Body | null} */
    this.body = null;
    /** @type {import('./shim-rollback.js').Undo | null} its rollback handler */
    this.undo = null;
    /** The attempt whose result counts. */
    this.attempt = 0;
    /** The first attempt was started before the server knew the call. */
    this.optimistic = false;
    /** `begin` or `did` has been put into a frame. */
    this.told = false;
    /** @type {ResultText | null} the result that the server is asked to record */
    this.result = null;
    /** @type {RecordedError | null} the error of the last attempt */
    this.error = null;
    /** @type {((reason: unknown) => void) | null} stops reading the stream that the attempt gave */
    this.cancelStream = null;
    const { promise, resolve, reject } = deferred();
    /** @type {Promise<any>} */
    this.promise = promise;
    this.resolve = resolve;
    this.reject = reject;
  }

  /** Text of the first message about this call. */
  firstMessage() {
    this.told = true;
    return this.optimistic && this.result !== null && this.result.stream === undefined ? this.didMessage(this.result) : this.beginMessage();
  }

  beginMessage() {
    const detail = this.body === null ? this.detail : JSONStringify(this.body.config.wire ?? {});
    return `{"begin":{${this.identity()},"kind":{"${this.kind}":${detail}}${this.optimistic ? ',"started":true' : ''}${this.undoMember()}}}`;
  }

  /** @param {WireText} result */
  didMessage(result) {
    const wire = this.body?.config.wire;
    const config = wire === undefined ? '' : `,"config":${JSONStringify(wire)}`;
    return `{"did":{${this.identity()}${config},"value":${wireJson(result)}${this.undoMember()}}}`;
  }

  undoMember() {
    return this.undo === null ? '' : `,"rollback":${JSONStringify(this.undo.config.wire ?? {})}`;
  }

  identity() {
    const parent = this.parent === undefined ? '' : `,"parent":${this.parent}`;
    return `"run":${this.run.number},"call":${this.id}${parent},"name":${JSONStringify(this.name)},"count":${this.count}`;
  }

  /** @param {Settlement} settlement */
  settle(settlement) {
    if (this.undo !== null) this.undo.settlement = settlement;
    this.stopStream();
    const error = settlement.held === true ? this.error : settlement.error;
    if (error !== undefined && error !== null) return this.reject(recordedError(error));
    let value;
    try {
      value = this.valueOf(settlement);
    } catch {
      const text = `Stored output for ${this.name}-${this.count} is corrupt or incomplete.`;
      return this.reject(namedError('WorkflowInternalError', text));
    }
    this.resolve(value);
  }

  /** @returns {any} a copy of the result, undefined where there is none */
  outputForHandler() {
    const settlement = this.undo?.settlement;
    const failed = settlement?.error !== undefined || (settlement?.held === true && this.result === null);
    return settlement === undefined || failed ? undefined : this.valueOf(settlement);
  }

  /** The attempt that reads the user's stream no longer counts. */
  stopStream() {
    if (this.cancelStream !== null) this.cancelStream(namedError('AbortError', 'the attempt is over'));
  }

  /**
   * @param {Settlement} settlement
   * @returns {any}
   */
  valueOf(settlement) {
    const { corrupt, event, held, value } = settlement;
    if (corrupt === true) throw namedError('Error', 'not whole');
    const stream = held === true ? this.result?.stream : settlement.stream;
    if (stream !== undefined) return openStream(this.run, stream);
    if (held === true) return fromWireText(/** @type {WireText} */ (this.result));
    if (value !== undefined) return fromWire(value.v, value.x);
    if (event === undefined) return undefined;
    return { payload: fromWire(event.payload?.v, event.payload?.x), timestamp: new NativeDate(event.at), type: event.type };
  }
}

/**
 * JSON of a value in a message.
 * @param {WireText} wire
 */
export function wireJson(wire) {
  if (wire.x === undefined && wire.n === undefined) return wire.v === undefined ? '{}' : `{"v":${wire.v}}`;
  const exact = wire.x === undefined ? '' : `,"x":${wire.x}`;
  return `{"v":${wire.v}${exact}${wire.n === undefined ? '' : `,"n":${wire.n}`}}`;
}
