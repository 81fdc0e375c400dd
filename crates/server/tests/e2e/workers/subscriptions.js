import { WorkflowEntrypoint } from 'cloudflare:workers';

export class Told extends WorkflowEntrypoint {
  // Succeeds, fails once, sleeps, waits, and says something secret.
  async run({ payload }, step) {
    await step.do('first', async () => new Date(0));
    let tries = 0;
    await step.do('second', { retries: { limit: 1, delay: 5, backoff: 'constant' } }, async () => {
      tries += 1;
      if (tries === 1) throw new TypeError('once');
    });
    await step.do('secret', { sensitive: 'output' }, async () => 'hidden');
    await step.sleep('nap', 20);
    const { payload: sent } = await step.waitForEvent('wait', { type: 'go' });
    if (payload.fails) throw new RangeError('the end');
    return sent;
  }
}

export class Watcher extends WorkflowEntrypoint {
  // Subscribes to another instance from within a step.
  async run({ payload }, step) {
    return await step.do('watch', async () => await read(this.env.Told, payload.id, { filter: ['workflow_completed'] }));
  }
}

export class Many extends WorkflowEntrypoint {
  async run({ payload }, step) {
    for (let i = 0; i < payload.steps; i += 1) await step.do('each', async () => 'x'.repeat(payload.length));
  }
}

async function read(workflow, id, options, { count = Infinity, then } = {}) {
  const events = [];
  const instance = await workflow.get(id);
  const subscription = await instance.subscribe(options);
  if (then) await instance[then]();
  while (events.length < count) {
    const { done, value } = await subscription.next();
    if (done) return { events, done };
    if (value.params instanceof Date || value.output instanceof Date) value.isDate = true;
    events.push(value);
  }
  subscription[Symbol.dispose]?.();
  return { events, done: false };
}

async function sizes(workflow, id) {
  const subscription = await (await workflow.get(id)).subscribe({ filter: ['step_completed', 'workflow_completed'] });
  let [count, length, last, increasing] = [0, 0, -1, true];
  for (;;) {
    const { done, value } = await subscription.next();
    if (done) return { count, length, increasing };
    increasing &&= value.eventId > last;
    last = value.eventId;
    if (value.type === 'step_completed') {
      count += 1;
      length += value.output.length;
    }
  }
}

export default {
  // {workflow, id, options, count?, then?}: the events of a subscription, or its error. `then` is called once it is open.
  async fetch(request, env) {
    const { workflow, id, options, sum, ...more } = await request.json();
    try {
      if (sum) return Response.json(await sizes(env[workflow], id));
      return Response.json(await read(env[workflow], id, options, more));
    } catch (error) {
      return Response.json({ name: error.name, message: error.message });
    }
  },
};
