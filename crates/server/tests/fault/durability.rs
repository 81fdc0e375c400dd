//! What was acknowledged is there after `kill -9`, and time that passed meanwhile has passed.

use serde_json::{Value as Json, json};

use crate::support::{Journal, Project, Server, is_alive, kill, now_ms, until};

const NAPS: &str = r"
export class W extends WorkflowEntrypoint {
	async run(event, step) {
		const { mode, ms } = event.payload;
		let result = 'slept';
		if (mode === 'sleep') await step.sleep('nap', ms);
		if (mode === 'retry') {
			result = await step.do('flaky', { retries: { limit: 3, delay: ms, backoff: 'constant' } }, async (ctx) => {
				await journal(event.instanceId, 'try');
				if (ctx.attempt === 1) throw new Error('once');
				return `attempt ${ctx.attempt}`;
			});
		}
		if (mode === 'event') {
			try {
				result = (await step.waitForEvent('wait', { type: 'go', timeout: ms })).payload;
			} catch (error) {
				result = error.name;
			}
		}
		return { result, at: await step.do('woke', async () => Date.now()) };
	}
}
";

/// A wait that a kill falls into.
const NAP_MS: i64 = 1_500;

/// When the one call that an instance waits for is due.
async fn due_at(server: &Server, id: &str) -> i64 {
    until(&format!("{id} waits"), async || {
        let detail = server.detail(id).await;
        let step =
            detail["steps"].as_array().and_then(|steps| steps.last()).filter(|_| detail["status"] == "waiting")?;
        let due = step["retry_at"].as_str().or(step["end"].as_str()).expect("a due time");
        Some(due.parse::<jiff::Timestamp>().expect("a time").as_millisecond())
    })
    .await
}

/// Starts one wait of each kind, kills, and returns the due times.
async fn naps(server: &Server, ms: i64) -> Vec<(&'static str, i64)> {
    let mut due = Vec::new();
    for mode in ["sleep", "retry", "event"] {
        server.create(mode, json!({ "mode": mode, "ms": ms })).await;
    }
    for mode in ["sleep", "retry", "event"] {
        due.push((mode, due_at(server, mode).await));
    }
    due
}

fn expected(mode: &str) -> Json {
    json!(match mode {
        "retry" => "attempt 2",
        "event" => "WorkflowTimeoutError",
        _ => "slept",
    })
}

async fn check_woken(server: &Server, mode: &str, not_before: i64) -> i64 {
    let output = server.output_of(mode).await;
    assert_eq!(output["result"], expected(mode), "{mode}");
    let at = output["at"].as_i64().expect("a time");
    assert!(at >= not_before, "{mode} woke at {at}, {} ms early", not_before - at);
    at
}

#[tokio::test]
async fn waits_go_on_across_a_kill_of_the_server_and_are_never_early() {
    let journal = Journal::start().await;
    let project = Project::new(NAPS, &journal);
    let server = Server::start(&project).await;
    let due = naps(&server, NAP_MS).await;
    server.kill();
    let server = Server::start(&project).await;
    for (mode, at) in due {
        check_woken(&server, mode, at).await;
    }
    assert_eq!(journal.count("retry", "try"), 2);
}

#[tokio::test]
async fn waits_go_on_across_a_kill_of_their_worker_and_are_never_early() {
    let journal = Journal::start().await;
    let project = Project::new(NAPS, &journal);
    let server = Server::start(&project).await;
    let due = naps(&server, NAP_MS).await;
    let worker = server.worker().await;
    kill(worker);
    until("the worker is gone", async || (!is_alive(worker)).then_some(())).await;
    for (mode, at) in due {
        check_woken(&server, mode, at).await;
    }
    assert_eq!(journal.count("retry", "try"), 2);
}

#[tokio::test]
async fn waits_whose_time_passed_while_the_server_was_down_end_at_once() {
    let journal = Journal::start().await;
    let project = Project::new(NAPS, &journal);
    let server = Server::start(&project).await;
    let due = naps(&server, NAP_MS).await;
    server.kill();
    let last = due.iter().map(|(_, at)| *at).max().expect("due times");
    until("the time has passed", async || (now_ms() > last).then_some(())).await;
    let server = Server::start(&project).await;
    let restarted_at = now_ms();
    for (mode, at) in due {
        let woke = check_woken(&server, mode, at).await;
        assert!(woke - restarted_at < 10_000, "{mode} woke {} ms after the restart", woke - restarted_at);
    }
}

