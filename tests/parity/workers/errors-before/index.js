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

export default driver();
