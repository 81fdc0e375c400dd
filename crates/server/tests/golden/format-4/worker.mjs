import { WorkflowEntrypoint } from "cloudflare:workers";

/** What was deployed: those that began on the first code finish on it. */
const CODE = "second";

const text = (pieces) => new ReadableStream({
	start(controller) {
		for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
		controller.close();
	},
});

const waits = {
	sleep: (step, { ms }) => step.sleep("nap", ms),
	event: async (step) => (await step.waitForEvent("signal", { type: "go" })).payload,
	retry: (step, { ms }) =>
		step.do("flaky", { retries: { limit: 3, delay: ms, backoff: "constant" } }, async ({ attempt }) => {
			if (attempt < 2) throw new TypeError("not yet");
			return attempt;
		}),
	fail: async () => {
		throw new RangeError("as asked");
	},
	nothing: async () => undefined,
};

export class Sleeper extends WorkflowEntrypoint {
	async run(event, step) {
		const before = await step.do("before", async () => ({ at: new Date(0), counts: new Map([["a", 1]]) }));
		const pieces = await step.do("stream", async () => text(["one ", "two ", "three"]));
		const hidden = await step.do("hidden", { sensitive: "output" }, async () => "not to be seen");
		const nested = await step.do("outer", async () => await step.do("inner", async () => 7));
		const waited = await waits[event.payload.wait](step, event.payload);
		const after = await step.do("after", async () => `${before.at.toISOString()} ${before.counts.get("a")}`);
		const streamed = await new Response(pieces).text();
		const secret = this.env.KEY === "hidden" && hidden === "not to be seen";
		return { after, waited, streamed, nested, secret, code: CODE };
	}
}

/** Its second handler fails in the first half minute, and is tried again after a whole one. */
export class Saga extends WorkflowEntrypoint {
	async run(event, step) {
		const undone = (name) => ({
			rollback: async ({ output }) => console.log(`undo ${name} ${output}`),
		});
		await step.do("book", async () => "seat 7", undone("book"));
		await step.do("pay", async () => "5 euros", {
			rollback: async ({ output }) => {
				if (Date.now() < event.timestamp.getTime() + 30_000) throw new TypeError("not yet");
				console.log(`undo pay ${output}`);
			},
			rollbackConfig: { retries: { limit: 3, delay: "1 minute", backoff: "constant" } },
		});
		throw new Error("after all steps");
	}
}

/** One at a time. */
export class Single extends WorkflowEntrypoint {
	async run(event, step) {
		return await step.do("work", async () => {
			if (event.payload.hangs && CODE === "first") await new Promise(() => {});
			return event.payload.name;
		});
	}
}

export class Nightly extends WorkflowEntrypoint {
	async run(event, step) {
		return await step.do("look", async () => event.schedule);
	}
}

export default {
	async fetch(request, env) {
		if (request.method !== "POST") return Response.json("format 4");
		const { workflow, options } = await request.json();
		return Response.json((await env[workflow].create(options)).id);
	},
};
