// Workflow classes that the tests run.
import { WorkflowEntrypoint } from 'cloudflare:workers';
import { NonRetryableError } from 'cloudflare:workflows';

const flow = (run) =>
  class extends WorkflowEntrypoint {
    run(event, step) {
      return run(event, step, this);
    }
  };

export const trace = [];

export const Sequence = flow(async (event, step, self) => {
  let sum = 0;
  for (let i = 0; i < event.payload.n; i += 1) sum += await step.do(`add ${i}`, async () => i);
  return { sum, id: event.instanceId, name: event.workflowName, at: event.timestamp.getTime(), greeting: self.env.GREETING };
});

// Two branches that use the same name as soon as they can, one of them some microtasks later; and a race.
export const Branches = flow(async (event, step) => {
  const branch = async (name, hops) => {
    const first = await step.do(name, async () => name);
    for (let i = 0; i < hops; i += 1) await null;
    return first + (await step.do('same', async () => name));
  };
  const [a, b] = await Promise.all([branch('a', 60), branch('b', 0)]);
  const winner = await Promise.race([step.do('x', async () => 'x'), step.do('y', async () => 'y')]);
  return { a, b, winner };
});

export const Nested = flow(async (event, step) => {
  const outer = await step.do('outer', async () => {
    const inner = await step.do('inner', async () => 1);
    return inner + (await step.do('inner', async () => 2));
  });
  await step.sleep('pause', '1 second');
  return outer + (await step.do('after', async () => 10));
});

export const Failing = flow(async (event, step) => {
  const caught = [];
  const attempts = [];
  const note = (error) => caught.push([error.name, error.message, error instanceof TypeError, error instanceof NonRetryableError]);
  await step.do('type', async (ctx) => { attempts.push(ctx); throw new TypeError('bad type'); }).catch(note);
  await step.do('final', async () => { throw new NonRetryableError('never again'); }).catch(note);
  await step.do('text', async () => { throw 'words'; }).catch(note);
  await step.do('name\u0001', async () => 1).catch(note);
  await step.do('config', { retries: { limit: 1 } }, async () => 1).catch(note);
  await step.do('unknown', { retrys: {} }, async () => 1).catch(note);
  await step.do('nothing').catch(note);
  await step.sleepUntil('past', 5).catch(note);
  await step.waitForEvent('wait', { type: 'no good' }).catch(note);
  return { caught, attempts };
});

export const Delays = flow(async (event, step) => {
  const config = (delay) => ({ retries: { limit: 3, delay } });
  const twice = (ctx) => { if (ctx.attempt < 2) throw new Error('first'); return ctx.config; };
  const result = await step.do('dynamic', config(async ({ ctx, error }) => `${ctx.attempt} ${error.message === 'first' ? 'minute' : 'x'}`), twice);
  const wrong = await step.do('wrong', config(() => 'i like trains'), twice).catch((error) => [error.name, error.message]);
  return { result, wrong };
});

export const Event = flow(async (event, step) => {
  const got = await step.waitForEvent('approval', { type: 'approved', timeout: '1 hour' });
  return [got.payload, got.timestamp.getTime(), got.type];
});

export const Rich = flow(async (event, step) => {
  const values = await step.do('rich', async () => ({
    map: new Map([[1, new Date(5)]]), set: new Set(['x']), bytes: new Uint8Array(new ArrayBuffer(100), 10, 3).fill(7), big: 12n, zero: -0, nan: NaN,
    hole: [undefined, null], error: new RangeError('r', { cause: 'c' }), lone: '\ud800',
  }));
  const lone = await step.do('a lone \ud800', async () => 'fine');
  console.log('a lone \ud800');
  const plain = await step.do('plain', async () => ({ a: [1, 'ü', null, true, { b: 2.5 }] }));
  const nothing = await step.do('nothing', async () => {});
  const nil = await step.do('null', async () => null);
  const shown = [
    values.map.get(1).getTime(), [...values.set], values.bytes.constructor.name, [...values.bytes], values.bytes.buffer.byteLength, `${values.big}`,
    Object.is(values.zero, -0), Number.isNaN(values.nan), values.hole.length, values.hole[0] === undefined, values.error instanceof RangeError,
    values.error.message, values.error.cause, values.lone.isWellFormed(),
  ];
  return { shown, lone, plain, nothing: nothing === undefined, nil };
});

