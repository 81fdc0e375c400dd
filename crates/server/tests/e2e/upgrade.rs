//! Upgrades of the store's format while instances sleep: data directories of released formats, as the binary of their time
//! left them, are opened by this one, and the sleepers finish.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Launch, Server, eventually, operator_token};

/// Some minutes after the directory of format 1 was left: what slept for a minute is due.
const AFTER_FORMAT_1: &str = "2026-11-21T10:25:00Z";
/// The night after the directory of format 4 was left: a schedule has missed its firing of midnight.
const AFTER_FORMAT_4: &str = "2026-11-29T00:05:00Z";

/// A copy of the data directory that a format left.
fn directory_of(format: &str) -> tempfile::TempDir {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format);
    let state = tempfile::tempdir().expect("a temporary directory");
    for name in ["stepwell.db", "operator-token", "secrets-key"] {
        let copy = state.path().join(name);
        std::fs::copy(golden.join(name), &copy).expect(name);
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600)).expect(name);
    }
    state
}

async fn open(state: &Path, clock: &str) -> Server {
    let mut server = Launch::serve().state(state).arg("--test-clock").arg(clock).start().await;
    assert_eq!(server.token, None, "the old token stays valid");
    server.token = Some(operator_token(state));
    server
}

fn output(waited: Json, created_at: i64) -> Json {
    let mut output =
        json!({ "after": "1970-01-01T00:00:00.000Z 1", "secret": true, "timestamp": created_at, "waited": waited });
    if waited.is_null() {
        output.as_object_mut().expect("an object").remove("waited");
    }
    output
}

#[tokio::test]
async fn instances_that_slept_in_format_1_finish_after_the_upgrade() {
    let state = directory_of("format-1");
    let server = open(state.path(), AFTER_FORMAT_1).await;
    let created_at = async |id| {
        let queued = server.instance("sleeper", id).await["queued"].clone();
        let at: jiff::Timestamp = queued.as_str().expect("a time").parse().expect("a time");
        at.as_millisecond()
    };
    assert_eq!(server.output("sleeper", "sleeps").await, output(Json::Null, created_at("sleeps").await));
    assert_eq!(server.output("sleeper", "retries").await, output(json!(2), created_at("retries").await));
    assert_eq!(server.status("sleeper", "waits").await, "waiting");
    server.send_event("sleeper", "waits", "go", json!({ "by": "test" })).await.ok();
    assert_eq!(server.output("sleeper", "waits").await, output(json!({ "by": "test" }), created_at("waits").await));

    assert_eq!(server.output("sleeper", "done").await, output(json!(2), created_at("done").await));
    assert_eq!(server.status("sleeper", "paused").await, "paused");
    server.changed("sleeper", "paused", "resume").await;
    let far = server.until_status("sleeper", "sleeps-long", "waiting").await;
    assert_eq!(far["wake_at"], "2027-11-21T10:17:30.028Z");
    assert_eq!(server.get("golden", "/").await, "format 1");
    server.stop();

    // It is of this version's format now, and what was left goes on.
    let server = open(state.path(), AFTER_FORMAT_1).await;
    assert_eq!(server.status("sleeper", "sleeps-long").await, "waiting");
    assert_eq!(server.status("sleeper", "paused").await, "waiting");
    assert_eq!(server.changed("sleeper", "sleeps-long", "terminate").await, "terminated");
}

/// What a sleeper of format 4 returns.
fn whole_output(code: &str, waited: Json) -> Json {
    let mut output = json!({
        "after": "1970-01-01T00:00:00.000Z 1", "streamed": "one two three", "nested": 7, "secret": true, "code": code,
    });
    if !waited.is_null() {
        output["waited"] = waited;
    }
    output
}

