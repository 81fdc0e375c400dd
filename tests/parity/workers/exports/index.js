// Workflows that are declared by their class, in `exports`: code has them without bindings.

import { exports, WorkflowEntrypoint } from 'cloudflare:workers';
import { driver, mark } from '../driver.js';

/** Uses another workflow of its Worker, by both ways to it. */
export class Parent extends WorkflowEntrypoint {
  async run(event, step) {
    const id = `${event.instanceId}-child`;
    await step.do('create', async () => (await this.ctx.exports.Child.create({ id, params: event.payload })).id);
    await step.do('send', async () => await (await exports.Child.get(id)).sendEvent({ type: 'go', payload: 'sent' }));
    return Object.keys(this.env);
  }
}

/** Answers what it is given. */
export class Child extends WorkflowEntrypoint {
  async run(event, step) {
    const { payload } = await step.waitForEvent('wait', { type: 'go', timeout: '1 minute' });
    return { params: event.payload, workflowName: event.workflowName, payload };
  }
}

/** Takes one step more than it may. */
export class Short extends WorkflowEntrypoint {
  async run(event, step) {
    for (const name of ['one', 'two', 'three']) await step.do(name, async () => mark(event, name));
  }
}

export default driver();
