// Sagas: what is undone when an instance fails or is terminated with a rollback, and what handlers see.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { NonRetryableError } from 'cloudflare:workflows';
import { describe, describeError } from '../describe.js';
import { driver, mark, marks, outcome, pass, statusOf } from '../driver.js';

const ONCE = { retries: { limit: 0, delay: 0 } };

/** A handler that notes its step and what it made. */
const undo = (event) => ({
  rollback: async ({ output, stepName }) => mark(event, `undo ${stepName} ${JSON.stringify(describe(output))}`),
});

const fail = (message) => async () => {
  throw new TypeError(message);
};

/** Steps with and without handlers, of which some fail. */
export class Saga extends WorkflowEntrypoint {
  async run(event, step) {
    const { payload } = event;
    await step.do('book', async () => ({ seat: 7 }), undo(event));
    await step.do('look', async () => 1);
    await step.do('pay', ONCE, async () => new Date(5), undo(event));
    if (payload.caught) await step.do('notify', ONCE, fail('nobody there'), undo(event)).catch(() => undefined);
    if (payload.fails) await step.do('ship', ONCE, fail('lost at sea'), undo(event));
    if (payload.throws) throw new RangeError('after all steps');
    return 'done';
  }
}

/** Steps that end in another order than they begin in. */
export class Parallel extends WorkflowEntrypoint {
  async run(event, step) {
    const takes = (name, ms) => step.do(name, async () => void (await scheduler.wait(ms)), undo(event));
    await Promise.all([takes('slow', 300), takes('quick', 1), takes('medium', 100)]);
    throw new Error('at the end');
  }
}

/** A handler between two others that fails as often as it is told. */
export class Retried extends WorkflowEntrypoint {
  async run(event, step) {
    const { payload } = event;
    await step.do('first', async () => 1, undo(event));
    const rollback = async () => {
      mark(event, 'try');
      if (payload.hangs) await new Promise(() => {});
      if (payload.final) throw new NonRetryableError('cannot be undone');
      if (marks(event, 'try') <= payload.failures) throw new RangeError(`try ${marks(event, 'try')}`);
    };
    const retries = { limit: 2, delay: payload.dynamic ? () => 20 : 20, backoff: 'constant' };
    await step.do('second', async () => 2, { rollback, rollbackConfig: { retries, timeout: payload.timeout ?? '5 seconds' } });
    await step.do('third', async () => 3, undo(event));
    throw new Error('whole');
  }
}

/** A handler that tells everything that it is given. */
export class Context extends WorkflowEntrypoint {
  async run(event, step) {
    const { payload } = event;
    const rollback = async ({ ctx, error, output, stepName, ...rest }) => {
      const { step: of, attempt, config, ...more } = ctx;
      const { retries, timeout } = config;
      mark(event, `step ${of.name} ${of.count} as ${stepName}, attempt ${attempt}`);
      mark(event, `retries ${retries.limit} ${retries.delay} ${retries.backoff}, timeout ${timeout}`);
      mark(event, `output ${JSON.stringify(describe(output))}`);
      mark(event, `error ${JSON.stringify(describeError(error))}`);
      mark(event, `others ${Object.keys({ ...rest, ...more })}`);
    };
    const delay = payload.dynamic ? () => 5 : 5;
    const config = { retries: { limit: 2, delay, backoff: 'linear' }, timeout: '3 seconds' };
    const callback = async ({ attempt }) => {
      if (payload.fails || attempt === 1) throw new TypeError(`attempt ${attempt}`);
      return attempt;
    };
    await step.do('tried', config, callback, { rollback }).catch(() => undefined);
    if (payload.waits) {
      pass(event, 'waits');
      await step.waitForEvent('wait', { type: 'go' });
    }
    throw new Error('for good');
  }
}

