//! Values of all kinds come back equal and of the same kind, live and in a new process.

use serde_json::{Value as Json, json};

use crate::support::{Journal, Project, Server, is_alive, kill, until};

/// Random values of the fixture, behind the first lines of every Worker here.
fn source() -> String {
    format!("{}\n{STEPS}", include_str!("../fixtures/values.mjs"))
}

const STEPS: &str = r"
export class W extends WorkflowEntrypoint {
	async run({ payload, instanceId }, step) {
		if (payload.passed) return await passed(payload, step);
		const wrong = [];
		const results = [];
		for (let seed = payload.from; seed < payload.until; seed += 1) {
			const value = make(seed);
			const expected = structuredClone(value);
			const result = await step.do(`value ${seed}`, async () => value);
			const found = difference(expected, result);
			if (found !== null) wrong.push(`${seed}: ${found}`);
			results.push(result);
		}
		await step.waitForEvent('gate', { type: 'go', timeout: '1 hour' });
		return { wrong, count: results.length };
	}
}

// What an instance was created with and what it was sent.
const passed = async (payload, step) => {
	stacksCount = false;
	const wrong = [];
	const look = (what, seed, value) => {
		const found = difference(structuredClone(make(seed)), value);
		if (found !== null) wrong.push(`${what} ${seed}: ${found}`);
	};
	look('params', payload.seed, payload.value);
	const event = await step.waitForEvent('value', { type: 'value', timeout: '1 hour' });
	look('event', payload.seed + 1, event.payload);
	await step.waitForEvent('gate', { type: 'go', timeout: '1 hour' });
	return { wrong, value: make(payload.seed + 2) };
};

export default {
	async fetch(request, env) {
		stacksCount = false;
		const { searchParams } = new URL(request.url);
		const [id, seed] = [searchParams.get('id'), Number(searchParams.get('seed'))];
		if (searchParams.has('look')) {
			const { output } = await (await env.W.get(id)).status();
			const found = difference(structuredClone(make(seed + 2)), output.value);
			return Response.json(found === null ? output.wrong : [...output.wrong, `output: ${found}`]);
		}
		try {
			const instance = await env.W.create({ id, params: { passed: true, seed, value: make(seed) } });
			await instance.sendEvent({ type: 'value', payload: make(seed + 1) });
			return Response.json('sent');
		} catch (error) {
			// workerd itself carries less from Worker to Worker than a structured clone does, on Cloudflare as well.
			return Response.json(error.name === 'DataCloneError' ? 'refused' : `${error}`);
		}
	},
};
";

const PER_INSTANCE: u32 = 400;
const INSTANCES: u32 = 5;

async fn kill_worker(server: &Server) {
    let worker = server.worker().await;
    kill(worker);
    until("the worker is gone", async || (!is_alive(worker)).then_some(())).await;
}

#[tokio::test]
async fn random_results_are_the_same_live_and_in_a_new_process() {
    let journal = Journal::start().await;
    let project = Project::new(&source(), &journal);
    let server = Server::start(&project).await;
    for number in 0..INSTANCES {
        let (from, end) = (number * PER_INSTANCE, (number + 1) * PER_INSTANCE);
        server.create(&format!("i{number}"), json!({ "from": from, "until": end })).await;
    }
    for number in 0..INSTANCES {
        server.until_status(&format!("i{number}"), "waiting").await;
    }
    kill_worker(&server).await;
    for number in 0..INSTANCES {
        server.send_event(&format!("i{number}"), "go", Json::Null).await;
        let output = server.output_of(&format!("i{number}")).await;
        assert_eq!(output, json!({ "wrong": [], "count": PER_INSTANCE }));
    }
}

#[tokio::test]
async fn random_params_payloads_and_outputs_are_the_same_on_the_other_side() {
    let journal = Journal::start().await;
    let project = Project::new(&source(), &journal);
    let server = Server::start(&project).await;
    let mut seeds = Vec::new();
    for seed in (0..60).map(|number| 10_000 + 3 * number) {
        let answer = server.ask(&format!("?id=s{seed}&seed={seed}")).await;
        assert!(answer == "sent" || answer == "refused", "{seed}: {answer}");
        if answer == "sent" {
            seeds.push(seed);
        }
    }
    assert!(seeds.len() > 30, "most values can be sent: {seeds:?}");
    for seed in seeds.clone() {
        server.until_status(&format!("s{seed}"), "waiting").await;
    }
    kill_worker(&server).await;
    for seed in seeds {
        server.send_event(&format!("s{seed}"), "go", Json::Null).await;
        server.until_status(&format!("s{seed}"), "complete").await;
        assert_eq!(server.ask(&format!("?id=s{seed}&seed={seed}&look")).await, json!([]), "{seed}");
    }
}
