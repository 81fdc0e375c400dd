const values = [0, 1, 2];

// Every callback tells the journal before it does anything else.
const told = (event, step, name, config, work) => step.do(name, config, async (ctx) => {
	await journal(event.instanceId, name);
	return work(ctx);
});

export class W extends WorkflowEntrypoint {
	async run(event, step) {
		const { n } = event.payload;
		const plain = {};
		const first = await told(event, step, 'first', plain, () => n * 2);
		const parts = await Promise.all(values.map((i) => told(event, step, `part ${i}`, plain, async () => {
			await scheduler.wait((n + i * 7) % 20);
			return first + i;
		})));
		const retries = { limit: 5, delay: 100 + (n % 5) * 50, backoff: 'constant' };
		const flaky = await told(event, step, 'flaky', { retries }, (ctx) => {
			if (ctx.attempt < 3) throw new Error('again');
			return ctx.attempt;
		});
		await step.sleep('nap', 100 + (n % 10) * 100);
		const once = await told(event, step, 'once', { retries: { limit: 0, delay: 0 } }, () => 'once')
			.catch((error) => error.message);
		const sent = await step.waitForEvent('gate', { type: 'go', timeout: '1 hour' });
		let sum = 0;
		for (let i = 0; i < 5; i++) sum += await told(event, step, `last ${i}`, plain, () => i);
		return { n, first, parts, flaky, once, sent: sent.payload, sum };
	}
}
