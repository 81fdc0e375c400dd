// What a compatibility date before 2026-05-14 does to an error that must not be retried.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { describeError } from '../describe.js';
import { driver, mark } from '../driver.js';
import { FAILURES } from '../errors/failures.js';

/** A step throws, and nobody catches it. */
export class OldStepThrows extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('throws', async ({ attempt }) => {
      mark(event, `attempt ${attempt}`);
      throw FAILURES[event.payload.what]();
    });
  }
}

/** A step throws, and what is caught is looked at. */
export class OldStepThrowsCaught extends WorkflowEntrypoint {
  async run(event, step) {
    try {
      await step.do('throws', { retries: { limit: 0, delay: 0 } }, async () => {
        throw FAILURES[event.payload.what]();
      });
    } catch (error) {
      return describeError(error);
    }
  }
}

/** `run` throws. */
export class OldRunThrows extends WorkflowEntrypoint {
  async run(event) {
    throw FAILURES[event.payload.what]();
  }
}

/** A step throws, which is caught, and the instance waits. */
export class OldCaughtAndWaits extends WorkflowEntrypoint {
  async run(event, step) {
    const failed = step.do('throws', async () => {
      throw FAILURES[event.payload.what]();
    });
    await failed.catch(() => {});
    await step.waitForEvent('go on', { type: 'go' });
  }
}

export default driver({
  /** What is told of the attempt. */
  async told(env, id, what) {
    const instance = await env.OldCaughtAndWaits.create({ id, params: { what } });
    const subscription = await instance.subscribe({ filter: ['attempt_errored'] });
    const { value } = await subscription.next();
    return value.error;
  },
});
