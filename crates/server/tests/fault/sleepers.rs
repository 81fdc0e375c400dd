//! A restart with many instances asleep: they cost nothing, so nobody waits for them.

use std::time::Instant;

use serde_json::json;

use crate::support::{Journal, Project, Server, until};

const SLEEPERS: usize = 5_000;

const WORKER: &str = r"
export class W extends WorkflowEntrypoint {
	async run(event, step) {
		await step.sleep('long', event.payload.ms);
		return 'woken';
	}
}
";

#[tokio::test]
async fn a_restart_with_thousands_asleep_answers_soon_and_forgets_none() {
    let journal = Journal::start().await;
    let project = Project::new(WORKER, &journal);
    let server = Server::start(&project).await;
    server.create_many("sleeper", SLEEPERS, &json!({ "ms": 86_400_000 })).await;
    until("all sleep", async || (server.count("waiting").await == SLEEPERS as u64).then_some(())).await;
    server.kill();
    let began_at = Instant::now();
    let server = Server::start(&project).await;
    let ready_after = began_at.elapsed();
    assert_eq!(server.count("waiting").await, SLEEPERS as u64);
    eprintln!("{SLEEPERS} asleep: ready after {ready_after:?}, answered after {:?}", began_at.elapsed());
    server.create("awake", json!({ "ms": 1 })).await;
    assert_eq!(server.output_of("awake").await, "woken");
    assert_eq!(server.detail(&format!("sleeper{}", SLEEPERS - 1)).await["status"], "waiting");
}