export const Poison = flow(async (event, step) => {
  const outcome = [];
  const poisons = {
    getter: () => ({ get a() { throw new Error('from the getter'); } }),
    large: () => 'x'.repeat(1024 * 1024 + 1),
    json: () => ({ toJSON: () => 1 }),
  };
  const poison = poisons[event.payload];
  await step.do('poison', async () => poison()).catch((error) => outcome.push([error.name, error.message]));
  return outcome;
});

export const Waiting = flow(async (event, step) => {
  try {
    await step.do('first', async () => trace.push('first'));
    if (event.payload === 'timer') setTimeout(() => { trace.push('timer'); step.do('late', async () => trace.push('late')); }, 20);
    await step.sleep('long', '1 hour');
  } finally {
    trace.push('finally');
  }
});

// Resolves after the timers of forgotten runs would have fired.
export const Trace = flow(async () => {
  await new Promise((resolve) => setTimeout(resolve, 60));
  return trace;
});

export const Abort = flow(async (event, step, self) => {
  console.log('from run', { a: 1 });
  await step.do('speaks', async () => console.warn('from step'));
  if (event.payload === 'exit') process.exit(3);
  self.ctx.abort(new Error('my own end'));
});

// The first attempt outlives its timeout and ends after the second has begun.
export const Late = flow(async (event, step) => {
  let release;
  const first = new Promise((resolve) => { release = resolve; });
  return step.do('slow', async ({ attempt }) => {
    if (attempt === 1) return await first;
    release('too late');
    for (let i = 0; i < 50; i += 1) await null;
    return `attempt ${attempt}`;
  });
});

export const Aside = flow(async (event, step) => {
  await step.do('recorded', async () => 1);
  await new Promise((resolve) => setTimeout(resolve, 120));
  await step.do('after a while', async () => 2);
  return 'legal';
});

// Awaits something that is no timer of the run.
const request = () => new Promise((resolve) => AbortSignal.timeout(120).addEventListener('abort', resolve));

export const Requests = flow(async (event, step) => {
  await request();
  await step.do('after one', async () => 1, { rollback: async () => {} });
  await request();
  return step.do('after two', async () => 2, { rollback: async () => {} });
});

export const Changed = flow(async (event, step) => step.do(event.payload, async () => event.payload));

export const Slow = flow(async (event, step) => {
  const [a, b] = await Promise.all([
    step.do('a', async () => { await scheduler.wait(5); return 'a'; }),
    step.do('b', { retries: { limit: 0, delay: 0 } }, async () => 'b'),
  ]);
  return a + b + (await step.do('c', async () => 'c'));
});

export const Paused = flow(async (event, step) => {
  const a = await step.do('a', async () => { await scheduler.wait(5); return 'a'; });
  return a + (await step.do('c', async () => 'c'));
});

export const Uncaught = flow(async (event, step) => {
  await step.do('gives up', async () => { throw new NonRetryableError('for good'); });
});

// What is caught of errors that are not retried.
export const Caught = flow(async (event, step) => {
  const caught = [];
  const byName = Object.assign(new Error('only the name'), { name: 'NonRetryableError' });
  const errors = [new NonRetryableError('for good'), byName, new Error('NonRetryableError: in words'), new NonRetryableError('m', 'Own')];
  for (const error of errors) {
    await step.do('gives up', async () => { throw error; }).catch(({ name, message }) => caught.push(`${name}: ${message}`));
  }
  return caught;
});

export const Many = flow(async (event, step) => {
  for (let i = 0; ; i += 1) await step.do('same', async () => i);
});

// Many microtasks follow each settlement.
export const TurnsApart = flow(async (event, step) => {
  const seen = [];
  const branch = async (name) => {
    await step.do(name, async () => name);
    seen.push(`${name} settled`);
    for (let i = 0; i < 500; i += 1) await null;
    seen.push(`${name} went on`);
  };
  await Promise.all([branch('a'), branch('b')]);
  return seen;
});

// A stream of one byte, at which the server takes offence or not.
export const Streams = flow(async (event, step) => {
  const pull = (controller) => {
    controller.enqueue(new Uint8Array([event.payload]));
    controller.close();
  };
  await step.do('s', async () => new ReadableStream({ pull }));
});
