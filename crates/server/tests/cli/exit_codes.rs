//! Every exit code, and the reference of all commands.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::fake::Fake;
use crate::{finish, run, stepwell};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn each_way_to_end_has_its_code() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let fake = Fake::start().await;
    for (args, code) in [
        (&["workflows", "list"][..], 0),
        (&["workflows", "describe", "strange"], 1),
        (&["workflows", "list", "--page", "0"], 2),
        (&["workflows", "describe", "nobody"], 3),
        (&["workflows", "instances", "pause", "orders", "done"], 4),
        (&["workflows", "list", "--api", &nobody], 5),
        (&["workflows", "instances", "describe", "orders", "doomed", "--watch"], 6),
        (&["workflows", "list", "--token", "wrong"], 7),
    ] {
        let ran = run(&fake, args).await;
        assert_eq!(ran.code, code, "{args:?}: {}", ran.told());
    }
}

/// Starts it, waits until it has printed `lines` lines, and presses Ctrl-C.
async fn interrupted(args: &[&str], lines: usize) -> (Option<i32>, Vec<String>) {
    let fake = Fake::start().await;
    let mut command = stepwell();
    command.env("STEPWELL_API", &fake.url).args(args).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut read = Vec::new();
    while read.len() < lines {
        let line = tokio::time::timeout(PATIENCE, out.next_line()).await.expect("it prints").expect("text");
        read.push(line.expect("it goes on"));
    }
    let pid = Pid::from_raw(child.id().expect("it runs").try_into().expect("a number")).expect("a process");
    kill_process(pid, Signal::INT).expect("it can be interrupted");
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").expect("a child of ours");
    (status.code(), read)
}

#[tokio::test]
async fn a_list_is_watched_until_it_is_interrupted() {
    let (code, lines) = interrupted(&["workflows", "list", "--watch"], 3).await;
    assert_eq!((code, lines.len()), (Some(130), 3), "{lines:?}");
    let (code, lines) = interrupted(&["workflows", "describe", "orders", "--watch"], 8).await;
    assert!(code == Some(130) && lines[0].ends_with("orders"), "{lines:?}");
    let (code, lines) = interrupted(&["workflows", "instances", "list", "orders", "--watch", "--json"], 1).await;
    let rows: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!((code, rows.as_array().map(Vec::len)), (Some(130), Some(3)));
}

#[tokio::test]
async fn a_list_that_nobody_reads_any_more_is_not_watched() {
    let fake = Fake::start().await;
    let mut command = stepwell();
    command.env("STEPWELL_API", &fake.url).args(["workflows", "list", "--watch"]).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    tokio::time::timeout(PATIENCE, out.next_line()).await.expect("it prints").expect("text").expect("a line");
    drop(out);
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").expect("a child of ours");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn exit_codes_are_printed() {
    let mut command = stepwell();
    command.args(["exit-codes", "--json"]);
    let codes: serde_json::Value = serde_json::from_str(&finish(command).await.stdout).expect("JSON");
    let codes: Vec<u64> =
        codes.as_array().expect("codes").iter().filter_map(|code| code["exit_code"].as_u64()).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]);
}

#[tokio::test]
async fn the_reference_in_the_documents_is_that_of_this_program() {
    let mut command = stepwell();
    command.arg("reference");
    let reference = finish(command).await.stdout;
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CLI.md")).unwrap_or_default();
    assert!(reference == kept, "docs/CLI.md is not up to date; write it with\n  stepwell reference > docs/CLI.md");
}

#[tokio::test]
async fn bash_loads_the_completions_and_completes_with_them() {
    let mut command = stepwell();
    command.args(["completions", "bash"]);
    let script = finish(command).await.stdout;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &script).expect("written");
    let line = "source \"$1\"; COMP_WORDS=(stepwell workflows inst); COMP_CWORD=2; _stepwell stepwell inst workflows; \
                echo \"${COMPREPLY[*]}\"";
    let mut bash = tokio::process::Command::new("bash");
    bash.args(["--norc", "-c", line, "bash"]).arg(file.path());
    let ran = finish(bash).await;
    assert_eq!((ran.code, ran.stdout.trim()), (0, "instances"), "{}", ran.told());
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let mut command = stepwell();
        command.args(["completions", shell]);
        assert!(finish(command).await.stdout.contains("terminate-all"), "{shell}");
    }
}
