import { WorkflowEntrypoint } from 'cloudflare:workers';

export class Sizes extends WorkflowEntrypoint {
  async run({ payload }, step) {
    const config = { retries: { limit: 1, delay: 1 } };
    const text = await step.do('make', config, async () => ('x'.repeat(payload.bytes ?? 0)));
    if (payload.steps) for (let i = 0; i < payload.steps; i += 1) await step.do(`step ${i}`, async () => i);
    return payload.output ? 'x'.repeat(payload.output) : text.length;
  }
}

export class Waits extends WorkflowEntrypoint {
  async run(event, step) {
    return (await step.waitForEvent('wait', { type: 'go' })).payload.length;
  }
}
