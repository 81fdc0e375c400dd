// What `cargo xtask bench` measures: instances of no-op steps, which may wait for an event behind them, instances that
// only sleep, and one whose step gives a large stream.
import { WorkflowEntrypoint } from 'cloudflare:workers';

const STEPS_DEFAULT = 10;
const CHUNK = new Uint8Array(65_536);

export class Bench extends WorkflowEntrypoint {
	async run(event, step) {
		const steps = event.payload?.steps ?? STEPS_DEFAULT;
		for (let i = 0; i < steps; i++) {
			await step.do(`step ${i}`, async () => i);
		}
		if (event.payload?.event) {
			await step.waitForEvent('event', { type: event.payload.event, timeout: '1 day' });
		}
		return { steps };
	}
}

export class Sleeper extends WorkflowEntrypoint {
	async run(event, step) {
		await step.sleep('sleep', event.payload?.duration ?? '1 hour');
	}
}

// What is dropped is garbage: V8 lets about 64 MiB of it gather.
async function readChunks(stream) {
	let bytes = 0;
	for await (const chunk of stream) bytes += chunk.length;
	return bytes;
}

async function readIntoOneBuffer(stream) {
	const reader = stream.getReader({ mode: 'byob' });
	let [bytes, buffer] = [0, new ArrayBuffer(65_536)];
	for (;;) {
		const { value, done } = await reader.read(new Uint8Array(buffer));
		if (done) return bytes;
		bytes += value.length;
		buffer = value.buffer;
	}
}

export class Streamer extends WorkflowEntrypoint {
	async run(event, step) {
		let left = event.payload.mebibytes * 16;
		const pull = (controller) => {
			if (left === 0) return controller.close();
			left -= 1;
			controller.enqueue(CHUNK);
		};
		const stream = await step.do('stream', async () => new ReadableStream({ pull }));
		return { bytes: event.payload.reads === 'chunks' ? await readChunks(stream) : await readIntoOneBuffer(stream) };
	}
}

export default {
	async fetch(request, env) {
		const { searchParams } = new URL(request.url);
		const instance = await env.BENCH.create({ params: { steps: Number(searchParams.get('steps') ?? STEPS_DEFAULT) } });
		return Response.json({ id: instance.id });
	},
};
