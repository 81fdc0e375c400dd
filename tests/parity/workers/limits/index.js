// A workflow whose configuration allows ten steps.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { driver, mark, outcome } from '../driver.js';

/** Takes as many steps as it is told. */
export class TenSteps extends WorkflowEntrypoint {
  async run(event, step) {
    for (let index = 1; index <= event.payload.steps; index += 1) await step.do(`step ${index}`, async () => index);
    return 'done';
  }
}

/** Catches the refusal of a step, and ends well. */
export class TenStepsCaught extends WorkflowEntrypoint {
  async run(event, step) {
    for (let index = 1; index <= 10; index += 1) await step.do(`step ${index}`, async () => index);
    const refused = await outcome(() => step.do('one more', async () => mark(event, 'ran')));
    return refused;
  }
}

/** Sleeps are no steps. */
export class TenStepsAndSleeps extends WorkflowEntrypoint {
  async run(event, step) {
    for (let index = 1; index <= 10; index += 1) {
      await step.do(`step ${index}`, async () => index);
      await step.sleep(`rest ${index}`, 5);
    }
    return 'done';
  }
}

/** Failed attempts are no steps. */
export class TenStepsRetried extends WorkflowEntrypoint {
  async run(event, step) {
    for (let index = 1; index <= 10; index += 1) {
      await step.do(`step ${index}`, { retries: { limit: 1, delay: 1 } }, async ({ attempt }) => {
        if (attempt === 1) throw new Error('again');
      });
    }
    return 'done';
  }
}

/** Steps of a step count as well. */
export class TenStepsNested extends WorkflowEntrypoint {
  async run(event, step) {
    return await step.do('outer', { retries: { limit: 0, delay: 0 } }, async () => {
      for (let index = 1; index <= 10; index += 1) await step.do(`inner ${index}`, async () => index);
      return 'done';
    });
  }
}

export default driver();
