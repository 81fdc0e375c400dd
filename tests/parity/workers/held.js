// Stands for `cloudflare:workers` while the server is about to be killed: what a call of `step` gives is recorded, and kept
// from the code, and so is the end of `run()`. So every instance is in the middle when the kill comes, however short it is.

export * from 'cloudflare:workers';
import { WorkflowEntrypoint as Entrypoint } from 'cloudflare:workers';
import { begun, ended, isHeld } from './driver.js';

const CALLS = ['do', 'sleep', 'sleepUntil', 'waitForEvent'];

export class WorkflowEntrypoint extends Entrypoint {
  /** @param {any} ctx @param {any} env */
  constructor(ctx, env) {
    super(ctx, env);
    const run = this.run;
    /** @param {any} event @param {any} step */
    this.run = (event, step) => {
      if (!isHeld(event.instanceId)) return run.call(this, event, step);
      const { instanceId } = event;
      return withheld(instanceId, () => run.call(this, event, holding(instanceId, step)));
    };
  }
}

/** @param {string} id @param {any} step */
function holding(id, step) {
  const calls = CALLS.map((name) => [name, (/** @type {any[]} */ ...args) => withheld(id, () => step[name](...args))]);
  return Object.fromEntries(calls);
}

/**
 * Never settles; that `act` has is noted.
 * @param {string} id @param {() => any} act
 */
function withheld(id, act) {
  begun(id);
  const settled = () => ended(id);
  try {
    Promise.resolve(act()).then(settled, settled);
  } catch {
    settled();
  }
  return new Promise(() => {});
}
