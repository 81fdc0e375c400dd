//! Servers and workers as processes: who ends with whom, and what happens where the tools are gone.

use std::path::Path;
use std::time::Instant;

use futures_util::future::join_all;
use hyper::Method;
use serde_json::json;

use crate::support::{Journal, Launch, PATIENCE, Project, Server, ended, is_alive, kill, until};

const LONG: &str = r"
export class W extends WorkflowEntrypoint {
	async run(event, step) {
		return await step.do('long', async () => {
			await journal(event.instanceId, 'long');
			await scheduler.wait(event.payload.ms);
			return 'done';
		});
	}
}
";

async fn busy(project: &Project, journal: &Journal) -> (Server, Vec<u32>) {
    let server = Server::start(project).await;
    server.create("one", json!({ "ms": 60_000 })).await;
    journal.until("one", "long", 1).await;
    let workers = server.workers();
    assert!(!workers.is_empty(), "a worker runs");
    (server, workers)
}

#[tokio::test]
async fn no_worker_outlives_a_server_that_is_killed() {
    let journal = Journal::start().await;
    let project = Project::new(LONG, &journal);
    let (server, workers) = busy(&project, &journal).await;
    server.kill();
    until("the workers end", async || workers.iter().all(|id| !is_alive(*id)).then_some(())).await;
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_ends_its_workers_in_bounded_time() {
    let journal = Journal::start().await;
    let project = Project::new(LONG, &journal);
    let (server, workers) = busy(&project, &journal).await;
    let asked_at = Instant::now();
    let status = server.stop().await;
    assert!(status.success(), "{status}");
    assert!(asked_at.elapsed() < PATIENCE / 2, "it took {:?}", asked_at.elapsed());
    assert!(workers.iter().all(|id| !is_alive(*id)), "no worker is left");
    let server = Server::start(&project).await;
    journal.until("one", "long", 2).await;
    assert_eq!(server.detail("one").await["status"], "running", "a stop is not visible to the instance");
}

#[tokio::test]
async fn the_process_in_which_a_deploy_was_tried_out_serves_it() {
    let journal = Journal::start().await;
    let project = Project::new(LONG, &journal);
    let server = Server::start(&project).await;
    let tried = server.workers();
    assert_eq!(tried.len(), 1, "it is there before anybody asks for it");
    server.create("one", json!({ "ms": 0 })).await;
    assert_eq!(server.output_of("one").await, "done");
    assert_eq!(server.workers(), tried);
}

fn workerd() -> std::path::PathBuf {
    stepwell::tools::Tools::locate().expect("workerd is installed").workerd
}

/// A copy of workerd that a test may delete.
fn copy_of_workerd(directory: &Path) -> std::path::PathBuf {
    let copy = directory.join("workerd");
    std::fs::copy(workerd(), &copy).expect("copy workerd");
    copy
}

fn write_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).expect("write a program");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("make it executable");
}

async fn check_refusal(launch: Launch, expected: &[&str]) {
    let mut server = launch.spawn();
    let status = ended(&mut server).await;
    assert_eq!(status.code(), Some(1));
    until("it says why", async || server.output().contains("error:").then_some(())).await;
    for text in expected {
        assert!(server.output().contains(text), "{text:?} is not in\n{}", server.output());
    }
}

#[tokio::test]
async fn a_missing_workerd_is_named_with_what_to_do() {
    let journal = Journal::start().await;
    let project = Project::new(LONG, &journal);
    let missing = project.state().with_file_name("nowhere");
    let launch = Launch::of(&project).with("STEPWELL_WORKERD", &missing);
    check_refusal(launch, &["STEPWELL_WORKERD", missing.to_str().expect("a path"), "unset it"]).await;
}

#[tokio::test]
async fn another_version_of_workerd_is_named_with_the_one_that_is_needed() {
    let journal = Journal::start().await;
    let project = Project::new(LONG, &journal);
    let other = project.state().with_file_name("workerd");
    write_program(&other, "#!/bin/sh\necho workerd 2020-01-01\n");
    let launch = Launch::of(&project).with("STEPWELL_WORKERD", &other);
    check_refusal(launch, &["workerd 2020-01-01", stepwell::tools::WORKERD_RELEASE]).await;
}

#[tokio::test]
async fn instances_wait_while_workerd_is_gone_and_go_on_when_it_is_back() {
    let journal = Journal::start().await;
    let project = Project::new(LONG, &journal);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let workerd = copy_of_workerd(directory.path());
    let server = Launch::of(&project).with("STEPWELL_WORKERD", &workerd).start().await;
    server.create("early", json!({ "ms": 500 })).await;
    journal.until("early", "long", 1).await;
    let hidden = directory.path().join("hidden");
    std::fs::rename(&workerd, &hidden).expect("hide workerd");
    kill(server.worker().await);
    until("the error is logged", async || server.output().contains("a worker does not start").then_some(())).await;
    server.create("late", json!({ "ms": 0 })).await;
    assert_eq!(server.detail("late").await["status"], "queued");
    assert_eq!(server.detail("early").await["status"], "running");
    std::fs::rename(&hidden, &workerd).expect("bring it back");
    for id in ["early", "late"] {
        assert_eq!(server.output_of(id).await, "done");
    }
}

const GATES: &str = r"
export class W extends WorkflowEntrypoint {
	async run(event, step) {
		if (event.payload.ms) {
			await step.do('long', async () => {
				await journal(event.instanceId, 'long');
				await scheduler.wait(event.payload.ms);
			});
			return 'done';
		}
		for (let i = 0; ; i++) await step.waitForEvent(`gate ${i}`, { type: 'go', timeout: '1 hour' });
	}
}
";

const GONE: usize = 300;

#[tokio::test]
async fn instances_that_are_deleted_or_restarted_while_they_wake_do_not_disturb_others() {
    let journal = Journal::start().await;
    let project = Project::new(GATES, &journal);
    let server = Server::start(&project).await;
    server.create_many("gone", GONE, &json!({})).await;
    until("all wait", async || (server.count("waiting").await == GONE as u64).then_some(())).await;
    // After a restart no run is live: every event begins one, from the store.
    server.kill();
    let server = Server::start(&project).await;
    server.create("bystander", json!({ "ms": 4_000 })).await;
    journal.until("bystander", "long", 1).await;
    let workers = server.workers();
    let ids: Vec<_> = (0..GONE).map(|n| format!("gone{n}")).collect();
    // Events and what follows them overtake each other, so that some instances go while their history is being read.
    let events = ids
        .iter()
        .map(async |id| server.try_request(Method::POST, &format!("instances/{id}/events/go"), Some(json!(1))).await);
    let (deleted, restarted) = ids.split_at(GONE / 2);
    let deletions = async {
        for ids in deleted.chunks(10) {
            server.delete(ids).await;
        }
    };
    let restarts = restarted.iter().map(async |id| server.change(id, "restart").await);
    tokio::join!(join_all(events), deletions, join_all(restarts));
    assert_eq!(server.output_of("bystander").await, "done");
    assert_eq!(journal.count("bystander", "long"), 1);
    assert_eq!(server.workers(), workers, "the worker was not ended");
    assert_eq!(server.count("waiting").await, GONE as u64 / 2);
}
