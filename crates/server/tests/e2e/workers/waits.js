import { WorkflowEntrypoint } from 'cloudflare:workers';

// How often each callback was called, over all runs in this isolate.
const calls = {};
const count = (name) => (calls[name] = (calls[name] ?? 0) + 1);
const after = (ms, value) => async () => {
  count(value);
  await scheduler.wait(ms);
  return value;
};

export class Sleeps extends WorkflowEntrypoint {
  async run({ payload }, step) {
    const begun = await step.do('begin', async () => Date.now());
    await step.sleep('nap', payload.nap);
    const napped = await step.do('wake', async () => Date.now());
    return napped - begun;
  }
}

export class SleepsUntil extends WorkflowEntrypoint {
  async run({ payload }, step) {
    const due = await step.do('due', async () => Date.now() + payload.ms);
    await step.sleepUntil('a date', new Date(due));
    await step.sleepUntil('the same as a number', due + 20);
    return (await step.do('wake', async () => Date.now())) - due;
  }
}

export class Waits extends WorkflowEntrypoint {
  async run({ payload }, step) {
    const event = await step.waitForEvent('wait', { type: payload.type ?? 'go', timeout: payload.timeout });
    return { payload: event.payload, type: event.type, isDate: event.timestamp instanceof Date };
  }
}

export class WaitsTwice extends WorkflowEntrypoint {
  async run(event, step) {
    const both = await Promise.all([step.waitForEvent('a', { type: 'go' }), step.waitForEvent('b', { type: 'go' })]);
    const third = await step.waitForEvent('c', { type: 'go' });
    return [...both, third].map((given) => given.payload);
  }
}

export class CatchesTimeout extends WorkflowEntrypoint {
  async run(event, step) {
    let caught;
    try {
      await step.waitForEvent('late', { type: 'go', timeout: '1 second' });
    } catch (error) {
      caught = `${error.name}: ${error.message}`;
    }
    // The event comes after the timeout, and belongs to the next wait.
    const next = await step.waitForEvent('next', { type: 'go' });
    return { caught, next: next.payload };
  }
}

export class Race extends WorkflowEntrypoint {
  async run(event, step) {
    const winner = await Promise.race([step.do('slow', after(60, 'slow')), step.do('fast', after(20, 'fast'))]);
    const [a, b] = await Promise.all([
      step.do('left', after(40, 'left')).then((value) => step.do(`then ${value}`, after(0, 'after left'))),
      step.do('right', after(10, 'right')).then((value) => step.do(`then ${value}`, after(0, 'after right'))),
    ]);
    const any = await Promise.any([
      step.do('fails', { retries: { limit: 0, delay: 0 } }, async () => { throw new Error('no'); }),
      step.do('works', after(5, 'works')),
    ]);
    const settled = await Promise.allSettled([
      step.do('bad', { retries: { limit: 0, delay: 0 } }, async () => { throw new Error('bad'); }),
      step.sleep('rest', 5),
    ]);
    const rested = await Promise.race([step.sleep('timeout', 30).then(() => 'timeout'), step.do('work', after(500, 'work'))]);
    const held = step.do('held', after(1, 'held'));
    await step.waitForEvent('go on', { type: 'go' });
    return { winner, a, b, any, settled: settled.map((one) => one.status), rested, held: await held };
  }
}

export default {
  fetch: () => Response.json(calls),
};
