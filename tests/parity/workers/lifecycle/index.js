// What is done to instances from outside: pause, resume, restart, terminate, delete.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { driver, mark, outcome, pass, statusOf } from '../driver.js';

/** Waits for an event between two steps. */
export class Waiting extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('before', async () => mark(event, 'before'));
    pass(event, 'waits');
    const { payload } = await step.waitForEvent('wait', { type: 'go' });
    await step.do('after', async () => mark(event, 'after'));
    return { payload, params: event.payload };
  }
}

/** A step that takes a while, then another. */
export class Slow extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('slow', async () => {
      mark(event, 'slow begins');
      await new Promise((resolve) => setTimeout(resolve, event.payload.ms));
      mark(event, 'slow ends');
    });
    await step.do('next', async () => mark(event, 'next'));
    return 'done';
  }
}

/** Several slow steps at once, then another. */
export class SlowTogether extends WorkflowEntrypoint {
  async run(event, step) {
    const slow = (name, ms) =>
      step.do(name, async () => {
        mark(event, `${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, ms));
        mark(event, `${name} ends`);
        return name;
      });
    const parts = await Promise.all([slow('a', 3_000), slow('b', 4_000)]);
    await step.do('next', async () => mark(event, 'next'));
    return parts;
  }
}

/** Sleeps between two steps. */
export class Sleeping extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('before', async () => mark(event, 'before'));
    await step.sleep('rest', event.payload.ms);
    await step.do('after', async () => mark(event, 'after'));
    return 'woken';
  }
}

/** Waits for its next attempt. */
export class Retrying extends WorkflowEntrypoint {
  async run(event, step) {
    return await step.do('try', { retries: { limit: 3, delay: 3_500, backoff: 'constant' } }, async ({ attempt }) => {
      mark(event, `attempt ${attempt}`);
      if (attempt < 2) throw new Error('again');
      return attempt;
    });
  }
}

/** Ends as it is told. */
export class Quick extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('only', async () => mark(event, 'ran'));
    if (event.payload.fails) throw new Error('failed');
    return event.payload;
  }
}

/** Cleans up whatever happens. */
export class Careful extends WorkflowEntrypoint {
  async run(event, step) {
    try {
      pass(event, 'waits');
      await step.waitForEvent('wait', { type: 'go' });
      mark(event, 'goes on');
    } catch (error) {
      mark(event, `caught ${error}`);
    } finally {
      mark(event, 'finally');
    }
  }
}

/** Deletes itself. */
export class DeletesItself extends WorkflowEntrypoint {
  async run(event, step) {
    mark(event, 'begins');
    const instance = await this.env.DeletesItself.get(event.instanceId);
    await step.do('delete', { retries: { limit: 0, delay: 0 } }, async () => await instance.delete());
    await step.sleep('never over', 300);
    mark(event, 'went on');
  }
}

const until = async (instance, wanted) => {
  for (let tries = 0; tries < 400; tries += 1) {
    const { status } = await instance.status();
    if (wanted.includes(status)) return status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return 'never';
};

export default driver({
  /** A handle is kept while its instance is restarted. */
  async keptHandle(env, id) {
    const instance = await env.Quick.create({ id, params: { n: 1 } });
    await until(instance, ['complete']);
    await instance.restart();
    const after = await until(instance, ['complete']);
    return { after, status: await statusOf(instance) };
  },
  /** Everything that a deleted instance can be asked. */
  async deleted(env, id) {
    const instance = await env.Quick.create({ id, params: {} });
    await until(instance, ['complete']);
    const answers = { delete: await outcome(() => instance.delete()) };
    for (const method of ['status', 'pause', 'resume', 'terminate', 'restart']) answers[method] = await outcome(() => instance[method]());
    answers.sendEvent = await outcome(() => instance.sendEvent({ type: 'go' }));
    answers.again = await outcome(() => instance.delete());
    answers.get = await outcome(() => env.Quick.get(id));
    return answers;
  },
  /** The id of a deleted instance is free again. */
  async createdAgain(env, id) {
    const instance = await env.Quick.create({ id, params: { n: 1 } });
    await until(instance, ['complete']);
    await instance.delete();
    const again = await env.Quick.create({ id, params: { n: 2 } });
    await until(again, ['complete']);
    return await statusOf(again);
  },
});
