//! Upgrades of the store's format while instances sleep: data directories of released formats, as the binary of their time
//! left them, are opened by this one, and the sleepers finish.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::support::{Launch, Server, operator_token};

/// Some minutes after the directory of format 1 was left: what slept for a minute is due.
const AFTER_FORMAT_1: &str = "2026-11-21T10:25:00Z";

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

async fn open(state: &Path) -> Server {
    let mut server = Launch::serve().state(state).arg("--test-clock").arg(AFTER_FORMAT_1).start().await;
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
    let server = open(state.path()).await;
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
    assert_eq!(server.instance("sleeper", "done").await["expires_at"], Json::Null);
    assert_eq!(server.status("sleeper", "paused").await, "paused");
    server.changed("sleeper", "paused", "resume").await;
    let far = server.until_status("sleeper", "sleeps-long", "waiting").await;
    assert_eq!(far["wake_at"], "2027-11-21T10:17:30.028Z");
    assert_eq!(server.get("golden", "/").await, "format 1");
    server.stop();

    // It is of this version's format now, and what was left goes on.
    let server = open(state.path()).await;
    assert_eq!(server.status("sleeper", "sleeps-long").await, "waiting");
    assert_eq!(server.status("sleeper", "paused").await, "waiting");
    assert_eq!(server.changed("sleeper", "sleeps-long", "terminate").await, "terminated");
}
