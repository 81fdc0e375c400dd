//! Streams as step results: what is kept of them, what comes back, what people see, and what is refused.

use hyper::Method;
use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::support::{Project, Server, error_text, eventually};

const SOURCE: &str = include_str!("workers/streams.js");
const CLASSES: [&str; 5] = ["Kinds", "Slow", "Unread", "Forever", "Env"];

async fn server() -> Server {
    Server::dev(&[&Project::worker("streams", &CLASSES, SOURCE)]).await
}

/// An instance whose step has given a stream of this kind.
async fn waiting(server: &Server, params: Json) -> String {
    let id = server.create("Kinds", params).await;
    server.until_status("Kinds", &id, "waiting").await;
    id
}

/// What is seen of a stream of this kind the first time and after a replay: the same.
async fn looked(server: &Server, kind: &str) -> Json {
    let id = waiting(server, json!({ "kind": kind })).await;
    server.replay("Kinds", &id).await;
    server.send_event("Kinds", &id, "go", Json::Null).await.ok();
    let looks = server.output("Kinds", &id).await;
    assert_eq!(looks[0], looks[1], "{kind}");
    looks[0].clone()
}

/// A number that the store's database gives.
fn count(server: &Server, sql: &str) -> u64 {
    let file = find_database(server.state()).expect("a database");
    let db = Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    db.query_row(sql, [], |row| row.get(0)).expect("a number")
}

fn find_database(dir: &std::path::Path) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    entries.into_iter().find_map(|path| {
        if path.is_dir() { find_database(&path) } else { (path.file_name()? == "stepwell.db").then_some(path) }
    })
}

/// Waits until no piece of any stream is left.
async fn until_swept(server: &Server) {
    let left = || count(server, "SELECT (SELECT count(*) FROM stream_chunks) + (SELECT count(*) FROM streams)");
    eventually(|| format!("{} left", left()), || async { (left() == 0).then_some(()) }).await;
}

#[tokio::test]
async fn a_stream_is_kept_and_comes_back_after_a_replay() {
    let server = server().await;
    let large = looked(&server, "large").await;
    assert_eq!((&large["bytes"], &large["largest"]), (&json!(3_000_000), &json!(262_144)));
    let text = looked(&server, "text").await;
    assert_eq!((&text["bytes"], &text["kinds"]), (&json!(12), &json!(["Uint8Array"])));
    assert_eq!(looked(&server, "body").await["bytes"], 10);
}

#[tokio::test]
async fn an_empty_stream_comes_back_empty() {
    let server = server().await;
    assert_eq!(looked(&server, "empty").await["bytes"], 0);
    assert_eq!(looked(&server, "emptyChunks").await["bytes"], 1);
}

#[tokio::test]
async fn chunks_of_every_typed_array_come_back_as_bytes() {
    let server = server().await;
    let typed = looked(&server, "typed").await;
    assert_eq!((&typed["bytes"], &typed["kinds"]), (&json!(19), &json!(["Uint8Array"])));
}