/** Waits for something after each kind of step. */
export class Waits extends WorkflowEntrypoint {
  async run(event, step) {
    const { payload } = event;
    await step.do('book', async () => 7, undo(event));
    await step.do('notify', ONCE, fail('nobody there'), undo(event)).catch(() => undefined);
    await step.sleep('nap', 10);
    if (payload.times_out) {
      const late = await step.waitForEvent('late', { type: 'never', timeout: 1000 }).catch(() => 'late');
      await step.do(`after ${JSON.stringify(describe(late))}`, async () => 1, undo(event));
    }
    if (payload.slow) {
      const rollback = async () => {
        await scheduler.wait(1000);
        mark(event, 'undone slowly');
      };
      await step.do('slow', async () => 1, { rollback });
    }
    if (payload.retries) {
      await step.do('retries', { retries: { limit: 5, delay: '1 hour' } }, async () => {
        mark(event, 'failed');
        throw new Error('not yet');
      }, undo(event));
    }
    if (payload.hangs) {
      await step.do('hangs', async () => {
        mark(event, 'hangs');
        await new Promise(() => {});
      }, undo(event));
    }
    pass(event, 'waits');
    await step.waitForEvent('wait', { type: 'go' });
    await step.do('after', async () => mark(event, 'after'), undo(event));
    return 'done';
  }
}

const forgetful = new Set();

/** Its code has no handler any more when it runs again. */
export class Forgetful extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('book', async () => 7, ...(forgetful.has(event.instanceId) ? [] : [undo(event)]));
    pass(event, 'waits');
    await step.waitForEvent('wait', { type: 'forget' });
    forgetful.add(event.instanceId);
    pass(event, 'forgot');
    await step.waitForEvent('wait', { type: 'go' });
  }
}

/** A step within a step, both with handlers. */
export class Nested extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('outer', async () => (await step.do('inner', async () => 1, undo(event))) + 1, undo(event));
    if (event.payload.waits) {
      pass(event, 'waits');
      await step.waitForEvent('wait', { type: 'go' });
    }
    throw new Error('whole');
  }
}

/** A handler that wants to do more steps. */
export class Steps extends WorkflowEntrypoint {
  async run(event, step) {
    const rollback = async () => {
      mark(event, JSON.stringify(await outcome(() => step.do('new', async () => mark(event, 'ran')))));
      mark(event, JSON.stringify(await outcome(() => step.waitForEvent('w', { type: 'go', timeout: 1000 }))));
    };
    await step.do('book', async () => 7, { rollback });
    throw new Error('whole');
  }
}

/** Options that are none. */
export class Misuse extends WorkflowEntrypoint {
  async run({ payload }, step) {
    const rollback = async () => {};
    const options = {
      text: 'text',
      null: null,
      list: [],
      empty: {},
      no_function: { rollback: 'text' },
      config_null: { rollback, rollbackConfig: null },
      config_unknown: { rollback, rollbackConfig: { limit: 1 } },
      config_without_delay: { rollback, rollbackConfig: { retries: { limit: 1 } } },
      config_timeout_zero: { rollback, rollbackConfig: { timeout: 0 } },
      config_empty: { rollback, rollbackConfig: {} },
      undefined: undefined,
    };
    return await outcome(() => step.do('s', async () => 1, options[payload.kind]));
  }
}

/** All events of a rollback that a subscriber is told, without what differs from run to run and members that are `undefined`. */
const rollbackEvents = async (subscription) => {
  const seen = [];
  for (;;) {
    const { done, value } = await subscription.next();
    if (done) return seen;
    const { eventId, timestamp, instanceId, config, ...rest } = value;
    if (value.type.startsWith('rollback')) seen.push(JSON.parse(JSON.stringify(rest)));
  }
};

export default driver({
  /** What a status is as soon as `terminate` has answered. */
  async terminated(env, id) {
    const instance = await env.Waits.get(id);
    await instance.terminate({ rollback: true });
    return (await statusOf(instance)).status;
  },
  async events(env, id, params) {
    const instance = await env.Retried.create({ id, params });
    return await rollbackEvents(await instance.subscribe());
  },
});
