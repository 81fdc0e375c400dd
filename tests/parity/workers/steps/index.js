// Steps: how often they are tried, what their callbacks see, how they are combined, and how wrong uses are answered.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { NonRetryableError } from 'cloudflare:workflows';
import { driver, mark, marks, outcome } from '../driver.js';

const AT_ONCE = { retries: { limit: 0, delay: 0 } };

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

/** Answers whether each delay between its attempts was as long as it is told at least. */
export class Delays extends WorkflowEntrypoint {
  async run(event, step) {
    const { retries, least } = event.payload;
    const times = [];
    await step.do('try', { retries }, async ({ attempt }) => {
      times.push(Date.now());
      if (attempt <= least.length) throw new Error('again');
    });
    return least.map((ms, index) => times[index + 1] - times[index] >= ms);
  }
}

/** The delay is a function. */
export class DynamicDelay extends WorkflowEntrypoint {
  async run(event, step) {
    const { delay: kind, failures = 1 } = event.payload;
    const delays = {
      number: () => 20,
      text: () => '20 ms',
      async: async () => 20,
      seen: ({ ctx, error }) => {
        mark(event, `${ctx.step.name} ${ctx.step.count}, attempt ${ctx.attempt}, ${error.name}: ${error.message}`);
        mark(event, `config ${JSON.stringify(ctx.config)}`);
        return 10;
      },
      throws: () => {
        throw new TypeError('no delay today');
      },
      rejects: async () => {
        throw new TypeError('no delay tomorrow');
      },
      invalid: () => 'i like trains',
      nothing: () => undefined,
      negative: () => -5,
      hangs: () => new Promise(() => {}),
    };
    const config = { retries: { limit: 3, delay: delays[kind], backoff: 'constant' } };
    return await outcome(() =>
      step.do('try', config, async ({ attempt, config: seen }) => {
        mark(event, `attempt ${attempt}, delay ${seen.retries.delay}`);
        if (attempt <= failures) throw new RangeError(`failure ${attempt}`);
        return attempt;
      }),
    );
  }
}

/** Attempts that take too long. */
export class Timeouts extends WorkflowEntrypoint {
  async run(event, step) {
    const { hanging, timeout, limit = 0 } = event.payload;
    const config = { retries: { limit, delay: 10 }, timeout };
    return await outcome(() =>
      step.do('slow', config, async ({ attempt }) => {
        mark(event, `attempt ${attempt}`);
        if (attempt <= hanging) await new Promise((resolve) => setTimeout(resolve, 2_000));
        return attempt;
      }),
    );
  }
}

