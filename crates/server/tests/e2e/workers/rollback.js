import { WorkflowEntrypoint } from 'cloudflare:workers';
import { NonRetryableError } from 'cloudflare:workflows';

// What handlers and callbacks did, by instance, over all runs in this isolate.
const log = {};

function note(id, line) {
  (log[id] ??= []).push(line);
}

const ONCE = { retries: { limit: 0, delay: 0 } };

function undo(id) {
  return { rollback: async ({ stepName, output }) => note(id, [stepName, output ?? null]) };
}

function fail(message) {
  return async () => {
    throw new TypeError(message);
  };
}

export class Saga extends WorkflowEntrypoint {
  async run({ payload, instanceId: id }, step) {
    await step.do('book', async () => ({ seat: 7 }), undo(id));
    await step.do('look', async () => 1);
    const paid = await step.do('pay', ONCE, async () => new Date(5), undo(id));
    if (payload.caught) await step.do('notify', ONCE, fail('nobody there'), undo(id)).catch(() => {});
    if (payload.fails) await step.do('ship', ONCE, fail('lost at sea'), undo(id));
    if (payload.throws) throw new RangeError('after all steps');
    return paid;
  }
}

export class Parallel extends WorkflowEntrypoint {
  async run({ instanceId: id }, step) {
    const takes = (name, ms) => step.do(name, async () => void (await scheduler.wait(ms)), undo(id));
    await Promise.all([takes('slow', 60), takes('quick', 1), takes('medium', 30)]);
    throw new Error('at the end');
  }
}

export class Retried extends WorkflowEntrypoint {
  async run({ payload, instanceId: id }, step) {
    await step.do('first', async () => 1, undo(id));
    const rollback = async () => {
      note(id, 'try');
      if (payload.final) throw new NonRetryableError('cannot be undone');
      if (log[id].length <= payload.failures) throw new RangeError(`try ${log[id].length}`);
    };
    const { limit = 2, delay = 20 } = payload;
    const retries = { limit, delay: payload.dynamic ? () => delay : delay, backoff: 'constant' };
    await step.do('second', async () => 2, { rollback, rollbackConfig: { retries, timeout: '5 seconds' } });
    await step.do('third', async () => 3, undo(id));
    throw new Error('whole');
  }
}

export class TimesOut extends WorkflowEntrypoint {
  async run({ instanceId: id }, step) {
    const rollback = () => new Promise(() => note(id, 'hangs'));
    const rollbackConfig = { retries: { limit: 1, delay: 0 }, timeout: 100 };
    await step.do('stuck', async () => 1, { rollback, rollbackConfig });
    throw new Error('whole');
  }
}

export class Context extends WorkflowEntrypoint {
  async run({ payload, instanceId: id }, step) {
    const rollback = async (context) => {
      const { ctx, error, output, stepName } = context;
      note(id, { ctx, error: [error instanceof Error, error.name, error.message], output: output ?? null, stepName, keys: Object.keys(context) });
    };
    const config = { retries: { limit: 2, delay: () => 5, backoff: 'linear' }, timeout: '3 seconds' };
    const callback = async ({ attempt }) => {
      if (payload.fails || attempt === 1) throw new TypeError(`attempt ${attempt}`);
      return attempt;
    };
    await step.do('tried', config, callback, { rollback }).catch(() => {});
    if (payload.waits) await step.waitForEvent('wait', { type: 'go' });
    throw new NonRetryableError('for good');
  }
}

export class Waits extends WorkflowEntrypoint {
  async run({ payload, instanceId: id }, step) {
    note(id, 'run');
    let seat;
    const closes = { rollback: async ({ output }) => note(id, ['book', output, seat]) };
    seat = await step.do('book', async () => 7, closes);
    await step.do('notify', ONCE, fail('nobody there'), undo(id)).catch(() => note(id, 'caught'));
    await step.sleep('nap', 10);
    if (payload.hangs) await step.do('hangs', () => new Promise(() => note(id, 'hangs')), undo(id));
    await step.waitForEvent('wait', { type: 'go' });
    await step.do('after', async () => note(id, 'after'), undo(id));
    return 'done';
  }
}

// Its code has no handler any more when it runs for the second time.
let forgets = false;

export class Forgetful extends WorkflowEntrypoint {
  async run({ instanceId: id }, step) {
    await step.do('book', async () => 7, ...(forgets ? [] : [undo(id)]));
    forgets = true;
    await step.waitForEvent('wait', { type: 'go' });
  }
}

export class Nested extends WorkflowEntrypoint {
  async run({ payload, instanceId: id }, step) {
    await step.do('outer', async () => (await step.do('inner', async () => 1, undo(id))) + 1, undo(id));
    if (payload.waits) await step.waitForEvent('wait', { type: 'go' });
    throw new Error('whole');
  }
}

export class Steps extends WorkflowEntrypoint {
  async run({ instanceId: id }, step) {
    const rollback = async () => {
      for (const call of [() => step.do('new', async () => note(id, 'ran')), () => step.sleep('nap', 1), () => step.waitForEvent('w', { type: 'go' })]) {
        await call().catch((error) => note(id, `${error.name}: ${error.message}`));
      }
    };
    await step.do('book', async () => 7, { rollback });
    throw new Error('whole');
  }
}

export class Misuse extends WorkflowEntrypoint {
  async run(event, step) {
    const options = [
      'text', null, [], {}, { rollback: 'text' }, { rollback() {}, rollbackConfig: null }, { rollback() {}, rollbackConfig: { limit: 1 } },
      { rollback() {}, rollbackConfig: { retries: { limit: 1 } } }, { rollback() {}, rollbackConfig: { timeout: 0 } },
    ];
    const errors = [];
    for (const one of options) {
      await step.do('s', async () => 1, one).catch((error) => errors.push(`${error.name}: ${error.message}`));
    }
    return errors;
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === '/log') return Response.json(log);
    const { workflow, id, method, args = [] } = await request.json();
    const instance = await env[workflow].get(id);
    return Response.json((await instance[method](...args)) ?? null);
  },
};
