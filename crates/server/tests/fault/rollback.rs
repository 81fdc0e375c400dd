//! A rollback goes on where it was, whatever is killed.

use serde_json::{Value as Json, json};

use crate::support::{Journal, Project, Server, is_alive, kill, until};

const SAGA: &str = r"
export class W extends WorkflowEntrypoint {
	async run({ payload, instanceId: id }, step) {
		const undo = (name, more) => ({
			rollback: async ({ output }) => {
				await journal(id, `undo ${name}`);
				if (output !== name) throw new Error(`no output of ${name}`);
				if (name === payload.slow) await scheduler.wait(2000);
				if (name === payload.fails && Date.now() < payload.until) throw new Error('not yet');
			},
			...more,
		});
		const retries = { limit: payload.limit ?? 5, delay: 1500, backoff: 'constant' };
		for (const name of ['a', 'b', 'c', 'd']) {
			await step.do(name, async () => name, undo(name, { rollbackConfig: { retries } }));
		}
		await journal(id, 'run');
		if (payload.waits) await step.waitForEvent('wait', { type: 'go' });
		throw new TypeError('whole');
	}
}
";

fn undone(journal: &Journal, id: &str) -> Vec<String> {
    let lines = journal.lines().into_iter().filter(|line| line.instance == id);
    lines.filter_map(|line| line.step.strip_prefix("undo ").map(str::to_owned)).collect()
}

fn check_end(detail: &Json, status: &str) {
    assert_eq!(
        (&detail["status"], &detail["rollback"]),
        (&json!(status), &json!({ "outcome": "complete", "error": null }))
    );
    let steps = detail["steps"].as_array().expect("steps");
    let rolled_back = steps.iter().filter(|step| step["type"] == "rollback");
    assert_eq!(rolled_back.map(|step| &step["name"]).collect::<Vec<_>>(), ["d-1", "c-1", "b-1", "a-1"]);
}

#[tokio::test]
async fn a_kill_of_the_server_in_the_middle_of_a_rollback_repeats_only_the_handler_that_ran() {
    let journal = Journal::start().await;
    let project = Project::new(SAGA, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "slow": "c" })).await;
    journal.until("one", "undo c", 1).await;
    assert_eq!(server.detail("one").await["status"], "rollingBack");
    server.kill();
    let server = Server::start(&project).await;
    let detail = server.until_final("one").await;
    check_end(&detail, "errored");
    assert_eq!(detail["error"]["message"], "whole");
    assert_eq!(undone(&journal, "one"), ["d", "c", "c", "b", "a"]);
    let attempts = detail["steps"][5]["attempts"].as_array().expect("attempts");
    assert_eq!((attempts.len(), &attempts[0]["interruptions"]), (1, &json!(1)), "the loss uses up no retry");
}

#[tokio::test]
async fn a_kill_of_the_worker_in_the_middle_of_a_rollback_repeats_only_the_handler_that_ran() {
    let journal = Journal::start().await;
    let project = Project::new(SAGA, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "slow": "c", "waits": true })).await;
    server.until_status("one", "waiting").await;
    server.roll_back("one").await;
    journal.until("one", "undo c", 1).await;
    let worker = server.worker().await;
    kill(worker);
    until("the worker is gone", async || (!is_alive(worker)).then_some(())).await;
    check_end(&server.until_final("one").await, "terminated");
    assert_eq!(undone(&journal, "one"), ["d", "c", "c", "b", "a"]);
}

#[tokio::test]
async fn a_retry_delay_of_a_handler_goes_on_across_a_kill_of_the_server() {
    let journal = Journal::start().await;
    let project = Project::new(SAGA, &journal);
    let server = Server::start(&project).await;
    let until_ms = crate::support::now_ms() + 60_000;
    server.create("one", json!({ "fails": "c", "until": until_ms, "limit": 1 })).await;
    let waiting = until("the handler waits", async || {
        let detail = server.detail("one").await;
        detail["wake_at"].is_string().then_some(detail)
    })
    .await;
    let due: jiff::Timestamp = waiting["wake_at"].as_str().expect("a time").parse().expect("a time");
    server.kill();
    let server = Server::start(&project).await;
    let detail = server.until_final("one").await;
    assert_eq!((&detail["status"], &detail["rollback"]["outcome"]), (&json!("errored"), &json!("failed")));
    assert_eq!(detail["rollback"]["error"]["message"], "not yet");
    assert_eq!(undone(&journal, "one"), ["d", "c", "c"]);
    let last = journal.lines().into_iter().filter(|line| line.step == "undo c").map(|line| line.at).max();
    assert!(last >= Some(due.as_millisecond()), "{last:?} is before {due}");
}

#[tokio::test]
async fn a_handler_without_retries_that_is_lost_fails_the_rollback() {
    let journal = Journal::start().await;
    let project = Project::new(SAGA, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "slow": "c", "limit": 0 })).await;
    journal.until("one", "undo c", 1).await;
    server.kill();
    let server = Server::start(&project).await;
    let detail = server.until_final("one").await;
    assert_eq!((&detail["status"], &detail["rollback"]["outcome"]), (&json!("errored"), &json!("failed")));
    assert_eq!(detail["rollback"]["error"]["name"], "WorkflowInternalError");
    assert_eq!(undone(&journal, "one"), ["d", "c"]);
}

#[tokio::test]
async fn a_rollback_that_was_asked_for_survives_a_kill() {
    let journal = Journal::start().await;
    let project = Project::new(SAGA, &journal);
    let server = Server::start(&project).await;
    server.create("one", json!({ "waits": true })).await;
    server.until_status("one", "waiting").await;
    server.kill();
    // Its handlers are in no memory: the code is replayed for them.
    let server = Server::start(&project).await;
    server.roll_back("one").await;
    server.kill();
    let server = Server::start(&project).await;
    check_end(&server.until_final("one").await, "terminated");
    let mut undone = undone(&journal, "one");
    undone.dedup();
    assert_eq!(undone, ["d", "c", "b", "a"]);
}
