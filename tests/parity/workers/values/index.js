// Values: what comes back from a step, live and from history, and what crosses into an instance and out of it.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { describe } from '../describe.js';
import { driver, mark, outcome, pass } from '../driver.js';
import { KINDS, identity } from './kinds.js';

/** Kinds that are told by what `identity` says alone. */
const LONG = ['deep', 'many-members', 'numbers-60-000'];
const told = (kind, value) => ({ is: LONG.includes(kind) ? undefined : describe(value), more: identity(kind, value) });

/** A step's result, as it is at once and after a replay. */
export class StepResult extends WorkflowEntrypoint {
  async run(event, step) {
    const { kind } = event.payload;
    const value = await step.do('value', async () => {
      mark(event, 'made');
      return KINDS[kind]();
    });
    pass(event, JSON.stringify(told(kind, value)));
    pass(event, 'seen');
    await step.waitForEvent('go on', { type: 'go' });
    return 'done';
  }
}

/** A step's result, where not all can store it. */
export class StepResultOnce extends WorkflowEntrypoint {
  async run(event, step) {
    const { kind } = event.payload;
    return await outcome(async () => {
      const value = await step.do('value', { retries: { limit: 1, delay: 10 } }, async ({ attempt }) => {
        mark(event, `attempt ${attempt}`);
        return KINDS[kind]();
      });
      return told(kind, value);
    });
  }
}

/** The output of the instance. */
export class Output extends WorkflowEntrypoint {
  async run(event) {
    return KINDS[event.payload.kind]();
  }
}

/** What comes in as params. */
export class Params extends WorkflowEntrypoint {
  async run(event) {
    return describe(event.payload);
  }
}

/** What comes in with an event. */
export class EventPayload extends WorkflowEntrypoint {
  async run(event, step) {
    const { payload } = await step.waitForEvent('value', { type: 'value' });
    return describe(payload);
  }
}

/** A result of this many bytes, and whether the step went well. */
export class Size extends WorkflowEntrypoint {
  async run(event, step) {
    const { bytes, kind } = event.payload;
    const result = await outcome(async () => {
      const value = await step.do('large', { retries: { limit: 1, delay: 10 } }, async ({ attempt }) => {
        mark(event, `attempt ${attempt}`);
        return kind === 'bytes' ? new Uint8Array(bytes) : 'x'.repeat(bytes);
      });
      return value.length;
    });
    return result;
  }
}

/** Many results of 512 KiB. */
export class Total extends WorkflowEntrypoint {
  async run(event, step) {
    let sum = 0;
    for (let index = 0; index < event.payload.results; index += 1) {
      const part = await step.do(`part ${index}`, async () => String(index % 10).repeat(512 * 1024));
      sum += part.length;
    }
    await step.waitForEvent('go on', { type: 'go' });
    return sum;
  }
}

/** A large output. */
export class LargeOutput extends WorkflowEntrypoint {
  async run(event) {
    return 'x'.repeat(event.payload.bytes);
  }
}

/** What a step answered is changed afterwards. */
export class MutatedAfterwards extends WorkflowEntrypoint {
  async run(event, step) {
    const value = await step.do('value', async () => ({ list: [1] }));
    value.list.push(2);
    pass(event, `live ${JSON.stringify(value)}`);
    const kept = await step.do('copy', async () => value);
    kept.list.push(3);
    return { value, kept, same: value === kept };
  }
}

const statusWith = async (env, name, id) => {
  const instance = await env[name].get(id);
  let status;
  do status = await instance.status();
  while (!['complete', 'errored'].includes(status.status));
  return status;
};

export default driver({
  /** Output of another Worker's kind of value, as the one who asks for the status sees it. */
  async output(env, id, kind) {
    await env.Output.create({ id, params: { kind } });
    const { status, output, error } = await statusWith(env, 'Output', id);
    return { status, output: output === null || output === undefined ? 'nothing' : told(kind, output), error };
  },
  async params(env, id, kind) {
    await env.Params.create({ id, params: KINDS[kind]() });
    const { status, output } = await statusWith(env, 'Params', id);
    return { status, output };
  },
  async payload(env, id, kind) {
    const instance = await env.EventPayload.create({ id });
    await instance.sendEvent({ type: 'value', payload: KINDS[kind]() });
    const { status, output } = await statusWith(env, 'EventPayload', id);
    return { status, output };
  },
});
