//! A file system without room: nothing new is taken, nothing is lost, and all goes on when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Journal, Launch, Project, Server, ended, until};

const FILE_SYSTEM_MIB: u64 = 24;
const BLOCK: [u8; 4096] = [0x5a; 4096];

const WORKER: &str = r"
export class W extends WorkflowEntrypoint {
	async run(event, step) {
		const steps = [];
		for (let i = 0; i < 3; i++) {
			steps.push(await step.do(`step ${i}`, async () => {
				await journal(event.instanceId, `step ${i}`);
				return i;
			}));
			await step.waitForEvent(`gate ${i}`, { type: `go-${i}`, timeout: '1 hour' });
		}
		return steps;
	}
}
";

/// A small file system of this test's own; it is gone when this is dropped.
struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let size = format!("size={FILE_SYSTEM_MIB}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(directory.path()).status();
        assert!(mounted.expect("run mount").success(), "this test mounts a tmpfs and must be allowed to");
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Leaves no room.
    fn fill(&self) {
        use std::io::Write;
        let mut ballast =
            std::fs::OpenOptions::new().create(true).append(true).open(self.ballast()).expect("a ballast");
        while ballast.write_all(&BLOCK).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("drop the ballast");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "the file system of this test stays mounted");
    }
}

async fn status_of_create(server: &Server, id: &str) -> Option<u16> {
    let body = json!({ "instance_id": id, "params": {} });
    server.try_request(Method::POST, "instances", Some(body)).await.map(|(status, _)| status)
}

#[tokio::test]
async fn a_full_disk_stops_new_work_and_keeps_the_old() {
    let journal = Journal::start().await;
    let project = Project::new(WORKER, &journal);
    let disk = SmallDisk::mount();
    let server = Launch::of(&project).with_state(&disk.path().join("state")).start().await;
    server.create_many("old", 20, &json!({})).await;
    for n in 0..20 {
        server.until_status(&format!("old{n}"), "waiting").await;
    }
    disk.fill();
    // Whoever deploys or changes control data is told at once, also the first who finds out.
    let secret = json!({ "name": "KEY", "text": "x".repeat(4000), "type": "secret_text" });
    let secret = server.try_api(Method::PUT, "workers/scripts/fault/secrets", Some(secret)).await;
    assert_eq!(
        secret.map(|(status, answer)| (status, answer["errors"][0]["code"].clone())),
        Some((507, json!(20_507)))
    );
    // The one that finds out waits for room, and is told so; those behind it are refused.
    let mut tries = 0;
    until("new work is refused", async || {
        tries += 1;
        let status = status_of_create(&server, &format!("waits{tries}")).await;
        (status == Some(507)).then_some(())
    })
    .await;
    assert_eq!(status_of_create(&server, "refused").await, Some(507));
    let terminated = server.try_request(Method::PATCH, "instances/old0/status", Some(json!({ "status": "terminate" })));
    assert_eq!(terminated.await.map(|(status, _)| status), Some(507));
    assert_eq!(server.detail("old0").await["status"], "waiting");
    assert_eq!(server.list("per_page=100&status=waiting").await.as_array().map(Vec::len), Some(20));
    let event = server.try_request(Method::POST, "instances/old0/events/go-0", Some(json!(1))).await;
    assert_eq!(event.map(|(status, _)| status), Some(507));
    disk.make_room();
    until("there is room again", async || (status_of_create(&server, "fresh").await == Some(200)).then_some(())).await;
    server.until_status(&format!("waits{tries}"), "waiting").await;
    assert_eq!(server.try_request(Method::GET, "instances/refused", None).await.map(|(status, _)| status), Some(404));
    check_all_complete(&server).await;
}

#[tokio::test]
async fn a_server_that_is_killed_with_a_full_disk_has_all_that_was_acknowledged() {
    let journal = Journal::start().await;
    let project = Project::new(WORKER, &journal);
    let disk = SmallDisk::mount();
    let state = disk.path().join("state");
    let server = Launch::of(&project).with_state(&state).start().await;
    server.create_many("old", 20, &json!({})).await;
    disk.fill();
    until("new work is refused", async || (status_of_create(&server, "refused").await == Some(507)).then_some(()))
        .await;
    server.kill();
    let mut server = Launch::of(&project).with_state(&state).spawn();
    assert_eq!(ended(&mut server).await.code(), Some(1));
    until("it says why", async || server.output().contains("no room to open").then_some(())).await;
    disk.make_room();
    let server = Launch::of(&project).with_state(&state).start().await;
    check_all_complete(&server).await;
}

async fn check_all_complete(server: &Server) {
    for n in 0..20 {
        for i in 0..3 {
            server.send_event(&format!("old{n}"), &format!("go-{i}"), Json::Null).await;
        }
    }
    for n in 0..20 {
        assert_eq!(server.output_of(&format!("old{n}")).await, json!([0, 1, 2]));
    }
}
