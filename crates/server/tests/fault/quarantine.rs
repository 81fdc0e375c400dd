//! Code that kills its worker: it alone pays for it.

use std::time::Duration;

use serde_json::json;

use crate::support::{Journal, Project, Server};

const CULPRITS: &str = r"
export class W extends WorkflowEntrypoint {
	async run(event, step) {
		const { mode } = event.payload;
		await step.do('before', async () => 'recorded');
		await step.do('body', async () => {
			await journal(event.instanceId, 'body');
			if (mode === 'loop') for (;;);
			if (mode === 'hog') {
				const hoard = [];
				for (;;) hoard.push(new Array(4_000_000).fill(0.5));
			}
		});
		for (let i = 0; i < 5; i++) {
			await step.do(`after ${i}`, async () => {
				await scheduler.wait(20);
			});
		}
		return 'done';
	}
}
export default {
	async fetch() {
		await journal('fetch', 'loop');
		for (;;);
	},
};
";

const INNOCENTS: usize = 20;

async fn check_that_only_the_culprit_pays(mode: &str) {
    let journal = Journal::start().await;
    let project = Project::with_settings(CULPRITS, &journal, json!({ "limits": { "cpu_ms": 100 } }));
    let server = Server::start(&project).await;
    server.create_many("good", INNOCENTS, &json!({ "mode": "good" })).await;
    server.create("bad", json!({ "mode": mode })).await;
    server.create_many("later", INNOCENTS, &json!({ "mode": "good" })).await;
    for prefix in ["good", "later"] {
        for n in 0..INNOCENTS {
            assert_eq!(server.output_of(&format!("{prefix}{n}")).await, "done");
        }
    }
    let bad = server.until_status("bad", "errored").await;
    let message = bad["error"]["message"].as_str().expect("an error");
    assert!(message.contains('3'), "{message}");
}

#[tokio::test]
async fn an_instance_that_never_yields_is_errored_and_all_others_complete() {
    check_that_only_the_culprit_pays("loop").await;
}

#[tokio::test]
async fn an_instance_that_uses_up_the_memory_is_errored_and_all_others_complete() {
    check_that_only_the_culprit_pays("hog").await;
}

#[tokio::test]
async fn a_request_that_never_yields_does_not_keep_instances_from_running() {
    let journal = Journal::start().await;
    let project = Project::with_settings(CULPRITS, &journal, json!({ "limits": { "cpu_ms": 100 } }));
    let server = Server::start(&project).await;
    let visit = server.visit();
    let work = async {
        journal.until("fetch", "loop", 1).await;
        server.create("good", json!({ "mode": "good" })).await;
        server.output_of("good").await
    };
    let (status, output) = tokio::join!(visit, work);
    assert_eq!(output, "done");
    assert_ne!(status, Some(200));
}

#[tokio::test]
async fn a_request_that_never_yields_is_answered_with_what_happened_although_no_instance_runs() {
    let journal = Journal::start().await;
    let project = Project::with_settings(CULPRITS, &journal, json!({ "limits": { "cpu_ms": 100 } }));
    let server = Server::start(&project).await;
    let begun = std::time::Instant::now();
    assert_eq!(server.visit().await, Some(503));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    server.create("good", json!({ "mode": "good" })).await;
    assert_eq!(server.output_of("good").await, "done");
}

/// Longer than the culprit needs for all its kills.
const TRAFFIC: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_culprit_is_found_in_steady_traffic() {
    let journal = Journal::start().await;
    let project = Project::with_settings(CULPRITS, &journal, json!({ "limits": { "cpu_ms": 100 } }));
    let server = Server::start(&project).await;
    server.create("bad", json!({ "mode": "loop" })).await;
    let traffic = async {
        for n in 0.. {
            server.create(&format!("good{n}"), json!({ "mode": "good" })).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            if n % 30 == 0 && server.detail("bad").await["status"] == "errored" {
                return n;
            }
        }
        unreachable!("instances can always be created")
    };
    let created = tokio::time::timeout(TRAFFIC, traffic).await.expect("the culprit is found");
    for n in 0..=created {
        assert_eq!(server.output_of(&format!("good{n}")).await, "done");
    }
}