#[tokio::test]
async fn what_had_ended_in_format_1_gets_the_time_at_which_it_is_to_go() {
    let state = directory_of("format-1");
    let server = open(state.path(), AFTER_FORMAT_1).await;
    let kept = server.until("sleeper", "done", |detail| !detail["expires_at"].is_null()).await;
    let ended: jiff::Timestamp = kept["end"].as_str().expect("a time").parse().expect("a time");
    let expires: jiff::Timestamp = kept["expires_at"].as_str().expect("a time").parse().expect("a time");
    assert_eq!(expires.duration_since(ended), jiff::SignedDuration::from_hours(7 * 24));
    server.stop();

    // The time of its end counts, and not that of the upgrade.
    let server = open(state.path(), "2026-11-28T10:20:00Z").await;
    let is_gone =
        async || (server.api(Method::GET, "workflows/sleeper/instances/done", "").await.status == 404).then_some(());
    eventually(|| "what had ended a week before is gone".to_owned(), is_gone).await;
    assert_eq!(server.status("sleeper", "paused").await, "paused");
}

#[tokio::test]
async fn instances_of_format_4_finish_on_their_own_code_after_the_upgrade() {
    let state = directory_of("format-4");
    let server = open(state.path(), AFTER_FORMAT_4).await;
    assert_eq!(server.output("sleeper", "sleeps").await, whole_output("first", Json::Null));
    assert_eq!(server.output("sleeper", "sleeps-on-the-second").await, whole_output("second", Json::Null));
    assert_eq!(server.output("sleeper", "retries").await, whole_output("first", json!(2)));
    server.send_event("sleeper", "waits", "go", json!("an event")).await.ok();
    assert_eq!(server.output("sleeper", "waits").await, whole_output("first", json!("an event")));
    server.changed("sleeper", "paused", "resume").await;
    assert_eq!(server.until_status("sleeper", "sleeps-long", "waiting").await["wake_at"], "2027-11-28T18:05:12.947Z");
    assert_eq!(server.get("golden", "/").await, "format 4");
    server.stop();

    let server = open(state.path(), AFTER_FORMAT_4).await;
    assert_eq!(server.status("sleeper", "paused").await, "waiting");
    assert_eq!(server.changed("sleeper", "sleeps-long", "terminate").await, "terminated");
}

#[tokio::test]
async fn what_had_ended_in_format_4_stays_as_long_as_it_was_to_stay() {
    let state = directory_of("format-4");
    let server = open(state.path(), AFTER_FORMAT_4).await;
    assert_eq!(server.output("sleeper", "done").await, whole_output("first", Json::Null));
    assert_eq!(server.instance("sleeper", "done").await["expires_at"], "2026-12-28T18:05:13.007Z");
    assert_eq!(server.error("sleeper", "failed").await, "RangeError: as asked");
    assert_eq!(server.instance("sleeper", "failed").await["expires_at"], "2026-12-05T18:05:13.027Z");
    eventually(
        || "the instance whose hour is over is gone".to_owned(),
        async || (server.api(Method::GET, "workflows/sleeper/instances/expires", "").await.status == 404).then_some(()),
    )
    .await;
}

#[tokio::test]
async fn a_rollback_a_queue_and_a_schedule_of_format_4_go_on_after_the_upgrade() {
    let state = directory_of("format-4");
    let server = open(state.path(), AFTER_FORMAT_4).await;
    let undone = server.ended("saga", "undoes").await;
    assert_eq!(undone["rollback"], json!({ "outcome": "complete", "error": null }));
    let logs = server.api(Method::GET, "workflows/saga/instances/undoes/logs", "").await.text();
    assert!(logs.contains("undo pay 5 euros") && logs.contains("undo book seat 7"), "{logs}");

    // Either may get the only place first: they run different code.
    server.changed("single", "hangs", "terminate").await;
    assert_eq!(server.output("single", "queued").await, "queued");

    let fired = "0%200%20*%20*%20*-1795910400000";
    let schedule = json!({ "cron": "0 0 * * *", "scheduledTime": 1_795_910_400_000_i64 });
    assert_eq!(server.output("nightly", fired).await, schedule);
    let list = server.api(Method::GET, "workflows/nightly/instances", "").await.ok();
    assert_eq!(list["result_info"]["total_count"], 1);
}
