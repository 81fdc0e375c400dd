// Streams as the results of steps.

import { WorkflowEntrypoint } from 'cloudflare:workers';
import { driver, mark, outcome, pass } from '../driver.js';

const ONCE = { retries: { limit: 0, delay: 0 } };

/** A stream of these chunks. @param {unknown[]} chunks */
function streamOf(chunks) {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

const text = (value) => new TextEncoder().encode(value);

/** @type {Record<string, () => unknown>} */
const STREAMS = {
  bytes: () => streamOf([text('hello '), text('world')]),
  empty: () => streamOf([]),
  'typed-chunks': () => streamOf([new Uint16Array([1, 2]), new Uint8Array([3]).buffer, new Float32Array([1.5])]),
  'many-chunks': () => streamOf(Array.from({ length: 40 }, (_, index) => new Uint8Array(50_000).fill(index))),
  large: () => streamOf([new Uint8Array(3_000_000).fill(7)]),
  pulled: () => {
    let count = 0;
    return new ReadableStream({
      pull(controller) {
        if (count === 5) controller.close();
        else controller.enqueue(new Uint8Array(100_000).fill((count += 1)));
      },
    });
  },
  response: () => new Response('from a response').body,
};

/** What is in a stream: its type, how much, and what kind of chunks. */
async function read(stream) {
  if (!(stream instanceof ReadableStream)) return { isStream: false, is: String(stream) };
  let bytes = 0;
  let sum = 0;
  const kinds = new Set();
  for await (const chunk of stream) {
    kinds.add(chunk.constructor.name);
    const view = new Uint8Array(chunk.buffer ?? chunk, chunk.byteOffset ?? 0, chunk.byteLength);
    bytes += view.length;
    sum += view.reduce((total, byte) => total + byte, 0);
  }
  return { isStream: true, bytes, sum, kinds: [...kinds].sort() };
}

/** A stream, read live and after a replay. */
export class Streams extends WorkflowEntrypoint {
  async run(event, step) {
    const stream = await step.do('stream', async () => {
      mark(event, 'made');
      return STREAMS[event.payload.kind]();
    });
    pass(event, JSON.stringify(await read(stream)));
    pass(event, 'read');
    await step.waitForEvent('go on', { type: 'go' });
    return 'done';
  }
}

/** Streams that cannot be stored. */
const WRONG = {
  locked: () => {
    const stream = streamOf([text('x')]);
    stream.getReader();
    return stream;
  },
  text: () => streamOf(['text']),
  'data-views': () => streamOf([new DataView(new ArrayBuffer(4))]),
  numbers: () => streamOf([1, 2]),
  'oversized-chunk': () => streamOf([new Uint8Array(16 * 1024 * 1024 + 1)]),
  failing: () =>
    new ReadableStream({
      pull(controller) {
        controller.error(new RangeError('the source broke'));
      },
    }),
};

/** A stream that cannot be stored is the end of the instance, or of the attempt. */
export class WrongStreams extends WorkflowEntrypoint {
  async run(event, step) {
    return await outcome(async () => {
      await step.do('stream', ONCE, async () => {
        mark(event, 'made');
        return WRONG[event.payload.kind]();
      });
      return 'stored';
    });
  }
}

/** A stream that never ends within its timeout; the next attempt gives another. */
export class SlowStream extends WorkflowEntrypoint {
  async run(event, step) {
    const stream = await step.do('stream', { retries: { limit: 1, delay: 10 }, timeout: 2_000 }, async ({ attempt }) => {
      mark(event, `attempt ${attempt}`);
      if (attempt === 2) return streamOf([text('second')]);
      return new ReadableStream({
        start(controller) {
          controller.enqueue(text('first, and then nothing'));
        },
      });
    });
    return await read(stream);
  }
}

/** A stream that is not read at all. */
export class UnreadStream extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do('stream', async () => streamOf([text('nobody reads this')]));
    return await step.do('after', async () => 'went on');
  }
}

export default driver();
