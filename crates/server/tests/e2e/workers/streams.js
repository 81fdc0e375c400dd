import { WorkflowEntrypoint } from 'cloudflare:workers';

// A stream of these chunks; with `pause`, so many milliseconds apart.
const streamOf = (chunks, pause) => {
  const waiting = [...chunks];
  return new ReadableStream({
    async pull(controller) {
      if (pause) await scheduler.wait(pause);
      if (waiting.length === 0) controller.close();
      else controller.enqueue(waiting.shift());
    },
  });
};

// What a stream is: bytes, their SHA-256, kinds and sizes of its chunks.
const seen = async (stream) => {
  const parts = [];
  const kinds = new Set();
  for await (const part of stream) {
    kinds.add(part.constructor.name);
    parts.push(part);
  }
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  const digest = [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).slice(0, 4)];
  return { bytes: bytes.length, digest, kinds: [...kinds], largest: Math.max(0, ...parts.map((part) => part.length)) };
};

const text = (value) => new TextEncoder().encode(value);
const once = { retries: { limit: 0, delay: 0 } };

const KINDS = {
  text: () => streamOf([text('hello '), text('wörld')]),
  long: () => streamOf([text('ä'.repeat(5_000))]),
  binary: () => streamOf([new Uint8Array([0xff, 0xfe, 1, 2])]),
  empty: () => streamOf([]),
  emptyChunks: () => streamOf([new Uint8Array(0), text('a'), new Uint8Array(0)]),
  large: () => streamOf(Array.from({ length: 30 }, (_, i) => new Uint8Array(100_000).fill(i))),
  typed: () => streamOf([new Uint16Array([1, 2]), new ArrayBuffer(3), new Float64Array(1), new Uint8Array(new ArrayBuffer(9), 2, 4).fill(7)]),
  body: () => new Response('a response').body,
  locked: () => {
    const stream = streamOf([text('x')]);
    stream.getReader();
    return stream;
  },
  unsupported: () => streamOf([text('fine'), 'a string']),
  view: () => streamOf([new DataView(new ArrayBuffer(4))]),
  oversized: () => streamOf([new Uint8Array(16 * 1024 * 1024 + 1)]),
  largestChunk: () => streamOf([new Uint8Array(16 * 1024 * 1024)]),
  broken: () => new ReadableStream({ pull: (controller) => controller.error(new Error('no more')) }),
};

export class Kinds extends WorkflowEntrypoint {
  // Looks at the result, waits for a word, and looks at it again where it was replayed.
  async run({ payload }, step) {
    const sensitive = payload.sensitive ? { sensitive: 'output' } : {};
    const stream = await step.do('stream', { ...once, ...sensitive }, async () => KINDS[payload.kind]());
    const looked = await seen(stream);
    const first = await step.do('first look', async () => looked);
    await step.waitForEvent('go on', { type: 'go' });
    return [first, looked];
  }
}

export class Slow extends WorkflowEntrypoint {
  // The first attempt's stream takes far longer than it may; the second's is quick.
  async run(event, step) {
    let cancelled = 'never';
    const config = { timeout: 200, retries: { limit: 1, delay: 10 } };
    const stream = await step.do('slow', config, async ({ attempt }) => {
      if (attempt > 1) return streamOf([text(`attempt ${attempt}`)]);
      return new ReadableStream({
        async pull(controller) {
          await scheduler.wait(30);
          controller.enqueue(new Uint8Array(300_000));
        },
        cancel() {
          cancelled = 'yes';
        },
      });
    });
    return { got: await new Response(stream).text(), cancelled };
  }
}

export class Unread extends WorkflowEntrypoint {
  // A stream may be left alone, read in part, and read by another step.
  async run(event, step) {
    const streams = await Promise.all([1, 2, 3].map((n) => step.do(`stream ${n}`, async () => streamOf([text(`number ${n}`), text('!')]))));
    const reader = streams[1].getReader();
    const part = await reader.read();
    await reader.cancel();
    const whole = await step.do('reads', async () => await new Response(streams[2]).text());
    const same = await step.do('streams again', async () => streamOf([text(whole)], 1));
    return [part.value.length, whole, await new Response(same).text()];
  }
}

export class Forever extends WorkflowEntrypoint {
  async run(event, step) {
    const pull = async (controller) => {
      await scheduler.wait(20);
      controller.enqueue(new Uint8Array(300_000));
    };
    await step.do('endless', async () => new ReadableStream({ pull }));
  }
}

export class Env extends WorkflowEntrypoint {
  async run() {
    return Object.keys(this.env);
  }
}
