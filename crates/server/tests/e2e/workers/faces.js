import { WorkflowEntrypoint } from 'cloudflare:workers';

export class Secretive extends WorkflowEntrypoint {
  // Results that nobody else may see, of one step that ends in its turn and one that does not.
  async run({ payload }, step) {
    const config = { sensitive: 'output', retries: { limit: 1, delay: 1 } };
    const quick = await step.do('quick', config, async () => 'hidden-quick');
    let tries = 0;
    const slow = await step.do('slow', config, async () => {
      tries += 1;
      if (tries === 1) throw new Error('shown-error');
      await scheduler.wait(1);
      return { date: new Date(0), text: 'hidden-slow' };
    });
    if (payload.waits) await step.waitForEvent('wait', { type: 'go' });
    return await step.do('lengths', async () => [quick.length, slow.text.length, slow.date instanceof Date]);
  }
}

export class Caused extends WorkflowEntrypoint {
  // Its error has causes, of which user code sees none after a step.
  async run(event, step) {
    try {
      await step.do('fails', { retries: { limit: 0, delay: 0 } }, async () => {
        throw new TypeError('outer', { cause: new RangeError('inner', { cause: 'innermost' }) });
      });
    } catch (error) {
      throw new Error(`${error.name} ${error.message} ${error.cause}`, { cause: { toString: () => 'odd' } });
    }
  }
}

export class Uncaught extends WorkflowEntrypoint {
  // Nobody catches the error of its step; or it is wrapped, with a cause that is no error before it.
  async run({ payload }, step) {
    const cause = { code: 'E_LIMIT', at: [1] };
    const fails = step.do('fails', { retries: { limit: 0, delay: 0 } }, async () => {
      throw new TypeError('outer', { cause });
    });
    if (!payload.wraps) return fails;
    const error = await fails.catch((error) => error);
    await step.sleep('nap', 1);
    throw new Error('wrapped', { cause: error });
  }
}

export default {
  async fetch(request, env) {
    const instance = await env.Secretive.get(new URL(request.url).pathname.slice(1));
    const subscription = await instance.subscribe();
    const events = [];
    for (;;) {
      const { done, value } = await subscription.next();
      if (done) return Response.json([await instance.status(), events]);
      events.push(value);
    }
  },
};
