// What can be done with the history of an instance: restart from a step, and subscribe to what happens.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { describe } from '../describe.js';
import { driver, mark, outcome, pass, statusOf } from '../driver.js';

/** Steps, of which some have one name. */
export class Steps extends WorkflowEntrypoint {
  async run(event, step) {
    const seen = [];
    for (const name of ['a', 'b', 'b', 'c']) {
      seen.push(
        await step.do(name, async ({ step: { count } }) => {
          mark(event, `${name} ${count}`);
          return `${name} ${count}`;
        }),
      );
    }
    if (event.payload.waits) {
      pass(event, 'waits');
      seen.push((await step.waitForEvent('w', { type: 'go' })).payload);
    }
    await step.sleep('rest', 20);
    const last = async () => {
      mark(event, 'last');
      return 'last';
    };
    seen.push(await step.do('last', last));
    return seen;
  }
}

/** Succeeds, fails, waits and sleeps. */
export class Story extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('fine', async () => ({ n: 1 }));
    await step.do('retried', { retries: { limit: 1, delay: 10 } }, async ({ attempt }) => {
      if (attempt === 1) throw new RangeError('once');
    });
    await step.sleep('nap', 20);
    try {
      await step.do('fails', { retries: { limit: 0, delay: 0 } }, async () => {
        throw new TypeError('for good');
      });
    } catch {
      // It goes on.
    }
    await step.waitForEvent('w', { type: 'go', timeout: '1 second' }).catch(() => undefined);
    if (event.payload.fails) throw new Error('in the end');
    return 'told';
  }
}

/** All events of a subscription, without what differs from run to run, and without how the configuration is spelt. */
const events = async (subscription) => {
  const seen = [];
  for (;;) {
    const { done, value } = await subscription.next();
    if (done) return seen;
    const { eventId, timestamp, instanceId, config, ...rest } = value;
    seen.push(config === undefined ? rest : { ...rest, limit: config.retries.limit });
  }
};

/** Whether it waits or runs is told apart from what it does. */
const isWaiting = ({ type }) => type === 'workflow_waiting' || type === 'workflow_running';

const ended = async (instance) => {
  for (let tries = 0; tries < 400; tries += 1) {
    const status = await statusOf(instance);
    if (['complete', 'errored', 'terminated'].includes(status.status)) return status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return 'never';
};

export default driver({
  /** Everything that happens. */
  async story(env, id, fails) {
    const instance = await env.Story.create({ id, params: { fails } });
    const live = await events(await instance.subscribe());
    const again = await events(await instance.subscribe());
    return { live: live.filter((event) => !isWaiting(event)), same: JSON.stringify(live) === JSON.stringify(again) };
  },
  /** That it waits and goes on. */
  async waiting(env, id) {
    const instance = await env.Story.create({ id, params: {} });
    return (await events(await instance.subscribe())).filter(isWaiting).length > 1;
  },
  /** How configurations are told. */
  async configs(env, id) {
    const instance = await env.Story.create({ id, params: {} });
    await ended(instance);
    const subscription = await instance.subscribe({ filter: ['step_started'] });
    return (await subscription.next()).value.config;
  },
  /** Only some of it. */
  async filtered(env, id) {
    const instance = await env.Story.create({ id, params: {} });
    await ended(instance);
    return await events(await instance.subscribe({ filter: ['step_completed', 'workflow_completed'] }));
  },
  /** From the middle on. */
  async cursor(env, id) {
    const instance = await env.Story.create({ id, params: {} });
    await ended(instance);
    const all = [];
    const subscription = await instance.subscribe();
    for (let next = await subscription.next(); !next.done; next = await subscription.next()) all.push(next.value);
    const middle = all[3];
    const rest = await instance.subscribe({ cursor: middle.eventId });
    const first = (await rest.next()).value;
    const increasing = all.every(({ eventId }, index) => index === 0 || eventId > all[index - 1].eventId);
    return {
      increasing,
      first: first.type === all[4].type && first.eventId === all[4].eventId,
      members: describe({ instanceId: first.instanceId === id, timestamp: typeof first.timestamp, eventId: typeof first.eventId }),
    };
  },
  /** Options that are none. */
  async badOptions(env, id) {
    const instance = await env.Steps.create({ id, params: {} });
    const bad = [{ cursor: -1 }, { cursor: 1.5 }, { cursor: 'x' }, { filter: ['nothing'] }, { filter: 'x' }];
    return await Promise.all(bad.map((options) => outcome(async () => void (await instance.subscribe(options)))));
  },
});
