//! A disk that does not confirm a write: nobody can know what is on it, so the server ends and says so by its exit code.

use std::path::{Path, PathBuf};
use std::process::Command;

use hyper::Method;
use serde_json::json;

use crate::support::{Journal, Launch, Project, ended, until};

/// The exit code of a server whose disk failed.
const STORAGE_FAILED: i32 = 8;

const WORKER: &str = "export class W extends WorkflowEntrypoint { async run(event, step) { return 1; } }";

/// The system's calls, which refuse as a broken disk does once the file named by `REFUSE_SYNC` is there.
const DISK: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int refuses(void) {
    const char *file = getenv("REFUSE_SYNC");
    if (!file || access(file, F_OK) != 0) return 0;
    errno = EIO;
    return 1;
}
int fsync(int fd) { return refuses() ? -1 : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return refuses() ? -1 : (int)syscall(SYS_fdatasync, fd); }
"#;

/// A library that stands between the server and its disk.
fn disk(directory: &Path) -> PathBuf {
    let (source, library) = (directory.join("disk.c"), directory.join("disk.so"));
    std::fs::write(&source, DISK).expect("written");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(compiled.expect("a C compiler").success());
    library
}

#[tokio::test]
async fn a_disk_that_does_not_confirm_a_write_ends_the_server_with_its_code() {
    let journal = Journal::start().await;
    let project = Project::new(WORKER, &journal);
    let directory = tempfile::tempdir().expect("a directory");
    let (library, refuse) = (disk(directory.path()), directory.path().join("refuse"));
    let launch = Launch::of(&project).with("LD_PRELOAD", &library).with("REFUSE_SYNC", &refuse);
    let mut server = launch.start().await;
    server.create("before", json!({})).await;
    server.until_status("before", "complete").await;
    std::fs::write(&refuse, "").expect("written");
    let refused = server.try_request(Method::POST, "instances", Some(json!({ "instance_id": "lost" }))).await;
    assert!(refused.is_none_or(|(status, _)| status >= 500), "a write that is not confirmed is not acknowledged");
    assert_eq!(ended(&mut server).await.code(), Some(STORAGE_FAILED));
    std::fs::remove_file(&refuse).expect("the disk works again");
    let server = Launch::of(&project).start().await;
    until("what was acknowledged is there", async || {
        (server.detail("before").await["status"] == "complete").then_some(())
    })
    .await;
}
