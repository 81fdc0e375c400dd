import { WorkflowEntrypoint } from 'cloudflare:workers';

// Callbacks that wait for `/release`, and how often each was called, over all runs in this isolate.
const held = new Map();
const calls = {};
let released = false;

export class Slow extends WorkflowEntrypoint {
  // Its step runs until it is released.
  async run({ instanceId }, step) {
    const first = await step.do('slow', async () => {
      calls[instanceId] = (calls[instanceId] ?? 0) + 1;
      while (!released && !held.get(instanceId)) await scheduler.wait(5);
      return calls[instanceId];
    });
    const second = await step.do('next', async () => 'next');
    return { first, second };
  }
}

export class Waiting extends WorkflowEntrypoint {
  async run({ payload }, step) {
    const n = await step.do('count', async () => (calls.waiting = (calls.waiting ?? 0) + 1));
    const event = await step.waitForEvent('wait', { type: 'go' });
    return { n, payload: event.payload, params: payload };
  }
}

export class Quick extends WorkflowEntrypoint {
  async run({ payload, instanceId }, step) {
    return await step.do('quick', { retries: { limit: 0, delay: 0 } }, async () => {
      calls[instanceId] = (calls[instanceId] ?? 0) + 1;
      if (payload.fails === true || (payload.fails === 'first' && calls[instanceId] === 1)) throw new Error('failed');
      return calls[instanceId];
    });
  }
}

export class Sleeping extends WorkflowEntrypoint {
  async run(event, step) {
    const begun = Date.now();
    await step.sleep('nap', 300);
    return begun;
  }
}

export class DeletesItself extends WorkflowEntrypoint {
  async run({ instanceId }, step) {
    await step.do('delete', async () => {
      const own = await this.env.DeletesItself.get(instanceId);
      await own.delete();
    });
    await step.do('never', async () => (calls.never = 1));
  }
}

async function told(action) {
  try {
    return (await action()) ?? null;
  } catch (error) {
    return { name: error.name, message: error.message };
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === '/calls') return Response.json(calls);
    if (pathname === '/release') {
      released = true;
      return Response.json({});
    }
    if (pathname.startsWith('/release/')) {
      held.set(pathname.slice(9), true);
      return Response.json({});
    }
    // Calls a method of the binding or of an instance: {workflow, id?, method, args}.
    const { workflow, id, method, args = [] } = await request.json();
    return Response.json(
      await told(async () => {
        const target = id === undefined ? env[workflow] : await env[workflow].get(id);
        const result = await target[method](...args);
        if (Array.isArray(result)) return result.map((one) => one.id);
        return result?.created === undefined && typeof result?.id === 'string' ? { id: result.id } : shown(result);
      }),
    );
  },
};

function shown(result) {
  if (!Array.isArray(result?.created)) return result;
  return { created: result.created.map((one) => one.id), errors: result.errors };
}
