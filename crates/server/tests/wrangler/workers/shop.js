import { WorkflowEntrypoint } from 'cloudflare:workers';

export class Checkout extends WorkflowEntrypoint {
  async run(event, step) {
    const { item = 'nothing', steps = 0, waits = false } = event.payload;
    const policy = { retries: { limit: 2, delay: '1 second', backoff: 'linear' }, timeout: '1 minute' };
    await step.do('reserve', policy, async () => ({ left: 3 }), { rollback: async () => {} });
    for (let index = 0; index < steps; index += 1) {
      await step.do('count', async () => index);
    }
    await step.sleep('settle', 10);
    if (waits) {
      await step.waitForEvent('payment', { type: 'paid', timeout: '1 hour' });
    }
    return await step.do('ship', async () => `${item} shipped`);
  }
}

export class Refund extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('pay back', { retries: { limit: 1, delay: 10, backoff: 'constant' } }, async () => {
      throw new TypeError('no such order');
    });
  }
}

export default { fetch: () => new Response('open') };
