import { WorkflowEntrypoint } from "cloudflare:workers";

const waits = {
	sleep: (step, { ms }) => step.sleep("nap", ms),
	event: async (step) => (await step.waitForEvent("signal", { type: "go" })).payload,
	retry: (step, { ms }) =>
		step.do("flaky", { retries: { limit: 3, delay: ms, backoff: "constant" } }, async ({ attempt }) => {
			if (attempt < 2) throw new TypeError("not yet");
			return attempt;
		}),
};

export class Sleeper extends WorkflowEntrypoint {
	async run(event, step) {
		const before = await step.do("before", async () => ({ at: new Date(0), counts: new Map([["a", 1]]) }));
		const waited = await waits[event.payload.wait](step, event.payload);
		const after = await step.do("after", async () => `${before.at.toISOString()} ${before.counts.get("a")}`);
		return { after, waited, secret: this.env.KEY === "hidden", timestamp: event.timestamp.getTime() };
	}
}

export default { fetch: () => Response.json("format 1") };