#[tokio::test]
async fn an_event_after_the_deadline_is_buffered_even_if_the_server_was_down_at_the_deadline() {
    let journal = Journal::start().await;
    let source = r"
        export class W extends WorkflowEntrypoint {
            async run(event, step) {
                const late = await step.waitForEvent('first', { type: 'go', timeout: 2000 }).catch((error) => error.name);
                const next = await step.waitForEvent('second', { type: 'go', timeout: '1 hour' });
                return [late, next.payload];
            }
        }
    ";
    let project = Project::new(source, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({})).await;
    let due = due_at(&server, "one").await;
    server.kill();
    until("the deadline has passed", async || (now_ms() > due).then_some(())).await;
    let server = Server::start(&project).await;
    server.send_event("one", "go", json!("late")).await;
    assert_eq!(server.output_of("one").await, json!(["WorkflowTimeoutError", "late"]));
}

const HELD: &str = r"
export class W extends WorkflowEntrypoint {
	async run(event, step) {
		await step.do('long', async () => {
			await journal(event.instanceId, 'long');
			await scheduler.wait(event.payload.ms);
		});
		const first = await step.waitForEvent('first', { type: 'go', timeout: '1 hour' });
		const second = await step.waitForEvent('second', { type: 'go', timeout: '1 hour' });
		return [first.payload, second.payload];
	}
}
";

#[tokio::test]
async fn creations_that_were_acknowledged_survive_a_kill() {
    let journal = Journal::start().await;
    let project = Project::new(HELD, &journal);
    let server = Server::start(&project).await;
    let params = json!({ "ms": 0 });
    let created = (0..50).map(|n| format!("single{n}"));
    for id in created.clone() {
        server.create(&id, params.clone()).await;
    }
    server.create_many("batch", 100, &params).await;
    server.kill();
    let server = Server::start(&project).await;
    for id in created.chain((0..100).map(|n| format!("batch{n}"))) {
        server.until_status(&id, "waiting").await;
    }
}

#[tokio::test]
async fn events_that_were_acknowledged_survive_a_kill_in_their_order() {
    let journal = Journal::start().await;
    let project = Project::new(HELD, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "ms": 300 })).await;
    server.send_event("one", "go", json!(1)).await;
    server.send_event("one", "go", json!(2)).await;
    server.kill();
    let server = Server::start(&project).await;
    assert_eq!(server.output_of("one").await, json!([1, 2]));
}

#[tokio::test]
async fn a_pause_of_a_waiting_instance_survives_a_kill_and_ends_with_resume() {
    let journal = Journal::start().await;
    let project = Project::new(HELD, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "ms": 0 })).await;
    server.until_status("one", "waiting").await;
    server.change("one", "pause").await;
    server.kill();
    let server = Server::start(&project).await;
    assert_eq!(server.detail("one").await["status"], "paused");
    for n in [1, 2] {
        server.send_event("one", "go", json!(n)).await;
    }
    assert_eq!(server.detail("one").await["status"], "paused");
    server.change("one", "resume").await;
    assert_eq!(server.output_of("one").await, json!([1, 2]));
}

#[tokio::test]
async fn a_pause_that_waits_for_a_step_is_a_pause_after_a_kill() {
    let journal = Journal::start().await;
    let project = Project::new(HELD, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "ms": 60_000 })).await;
    journal.until("one", "long", 1).await;
    server.change("one", "pause").await;
    assert_eq!(server.detail("one").await["status"], "waitingForPause");
    server.kill();
    let server = Server::start(&project).await;
    server.until_status("one", "paused").await;
    assert_eq!(journal.count("one", "long"), 1);
    server.change("one", "resume").await;
    journal.until("one", "long", 2).await;
}

#[tokio::test]
async fn a_termination_that_was_acknowledged_survives_a_kill() {
    let journal = Journal::start().await;
    let project = Project::new(HELD, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "ms": 60_000 })).await;
    journal.until("one", "long", 1).await;
    server.change("one", "terminate").await;
    server.kill();
    let server = Server::start(&project).await;
    assert_eq!(server.detail("one").await["status"], "terminated");
}
