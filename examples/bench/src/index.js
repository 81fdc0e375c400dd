// What `cargo xtask bench` measures: instances of no-op steps, and instances that only sleep.
import { WorkflowEntrypoint } from 'cloudflare:workers';

const STEPS_DEFAULT = 10;

export class Bench extends WorkflowEntrypoint {
	async run(event, step) {
		const steps = event.payload?.steps ?? STEPS_DEFAULT;
		for (let i = 0; i < steps; i++) {
			await step.do(`step ${i}`, async () => i);
		}
		return { steps };
	}
}

export class Sleeper extends WorkflowEntrypoint {
	async run(event, step) {
		await step.sleep('sleep', event.payload?.duration ?? '1 hour');
	}
}

export default {
	async fetch(request, env) {
		const { searchParams } = new URL(request.url);
		const instance = await env.BENCH.create({ params: { steps: Number(searchParams.get('steps') ?? STEPS_DEFAULT) } });
		return Response.json({ id: instance.id });
	},
};
