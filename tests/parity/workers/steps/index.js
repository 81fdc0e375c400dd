// Steps: how often they are tried, what their callbacks see, and how wrong uses are answered.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { driver, mark, outcome } from '../driver.js';

/** Fails as often as it is told, then works. */
export class Retries extends WorkflowEntrypoint {
  async run(event, step) {
    const { failures, config } = event.payload;
    const attempt = async (context) => {
      mark(event, `attempt ${context.attempt}`);
      if (context.attempt <= failures) throw new RangeError(`failure ${context.attempt}`);
      return { attempt: context.attempt };
    };
    return config === undefined ? await step.do('try', attempt) : await step.do('try', config, attempt);
  }
}

/** Answers what a callback sees of its step. */
export class Context extends WorkflowEntrypoint {
  async run(event, step) {
    const { name = 'look', config } = event.payload;
    const look = async (context) => context;
    return config === undefined ? await step.do(name, look) : await step.do(name, config, look);
  }
}

/** Calls `step.do` with what it is given and answers what became of it. */
export class Misuse extends WorkflowEntrypoint {
  async run(event, step) {
    const { args } = event.payload;
    const values = args.map((value) => (value === '$callback' ? async () => 'ran' : value));
    return await outcome(() => step.do(...values));
  }
}

/** Many steps at once. */
export class Many extends WorkflowEntrypoint {
  async run(event, step) {
    const numbers = Array.from({ length: event.payload.steps }, (_, index) => index);
    const results = await Promise.all(numbers.map((number) => step.do(`part ${number}`, async () => number)));
    return results.reduce((sum, number) => sum + number, 0);
  }
}

export default driver();
