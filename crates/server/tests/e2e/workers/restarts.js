import { WorkflowEntrypoint } from 'cloudflare:workers';

// How often each callback was called, and what may go on, over all runs in this isolate.
const calls = {};
const released = new Set();

export class Chain extends WorkflowEntrypoint {
  // Each result says how often its callback has been called for this instance.
  async run({ payload, instanceId }, step) {
    const count = (name) => (calls[`${instanceId} ${name}`] = (calls[`${instanceId} ${name}`] ?? 0) + 1);
    const a = await step.do('a', async () => count('a'));
    const each = [];
    for (let i = 0; i < 3; i += 1) each.push(await step.do('each', async () => count('each')));
    await step.sleep('nap', 1);
    const b = await step.do('b', { retries: { limit: 0, delay: 0 } }, async () => {
      const n = count('b');
      if (payload.fails && n === 1) throw new Error('b failed');
      while (payload.holds && !released.has(instanceId)) await scheduler.wait(5);
      return n;
    });
    const event = payload.waits ? (await step.waitForEvent('go', { type: 'go' })).payload : null;
    const c = await step.do('c', async () => count('c'));
    return { a, each, b, event, c };
  }
}

export class Beside extends WorkflowEntrypoint {
  // `slow` begins before `quick` and ends after it.
  async run({ instanceId }, step) {
    const count = (name) => (calls[`${instanceId} ${name}`] = (calls[`${instanceId} ${name}`] ?? 0) + 1);
    const slow = step.do('slow', async () => {
      await scheduler.wait(50);
      return count('slow');
    });
    const quick = step.do('quick', async () => count('quick'));
    return { quick: await quick, slow: await slow };
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith('/release/')) released.add(pathname.slice(9));
    if (pathname === '/restart') {
      const { id, options } = await request.json();
      try {
        await (await env.Chain.get(id)).restart(options);
      } catch (error) {
        return Response.json({ name: error.name, message: error.message });
      }
    }
    return Response.json(calls);
  },
};