/** An attempt that is late must not be taken for its successor. */
export class LateAttempt extends WorkflowEntrypoint {
  async run(event, step) {
    const config = { retries: { limit: 1, delay: 10 }, timeout: 100 };
    const result = await step.do('late', config, async ({ attempt }) => {
      if (attempt === 1) await new Promise((resolve) => setTimeout(resolve, 2_000));
      return `attempt ${attempt}`;
    });
    await step.sleep('past it', 2_500);
    return result;
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

/** Changes the configuration that it is shown. */
export class MutatesConfig extends WorkflowEntrypoint {
  async run(event, step) {
    return await outcome(() =>
      step.do('try', { retries: { limit: 2, delay: 10 } }, async ({ attempt, config }) => {
        mark(event, `attempt ${attempt}, limit ${config.retries.limit}`);
        config.retries.limit = 0;
        config.timeout = 1;
        throw new Error('again');
      }),
    );
  }
}

/** A step goes on with the configuration that it began with, though the code has another by then. */
export class ConfigFixed extends WorkflowEntrypoint {
  async run(event, step) {
    const limit = marks(event, 'begun') === 0 ? 3 : 7;
    return await step.do('try', { retries: { limit, delay: 3_000, backoff: 'constant' } }, async ({ attempt, config }) => {
      mark(event, 'begun');
      if (attempt === 1) throw new Error('again');
      return config;
    });
  }
}

/** Calls `step.do` with what it is given and answers what became of it. */
export class Misuse extends WorkflowEntrypoint {
  async run(event, step) {
    const values = event.payload.args.map((value) => (value === '$callback' ? async () => 'ran' : value));
    return await outcome(() => step.do(...values));
  }
}

/** What is wrong is not caught. */
export class MisuseUncaught extends WorkflowEntrypoint {
  async run(event, step) {
    return await step.do('step', { unknown: true }, async () => 1);
  }
}

/** An error that must not be retried, in a Worker that only its date tells to keep it. */
export class NonRetryable extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('throws', async () => {
      throw new NonRetryableError('never again');
    });
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

/** Many steps, one after the other. */
export class Loop extends WorkflowEntrypoint {
  async run(event, step) {
    let sum = 0;
    for (let index = 0; index < event.payload.steps; index += 1) sum += await step.do(`round ${index}`, async () => index);
    return sum;
  }
}

/** Steps of one name, one after the other and at once. */
export class SameName extends WorkflowEntrypoint {
  async run(event, step) {
    const counted = () => step.do('same', async ({ step: { name, count } }) => `${name} ${count}`);
    const first = [await counted(), await counted()];
    const rest = await Promise.all([counted(), counted(), counted()]);
    return [...first, ...rest, await step.do('other', async ({ step: { count } }) => count)];
  }
}

/** Promises are held and awaited later, in another order. */
export class Held extends WorkflowEntrypoint {
  async run(event, step) {
    const a = step.do('a', async () => {
      mark(event, 'a');
      return 'A';
    });
    const b = step.do('b', async () => {
      mark(event, 'b');
      return 'B';
    });
    return event.payload.reversed ? [await b, await a] : [await a, await b];
  }
}

/** A race of two steps, then a sleep, then what was won again. */
export class Race extends WorkflowEntrypoint {
  async run(event, step) {
    const slow = step.do('slow', async () => {
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      return 'slow';
    });
    const fast = step.do('fast', async () => 'fast');
    const winner = await Promise.race([slow, fast]);
    await step.sleep('rest', 600);
    return { winner, both: [await slow, await fast], said: await step.do('say', async () => `won by ${winner}`) };
  }
}

/** Some steps fail, and all are looked at. */
export class Settled extends WorkflowEntrypoint {
  async run(event, step) {
    const parts = ['a', 'b', 'c'].map((name) =>
      step.do(name, AT_ONCE, async () => {
        if (name === 'b') throw new TypeError('not b');
        return name;
      }),
    );
    const settled = await Promise.allSettled(parts);
    return settled.map(({ status, value, reason }) => (status === 'fulfilled' ? value : `${reason.name}: ${reason.message}`));
  }
}

/** `Promise.any` passes over a failure. */
export class AnyOf extends WorkflowEntrypoint {
  async run(event, step) {
    const bad = step.do('bad', AT_ONCE, async () => {
      throw new Error('no');
    });
    const good = step.do('good', async () => 'good');
    return await Promise.any([bad, good]);
  }
}

/** Steps and a sleep within a step. */
export class Nested extends WorkflowEntrypoint {
  async run(event, step) {
    return await step.do('outer', async () => {
      mark(event, 'outer');
      const one = await step.do('inner', async () => {
        mark(event, 'inner');
        return 1;
      });
      await step.sleep('within', 50);
      const two = await step.do('inner', async ({ step: { count } }) => count);
      return { one, two };
    });
  }
}

/** A step within a step fails; the outer one decides what that means. */
export class NestedFailure extends WorkflowEntrypoint {
  async run(event, step) {
    return await step.do('outer', AT_ONCE, async () => {
      const inner = await outcome(() =>
        step.do('inner', AT_ONCE, async () => {
          throw new SyntaxError('inside');
        }),
      );
      return { inner };
    });
  }
}

/** A step that nobody waits for. */
export class Forgotten extends WorkflowEntrypoint {
  async run(event, step) {
    step.do('forgotten', async () => {
      mark(event, 'forgotten ran');
    });
    return await step.do('waited for', async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      return 'done';
    });
  }
}

/** A result that is needed by the next, in a loop with computed names. */
export class Chain extends WorkflowEntrypoint {
  async run(event, step) {
    let value = 1;
    for (const factor of [2, 3, 4]) value = await step.do(`times ${factor}`, async () => value * factor);
    return value;
  }
}

/** A callback that is not async, or answers nothing. */
export class PlainCallbacks extends WorkflowEntrypoint {
  async run(event, step) {
    const plain = await step.do('plain', () => 5);
    const nothing = await step.do('nothing', async () => {});
    const empty = await step.do('null', async () => null);
    const no = await step.do('false', async () => false);
    return { plain, nothing: nothing === undefined ? 'undefined' : nothing, empty, no };
  }
}

/** A callback that throws before it answers a promise. */
export class ThrowsAtOnce extends WorkflowEntrypoint {
  async run(event, step) {
    return await outcome(() =>
      step.do('throws', AT_ONCE, () => {
        throw new RangeError('at once');
      }),
    );
  }
}

export default driver();
