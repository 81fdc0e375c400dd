// What is recorded of an instance when a run starts, and the order in which its calls settle: live and on replay strictly the recorded
// one. A settlement whose call has not been made yet waits and holds up those after it, except where the call cannot come any more.

import { SafeMap, SafeSet } from './shim-builtins.js';

/**
 * @typedef {import('./shim-call.js').Kind} Kind
 * @typedef {import('./shim-call.js').Settlement} Settlement
 * @typedef {import('./shim-config.js').WireConfig} WireConfig
 * @typedef {{call: number, parent?: number, kind: Kind, name: string, count: number, config?: WireConfig, attempts?: number,
 *   attempt?: number, took_ms?: number, made?: boolean}} PastCall
 */

export class History {
  constructor() {
    /** @type {Map<string, PastCall>} recorded calls that have not been made in this run */
    this.unmade = new SafeMap();
    /** @type {Map<number, PastCall>} */
    this.byNumber = new SafeMap();
    /** @type {Set<number>} calls with a recorded settlement */
    this.settled = new SafeSet();
    /** @type {(Settlement | undefined)[]} */
    this.queue = [];
    this.head = 0;
    /** @type {Map<number, Settlement>} settlements that wait for a call without holding up others */
    this.loose = new SafeMap();
    /** Recorded calls with a rollback handler that have not been made in this run. */
    this.handlersUnmade = 0;
    /** @type {Map<number, Settlement>} settlements whose value must be asked for */
    this.large = new SafeMap();
  }

  /**
   * @param {PastCall[]} calls
   * @param {Settlement[]} settled
   */
  load(calls, settled) {
    for (let i = 0; i < calls.length; i += 1) {
      this.unmade.set(identity(calls[i].kind, calls[i].name, calls[i].count), calls[i]);
      this.byNumber.set(calls[i].call, calls[i]);
      if (calls[i].attempts !== undefined) this.handlersUnmade += 1;
    }
    for (let i = 0; i < settled.length; i += 1) this.push(settled[i]);
  }

  /** @param {Settlement} settlement */
  push(settlement) {
    if (this.byNumber.has(settlement.call)) this.settled.add(settlement.call);
    if (settlement.large !== undefined || (settlement.event !== undefined && settlement.event.payload === undefined)) {
      this.large.set(settlement.call, settlement);
    }
    this.queue[this.queue.length] = settlement;
  }

  /** @returns {Settlement | undefined} what settles next */
  peek() {
    return this.queue[this.head];
  }

  /** Removes what `peek` gave. */
  shift() {
    this.queue[this.head] = undefined;
    this.head += 1;
    if (this.head === this.queue.length) {
      this.queue = [];
      this.head = 0;
    }
  }

  /**
   * The recorded call that this one is, once.
   * @param {Kind} kind
   * @param {string} name
   * @param {number} count
   * @returns {PastCall | undefined}
   */
  take(kind, name, count) {
    if (this.unmade.size === 0) return undefined;
    const key = identity(kind, name, count);
    const past = this.unmade.get(key);
    if (past !== undefined) {
      past.made = true;
      if (past.attempts !== undefined) this.handlersUnmade -= 1;
      this.unmade.delete(key);
    }
    return past;
  }

  /**
   * Whether this run can still make the call.
   * @param {number} call
   */
  isExpected(call) {
    const past = this.byNumber.get(call);
    return past !== undefined && past.made !== true;
  }

  /** Whether what settles next belongs to a call that the code ought to have made before any new one. */
  isOvertaken() {
    const next = this.peek();
    return next !== undefined && this.isExpected(next.call) && !this.isBelowSettled(next.call);
  }

  /**
   * How long the code took the first time on its way to a call, as far as it has not made the calls before it in this run.
   * @param {number} last
   */
  wayMs(last) {
    let ms = 0;
    this.unmade.forEach(({ call, took_ms = 0 }) => {
      if (call <= last) ms += took_ms;
    });
    return ms;
  }

  /** @returns {number | undefined} a call that settled, has not been made in this run, and ought to have been */
  firstUnmade() {
    if (this.unmade.size === 0) return undefined;
    /** @type {number | undefined} */
    let first;
    this.unmade.forEach(({ call }) => {
      if (first === undefined && this.settled.has(call) && !this.isBelowSettled(call)) first = call;
    });
    return first;
  }

  /**
   * Whether a recorded call is never made again, because the step around it is settled.
   * @param {number} call
   */
  isBelowSettled(call) {
    let parent = this.byNumber.get(call)?.parent;
    while (parent !== undefined) {
      if (this.settled.has(parent)) return true;
      parent = this.byNumber.get(parent)?.parent;
    }
    return false;
  }

  /**
   * Puts a value that was asked for into its settlement.
   * @param {number} call
   * @param {{value: import('./shim-call.js').Received, stream?: import('./shim-stream.js').StreamRef, corrupt?: boolean}} answer
   */
  fill(call, { value, stream, corrupt }) {
    const settlement = this.large.get(call);
    if (settlement === undefined) return;
    this.large.delete(call);
    settlement.stream = stream;
    settlement.corrupt = corrupt;
    if (settlement.event === undefined) settlement.value = value;
    else settlement.event.payload = value;
  }
}

/**
 * @param {string} kind
 * @param {string} name
 * @param {number} count
 */
function identity(kind, name, count) {
  return `${kind}:${count}:${name}`;
}
