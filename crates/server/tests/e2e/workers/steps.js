import { WorkflowEntrypoint } from 'cloudflare:workers';
import { NonRetryableError } from 'cloudflare:workflows';

// How often each callback was called, over all runs in this isolate.
const calls = {};
const count = (name) => (calls[name] = (calls[name] ?? 0) + 1);
const quick = { retries: { limit: 3, delay: 20, backoff: 'constant' } };

export class Retries extends WorkflowEntrypoint {
  // Fails `failures` times, then succeeds.
  async run({ payload }, step) {
    const retries = { limit: payload.limit ?? 5, delay: payload.delay ?? 20, backoff: payload.backoff };
    return await step.do('try', { retries }, async ({ attempt }) => {
      if (attempt <= payload.failures) throw new RangeError(`attempt ${attempt}`);
      return { attempt };
    });
  }
}

export class DynamicDelay extends WorkflowEntrypoint {
  async run(event, step) {
    const delay = ({ ctx, error }) => {
      if (error.message !== `attempt ${ctx.attempt}`) throw new Error('not this error');
      return 10 * ctx.attempt;
    };
    return await step.do('try', { retries: { limit: 3, delay } }, async ({ attempt }) => {
      if (attempt < 3) throw new Error(`attempt ${attempt}`);
      return attempt;
    });
  }
}

export class Timeout extends WorkflowEntrypoint {
  // The first `hanging` attempts never settle.
  async run({ payload }, step) {
    const config = { retries: { limit: payload.limit, delay: 10 }, timeout: 100 };
    return await step.do('hang', config, ({ attempt }) => (attempt > payload.hanging ? attempt : new Promise(() => {})));
  }
}

export class NonRetryable extends WorkflowEntrypoint {
  async run(event, step) {
    return await step.do('refuse', quick, async () => {
      throw new NonRetryableError('not again');
    });
  }
}

export class Compensates extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('book', async () => 'seat 7');
    try {
      await step.do('pay', { retries: { limit: 1, delay: 10 } }, async () => {
        throw new TypeError('no money');
      });
    } catch (error) {
      const undone = await step.do('cancel', async () => `seat 7 is free again: ${error.name}: ${error.message}`);
      await step.waitForEvent('go on', { type: 'go' });
      return { undone, isError: error instanceof TypeError };
    }
  }
}

export class AtMostOnce extends WorkflowEntrypoint {
  async run(event, step) {
    return await step.do('once', { retries: { limit: 0, delay: 0 } }, async () => count('once'));
  }
}

export class Nested extends WorkflowEntrypoint {
  async run(event, step) {
    const total = await step.do('outer', async () => {
      const a = await step.do('inner', async () => 1 + 0 * count('inner'));
      const b = await step.do('inner', async () => 2 + 0 * count('inner'));
      return a + b;
    });
    await step.sleep('rest', 1);
    return total;
  }
}

export class Many extends WorkflowEntrypoint {
  async run({ payload }, step) {
    const results = await Promise.all(
      Array.from({ length: payload.steps }, (_, i) => step.do(`step ${i}`, async () => {
        count('many');
        if (i % 10 === 0) await scheduler.wait(i % 7);
        return i;
      })),
    );
    return results.reduce((sum, i) => sum + i, 0);
  }
}

export class SameName extends WorkflowEntrypoint {
  async run(event, step) {
    const seen = [];
    for (let i = 0; i < 5; i += 1) seen.push(await step.do('again', async (ctx) => ctx.step.count));
    return seen;
  }
}

export class Values extends WorkflowEntrypoint {
  async run(event, step) {
    const value = await step.do('make', async () => ({
      date: new Date(86400000),
      map: new Map([['a', new Set([1n])]]),
      bytes: new Uint8Array([1, 2, 255]).subarray(1),
      error: new RangeError('too far'),
      regexp: /a+/gi,
      numbers: [NaN, -0, Infinity],
      absent: undefined,
    }));
    const nothing = await step.do('nothing', async () => {});
    const nil = await step.do('nil', async () => null);
    await step.waitForEvent('go on', { type: 'go' });
    return {
      date: value.date instanceof Date && value.date.getTime(),
      set: value.map instanceof Map && [...value.map.get('a')].map(String),
      bytes: value.bytes instanceof Uint8Array && [...value.bytes],
      error: value.error instanceof RangeError && value.error.message,
      regexp: value.regexp instanceof RegExp && String(value.regexp),
      numbers: [Number.isNaN(value.numbers[0]), Object.is(value.numbers[1], -0), value.numbers[2] === Infinity],
      absent: 'absent' in value && value.absent === undefined,
      nothing: nothing === undefined,
      nil: nil === null,
    };
  }
}

export class RichOutput extends WorkflowEntrypoint {
  async run({ payload }) {
    return { at: payload.at, isDate: payload.at instanceof Date, big: 2n ** 64n };
  }
}

export class Context extends WorkflowEntrypoint {
  async run(event, step) {
    const seen = await step.do('look', { retries: { limit: 2, delay: '1 second' }, timeout: '5 minutes' }, async (ctx) => {
      const copy = structuredClone(ctx);
      ctx.config.retries.limit = 99;
      return copy;
    });
    const again = await step.do('look', async (ctx) => ctx.step);
    const { instanceId, workflowName, payload, timestamp } = event;
    return { seen, again, instanceId, workflowName, payload, isDate: timestamp instanceof Date };
  }
}

export class Misuse extends WorkflowEntrypoint {
  // Every wrong use rejects catchably.
  async run(event, step) {
    const uses = [
      () => step.do('x'.repeat(257), async () => {}),
      () => step.do('a\u0000', async () => {}),
      () => step.do('config', { retries: { limit: 1 } }, async () => {}),
      () => step.do('unknown', { retry: 1 }, async () => {}),
      () => step.do('timeout', { timeout: 0 }, async () => {}),
      () => step.do('no callback'),
      () => step.sleep('s', 'i like trains'),
      () => step.sleepUntil('u', new Date(0)),
      () => step.waitForEvent('w', { type: 'not a type' }),
      () => step.waitForEvent('w', { type: 'a', timeout: '10 ms' }),
    ];
    const errors = [];
    for (const use of uses) {
      try {
        await use();
        errors.push('none');
      } catch (error) {
        errors.push(`${error.name}: ${error.message}`.replaceAll('x'.repeat(257), '<257>'));
      }
    }
    return errors;
  }
}

export class Throws extends WorkflowEntrypoint {
  async run({ payload }) {
    if (payload.what === 'text') throw 'just text';
    throw new TypeError('from run');
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === '/counts') return Response.json(calls);
    if (pathname === '/rich') {
      const instance = await env.RichOutput.create({ params: { at: new Date(5) } });
      let status;
      do status = await instance.status(); while (status.status !== 'complete');
      const { at, isDate, big } = status.output;
      return Response.json({ isDate, at: at instanceof Date && at.getTime(), big: typeof big === 'bigint' && String(big) });
    }
    return new Response('no', { status: 404 });
  },
};
