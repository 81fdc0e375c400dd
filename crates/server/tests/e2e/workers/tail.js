import { WorkflowEntrypoint } from 'cloudflare:workers';

export class Talks extends WorkflowEntrypoint {
  async run(event, step) {
    console.log('begins', event.payload);
    await step.do('charge card', async () => {
      console.warn('charging', 12);
    });
    if (event.payload.throws) throw new RangeError('no money');
    if (event.payload.waits) {
      await step.waitForEvent('wait', { type: 'go', timeout: '1 hour' });
      console.log('goes on');
    }
    return 'done';
  }
}

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === '/throw') {
      console.error('about to fail');
      throw new TypeError('broken');
    }
    if (pathname === '/late') {
      ctx.waitUntil((async () => {
        await scheduler.wait(50);
        console.log('afterwards');
        if (request.method === 'DELETE') throw new Error('too late');
      })());
    }
    if (pathname === '/loop') for (;;);
    if (pathname === '/loud') {
      for (let i = 0; i < 15; i += 1) console.log('x'.repeat(16_000));
      return new Response('loud');
    }
    if (pathname === '/socket') {
      const { 0: client, 1: server } = new WebSocketPair();
      server.accept();
      server.addEventListener('message', (event) => server.send(`${event.data}!`));
      console.log('opens');
      return new Response(null, { status: 101, webSocket: client });
    }
    if (pathname === '/stall') {
      console.log('stalls');
      await scheduler.wait(600_000);
    }
    if (pathname.startsWith('/stream')) {
      const { readable, writable } = new TransformStream();
      const writing = (async () => {
        const writer = writable.getWriter();
        for (let i = 0; i < 3; i += 1) {
          console.log('piece', i);
          await writer.write(new TextEncoder().encode(`${i}\n`));
        }
        await writer.close();
      })();
      if (pathname === '/stream/waits') ctx.waitUntil(writing);
      return new Response(readable);
    }
    console.log('seen', { path: pathname, cf: typeof request.cf, headers: [...request.headers.keys()].filter((name) => name.startsWith('x-stepwell')) });
    return new Response('fine', { status: 201 });
  },
};