/// Checks that a stream of this kind ends the instance: the attempt's error, and behind a beginning the instance's.
async fn check_fatal(server: &Server, kind: &str, message: &str) {
    let id = server.create("Kinds", json!({ "kind": kind })).await;
    let error = server.error("Kinds", &id).await;
    let begins = "WorkflowFatalError: The execution of the Workflow instance was terminated, as the step \"stream\" returned \
                  an invalid ReadableStream output. ";
    assert_eq!(error, format!("{begins}{message}"));
    let detail = server.instance("Kinds", &id).await;
    let attempts = detail["steps"][0]["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 1);
    assert_eq!(error_text(&attempts[0]["error"]), format!("WorkflowFatalError: {message}"));
}

#[tokio::test]
async fn streams_that_cannot_be_results_end_the_instance() {
    let server = server().await;
    let locked = "Step returned a ReadableStream that is already locked or otherwise unreadable. Return a fresh, unlocked \
                  ReadableStream from step.do().";
    check_fatal(&server, "locked", locked).await;
    let unsupported = "Step returned a ReadableStream with unsupported chunk type. Only ArrayBuffer and TypedArray chunks are supported.";
    check_fatal(&server, "unsupported", unsupported).await;
    check_fatal(&server, "view", unsupported).await;
    let oversized = "Step returned a ReadableStream chunk larger than the maximum allowed size of 16777216 bytes. Return \
                     smaller chunks from step.do().";
    check_fatal(&server, "oversized", oversized).await;
    check_fatal(&server, "broken", "Failed to read from step ReadableStream output. no more").await;
    until_swept(&server).await;
}

#[tokio::test]
async fn a_chunk_of_the_largest_size_is_taken() {
    assert_eq!(looked(&server().await, "largestChunk").await["bytes"], 16 << 20);
}

#[tokio::test]
async fn people_see_a_preview_and_may_read_the_whole() {
    let server = server().await;
    let long = format!("{}[truncated output]", "ä".repeat(1_024));
    let binary = "[ReadableStream (binary): 4 bytes]";
    for (kind, preview, bytes) in [
        ("text", "hello wörld", "hello wörld".as_bytes()),
        ("long", &*long, "ä".repeat(5_000).as_bytes()),
        ("binary", binary, &[0xff, 0xfe, 1, 2]),
        ("empty", "", b""),
    ] {
        let id = waiting(&server, json!({ "kind": kind })).await;
        let detail = server.instance("Kinds", &id).await;
        assert_eq!(detail["steps"][0]["output"], json!(json!(preview).to_string()), "{kind}");
        let path = format!("workflows/Kinds/instances/{id}/step?name=stream-1");
        let whole = server.api(Method::GET, &path, "").await;
        assert_eq!((whole.status, &*whole.body), (200, bytes), "{kind}");
    }
}

#[tokio::test]
async fn a_sensitive_stream_is_shown_to_user_code_only() {
    let server = server().await;
    let id = waiting(&server, json!({ "kind": "text", "sensitive": true })).await;
    assert_eq!(server.instance("Kinds", &id).await["steps"][0]["output"], "[REDACTED]");
    let path = format!("workflows/Kinds/instances/{id}/step?name=stream-1");
    let answer = server.api(Method::GET, &path, "").await.ok();
    assert_eq!(answer["result"]["output"], "[REDACTED]");
    server.send_event("Kinds", &id, "go", Json::Null).await.ok();
    assert_eq!(server.output("Kinds", &id).await[0]["bytes"], 12);
}

#[tokio::test]
async fn a_timeout_covers_the_writing_and_leaves_nothing_of_it() {
    let server = server().await;
    let id = server.create("Slow", json!({})).await;
    assert_eq!(server.output("Slow", &id).await, json!({ "got": "attempt 2", "cancelled": "yes" }));
    let detail = server.instance("Slow", &id).await;
    let timed_out = "WorkflowTimeoutError: Execution timed out after 200ms";
    assert_eq!(error_text(&detail["steps"][0]["attempts"][0]["error"]), timed_out);
    let left = || count(&server, "SELECT count(*) FROM stream_chunks");
    eventually(|| format!("{} left", left()), || async { (left() == 1).then_some(()) }).await;
}

#[tokio::test]
async fn a_stream_may_be_left_read_in_part_or_streamed_again() {
    let server = server().await;
    assert_eq!(server.run("Unread", json!({})).await, json!([9, "number 3!", "number 3!"]));
}

#[tokio::test]
async fn pieces_go_when_the_instance_is_restarted_deleted_or_terminated() {
    let server = server().await;
    let id = waiting(&server, json!({ "kind": "large" })).await;
    assert_eq!(count(&server, "SELECT count(*) FROM stream_chunks"), 12);
    server.changed("Kinds", &id, "restart").await;
    server.until("Kinds", &id, |detail| detail["status"] == "waiting").await;
    let left = || count(&server, "SELECT count(*) FROM stream_chunks");
    eventually(|| format!("{} left", left()), || async { (left() == 12).then_some(()) }).await;
    let path = "workflows/Kinds/instances/batch/delete";
    server.api(Method::POST, path, json!({ "instances": [id] }).to_string()).await.ok();
    until_swept(&server).await;
    let id = server.create("Forever", json!({})).await;
    eventually(|| "no piece".to_owned(), || async { (left() > 3).then_some(()) }).await;
    server.changed("Forever", &id, "terminate").await;
    until_swept(&server).await;
}

#[tokio::test]
async fn a_stream_that_is_damaged_rejects_its_step() {
    let server = server().await;
    let id = waiting(&server, json!({ "kind": "large" })).await;
    let db = Connection::open(find_database(server.state()).expect("a database")).expect("a database");
    db.execute("DELETE FROM stream_chunks WHERE number = 3", []).expect("a deletion");
    server.replay("Kinds", &id).await;
    let error = server.error("Kinds", &id).await;
    assert_eq!(error, "WorkflowInternalError: Stored output for stream-1 is corrupt or incomplete.");
}

#[tokio::test]
async fn user_code_does_not_see_the_way_to_the_server() {
    assert_eq!(server().await.run("Env", json!({})).await, json!(CLASSES));
}
