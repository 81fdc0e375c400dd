//! The life of a worker process: output, end, and the end of its parent.

use std::process::Stdio;
use std::time::Duration;

use stepwell_runtime::{Exit, Stream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::setup::{get, spec, start};

const SIGKILL: i32 = 9;
/// Set for the test below that plays the parent which is killed.
const PARENT: &str = "STEPWELL_TEST_PARENT";

#[tokio::test]
async fn output_arrives_line_by_line_with_its_stream() {
    let source =
        "export default { fetch() { console.log('to out'); console.error('to err'); return new Response('x'); } };";
    let mut process = start(&spec(source)).await;
    let mut lines = process.take_lines().unwrap();
    get(&process, "/").await;
    let mut seen = [lines.recv().await.unwrap(), lines.recv().await.unwrap()];
    seen.sort_by_key(|line| line.text.clone());
    let seen: Vec<_> = seen.iter().map(|line| (line.stream, line.text.as_str())).collect();
    assert_eq!(seen, [(Stream::Stderr, "to err"), (Stream::Stdout, "to out")]);
    assert!(process.take_lines().is_none());
}

#[tokio::test]
async fn an_idle_process_ends_when_asked_and_refuses_connections_afterwards() {
    let process = start(&spec("export default {};")).await;
    let exit = process.shutdown(Duration::from_secs(10)).await;
    assert!(matches!(exit, Exit::Code(_) | Exit::Signal(15)), "{exit:?}");
    assert!(process.ingress_socket().connect().await.is_err());
    assert_eq!(process.exited().await, exit);
}

#[tokio::test]
async fn a_process_that_loops_is_killed_after_the_grace() {
    let process = start(&spec("export default { fetch() { for (;;) {} } };")).await;
    let mut stream = process.ingress_socket().connect().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let exit = process.shutdown(Duration::from_millis(300)).await;
    assert!(matches!(exit, Exit::Signal(_)), "{exit:?}");
}

#[tokio::test]
async fn a_kill_and_a_drop_end_the_process() {
    let process = start(&spec("export default {};")).await;
    process.kill();
    assert_eq!(process.exited().await, Exit::Signal(SIGKILL));
    let process = start(&spec("export default {};")).await;
    let exited = process.exited();
    drop(process);
    assert_eq!(exited.await, Exit::Signal(SIGKILL));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_dies_with_a_parent_that_was_killed() {
    let itself = std::env::current_exe().unwrap();
    let mut parent = Command::new(itself)
        .args(["--exact", "process::parent_that_is_killed", "--nocapture"])
        .env(PARENT, "1")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(parent.stdout.take().unwrap()).lines();
    let name = loop {
        let line = output.next_line().await.unwrap().expect("the parent names its worker's socket");
        if let Some((_, name)) = line.split_once("worker ") {
            break format!("\0{}", name.trim());
        }
    };
    let mut connection = UnixStream::connect(name).await.unwrap();
    parent.kill().await.unwrap();
    // The connection ends when the last holder of the other end is gone.
    let ended = tokio::time::timeout(Duration::from_secs(10), connection.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "the worker outlived its parent: {ended:?}");
}

/// Not a test of its own: the process which the test above kills. Alone it does nothing.
#[tokio::test]
async fn parent_that_is_killed() {
    if std::env::var_os(PARENT).is_some() {
        let process = start(&spec("export default {};")).await;
        let path = process.ingress_socket().path().to_str().unwrap();
        println!("worker {}", path.trim_start_matches('\0'));
        process.exited().await;
    }
}
