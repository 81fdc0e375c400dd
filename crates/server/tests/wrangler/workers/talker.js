import { WorkflowEntrypoint } from 'cloudflare:workers';

export class Talk extends WorkflowEntrypoint {
  async run(event, step) {
    console.log('before a step');
    await step.do('say', async () => console.info('in a step', { of: event.instanceId }));
  }
}

export default {
  fetch(request) {
    if (new URL(request.url).pathname === '/throw') {
      throw new TypeError('boom');
    }
    console.warn('seen', 1);
    return new Response('heard');
  },
};
