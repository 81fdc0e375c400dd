//! What user code decided before a kill it decides again after it.

use serde_json::json;

use crate::support::{Journal, Project, Server, is_alive, kill, until};

const RACES: &str = r"
export class W extends WorkflowEntrypoint {
	async run(event, step) {
		const id = event.instanceId;
		const slow = (name, ms, value) => step.do(name, async () => {
			await journal(id, name);
			await scheduler.wait(ms);
			return value;
		});
		const log = [];
		const winner = await Promise.race([slow('hare', 250, 'hare'), slow('tortoise', 30, 'tortoise')]);
		log.push(winner);
		const branch = async (name, ms) => {
			for (let i = 0; i < 3; i++) {
				await slow(`${name} ${i}`, ms, i);
				log.push(`${name} ${i}`);
			}
			return name;
		};
		const names = await Promise.all([branch('left', 40), branch('right', 15), branch('middle', 25)]);
		const order = await step.do('order', async () => log.slice());
		const event1 = await step.waitForEvent('gate', { type: 'go', timeout: '1 hour' });
		return { winner, names, order, log, gate: event1.payload };
	}
}
";

#[tokio::test]
async fn races_and_branches_that_were_decided_stay_decided_when_the_server_is_killed() {
    let journal = Journal::start().await;
    let project = Project::new(RACES, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({})).await;
    server.until_status("one", "waiting").await;
    let before = journal.lines();
    server.kill();
    let server = Server::start(&project).await;
    server.send_event("one", "go", json!("open")).await;
    let output = server.output_of("one").await;
    assert_eq!(output["winner"], "tortoise");
    assert_eq!(output["names"], json!(["left", "right", "middle"]));
    assert_eq!(output["gate"], "open");
    // The code that ran again saw everything in the order in which it had seen it before.
    assert_eq!(output["order"], output["log"]);
    assert_eq!(journal.lines(), before, "no step was repeated");
}

#[tokio::test]
async fn branches_that_were_cut_in_the_middle_end_with_the_same_result() {
    let journal = Journal::start().await;
    let project = Project::new(RACES, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({})).await;
    journal.until("one", "left 1", 1).await;
    server.kill();
    let server = Server::start(&project).await;
    journal.until("one", "left 2", 1).await;
    let worker = server.worker().await;
    kill(worker);
    until("the worker is gone", async || (!is_alive(worker)).then_some(())).await;
    server.send_event("one", "go", json!("open")).await;
    let output = server.output_of("one").await;
    assert_eq!(output["winner"], "tortoise");
    assert_eq!(output["order"], output["log"]);
    for step in ["tortoise", "right 0", "left 0"] {
        assert_eq!(journal.count("one", step), 1, "{step} was recorded before the first kill");
    }
}

const ONCE: &str = r"
export class W extends WorkflowEntrypoint {
	async run(event, step) {
		const config = { retries: { limit: 0, delay: 0 } };
		const outcome = await step.do('once', config, async () => {
			await journal(event.instanceId, 'once');
			await scheduler.wait(event.payload.ms);
			return 'done';
		}).catch((error) => `${error.name}: ${error.message}`);
		return [outcome, await step.do('after', async () => 'goes on')];
	}
}
";

/// What Cloudflare says of an attempt that it lost.
const LOST: &str = "Attempt failed due to internal workflows error";

async fn check_lost(server: &Server, journal: &Journal) {
    let output = server.output_of("one").await;
    assert!(output[0].as_str().is_some_and(|text| text.contains(LOST)), "{output}");
    assert_eq!(output[1], "goes on");
    assert_eq!(journal.count("one", "once"), 1);
}

#[tokio::test]
async fn an_at_most_once_step_that_the_servers_death_cut_never_runs_again() {
    let journal = Journal::start().await;
    let project = Project::new(ONCE, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "ms": 60_000 })).await;
    journal.until("one", "once", 1).await;
    server.kill();
    check_lost(&Server::start(&project).await, &journal).await;
}

#[tokio::test]
async fn an_at_most_once_step_that_its_workers_death_cut_never_runs_again() {
    let journal = Journal::start().await;
    let project = Project::new(ONCE, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "ms": 60_000 })).await;
    journal.until("one", "once", 1).await;
    kill(server.worker().await);
    check_lost(&server, &journal).await;
}

#[tokio::test]
async fn an_at_most_once_step_that_ended_keeps_its_result_across_a_kill() {
    let journal = Journal::start().await;
    let project = Project::new(&format!("{ONCE}\n"), &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "ms": 0 })).await;
    assert_eq!(server.output_of("one").await, json!(["done", "goes on"]));
    server.kill();
    let server = Server::start(&project).await;
    assert_eq!(server.output_of("one").await, json!(["done", "goes on"]));
    assert_eq!(journal.count("one", "once"), 1);
}
