// The binding: what it is given and what it answers, and what an instance is told of itself.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { describe } from '../describe.js';
import { driver, mark, outcome, pass, statusOf } from '../driver.js';

/** Answers its params at once. */
export class Echo extends WorkflowEntrypoint {
  async run(event) {
    return { payload: describe(event.payload) };
  }
}

/** The same, as another workflow. */
export class Other extends WorkflowEntrypoint {
  async run(event) {
    return { other: describe(event.payload) };
  }
}

/** Answers what it is told about itself. */
export class Event extends WorkflowEntrypoint {
  async run(event, step) {
    const { instanceId, workflowName, timestamp, payload, ...rest } = event;
    const age = Date.now() - timestamp;
    const kept = await step.do('time', async () => timestamp.getTime());
    pass(event, 'seen');
    await step.waitForEvent('go on', { type: 'go' });
    return {
      instanceId,
      workflowName,
      payload,
      isDate: timestamp instanceof Date,
      isRecent: age >= -1_000 && age < 60_000,
      isSame: kept === timestamp.getTime(),
      others: Object.keys(rest),
    };
  }
}

/** Changes its event. */
export class MutatesEvent extends WorkflowEntrypoint {
  async run(event, step) {
    const seen = event.payload.n;
    const changed = await outcome(() => {
      event.payload.n = 99;
      return event.payload.n;
    });
    pass(event, JSON.stringify({ seen, changed }));
    await step.waitForEvent('go on', { type: 'go' });
    return seen;
  }
}

/** Its constructor is called with context and environment. */
export class Constructed extends WorkflowEntrypoint {
  constructor(ctx, env) {
    super(ctx, env);
    this.greeting = `${env.GREETING} from the constructor`;
  }

  async run() {
    const { ctx, env, greeting } = this;
    return {
      greeting,
      sameVariable: env.GREETING,
      waitUntil: typeof ctx.waitUntil,
      binding: typeof env.Echo.create,
      helper: this.helper(2),
    };
  }

  helper(value) {
    return value * 2;
  }
}

/** A class that extends another. */
class Base extends WorkflowEntrypoint {
  async greet(step, name) {
    return await step.do('greet', async () => `hello ${name}`);
  }
}

export class Derived extends WorkflowEntrypoint {
  async run(event, step) {
    return await Base.prototype.greet.call(this, step, 'you');
  }
}

/** Starts another instance and waits for it. */
export class Parent extends WorkflowEntrypoint {
  async run(event, step) {
    const id = await step.do('start', async () => {
      const child = await this.env.Echo.create({ id: `${event.instanceId}-child`, params: { from: event.instanceId } });
      return child.id;
    });
    return await step.do('result', { retries: { limit: 50, delay: 50, backoff: 'constant' } }, async () => {
      const { status, output } = await (await this.env.Echo.get(id)).status();
      if (status !== 'complete') throw new Error('not yet');
      return output;
    });
  }
}

/** Waits to be sent something by another instance. */
export class Receiver extends WorkflowEntrypoint {
  async run(event, step) {
    return (await step.waitForEvent('message', { type: 'message' })).payload;
  }
}

/** Sends to another instance. */
export class Sender extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('send', async () => {
      const receiver = await this.env.Receiver.get(event.payload.to);
      await receiver.sendEvent({ type: 'message', payload: { from: event.instanceId } });
      mark(event, 'sent');
    });
  }
}

/** Does nothing. */
export class Empty extends WorkflowEntrypoint {
  async run() {}
}

const outputOf = async (instance) => {
  for (let tries = 0; tries < 400; tries += 1) {
    const status = await statusOf(instance);
    if (['complete', 'errored', 'terminated'].includes(status.status)) return status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return 'never';
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export default driver({
  /** Each way to name params that are none. */
  async noParams(env) {
    const seen = {};
    for (const [name, create] of Object.entries({
      'no options': () => env.Echo.create(),
      'empty options': () => env.Echo.create({}),
      'undefined params': () => env.Echo.create({ params: undefined }),
    })) {
      seen[name] = await outcome(async () => (await outputOf(await create())).output);
    }
    return seen;
  },
  /** An id of the system's choice. */
  async ownId(env) {
    const [one, other] = [await env.Echo.create(), await env.Echo.create()];
    return { isUuid: UUID.test(one.id), differ: one.id !== other.id };
  },
  /** What a handle has. */
  async handle(env, id) {
    const instance = await env.Echo.create({ id });
    const methods = ['status', 'pause', 'resume', 'terminate', 'restart', 'sendEvent', 'delete', 'subscribe'];
    const again = await env.Echo.get(id);
    return { id: instance.id, again: again.id, methods: methods.map((name) => typeof instance[name]) };
  },
  /** What a binding has. */
  async binding(env) {
    return ['create', 'createBatch', 'get', 'deleteBatch'].map((name) => typeof env.Echo[name]);
  },
  /** Ids of a batch without ids, and their outputs. */
  async batchOutputs(env, id) {
    const created = await env.Echo.createBatch([{ params: 1 }, { id: `${id}-named`, params: 2 }]);
    const outputs = [];
    for (const instance of created) outputs.push((await outputOf(instance)).output);
    return { uuid: UUID.test(created[0].id), named: created[1].id, outputs };
  },
  async countedBatch(env) {
    const { created, errors } = await env.Echo.createBatch({ count: 3, params: { n: 1 } });
    const outputs = [];
    for (const instance of created) outputs.push((await outputOf(instance)).output);
    return { differ: new Set(created.map(({ id }) => id)).size, errors, outputs };
  },
  /** Deleted in one call, of which one was never there. */
  async deleteBatch(env, id) {
    const instances = await env.Echo.createBatch([{ id: `${id}-a` }, { id: `${id}-b` }]);
    for (const instance of instances) await outputOf(instance);
    const answer = await env.Echo.deleteBatch([`${id}-a`, `${id}-missing`, `${id}-b`, `${id}-missing`]);
    return { answer, gone: await outcome(() => env.Echo.get(`${id}-a`)) };
  },
  /** Two workflows may use one id. */
  async sameId(env, id) {
    const [echo, other] = [await env.Echo.create({ id, params: 1 }), await env.Other.create({ id, params: 2 })];
    const outputs = [await outputOf(echo), await outputOf(other)];
    await echo.delete();
    return { outputs, echo: await outcome(() => env.Echo.get(id)), other: (await statusOf(await env.Other.get(id))).status };
  },
  /** Many creations of one id at once: one wins. */
  async race(env, id) {
    const settled = await Promise.allSettled(Array.from({ length: 5 }, () => env.Echo.create({ id })));
    return settled.filter(({ status }) => status === 'fulfilled').length;
  },
});
