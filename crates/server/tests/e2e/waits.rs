//! Sleeps, events, and branches that go on at the same time: as they happen, and the same after a replay.

use serde_json::{Value as Json, json};

use crate::support::{Project, Server, names_of};

const SOURCE: &str = include_str!("workers/waits.js");
const CLASSES: [&str; 6] = ["Sleeps", "SleepsUntil", "Waits", "WaitsTwice", "CatchesTimeout", "Race"];

async fn server() -> Server {
    Server::dev(&[&Project::worker("waits", &CLASSES, SOURCE)]).await
}

#[tokio::test]
async fn a_sleep_lasts_as_long_as_it_says() {
    let server = server().await;
    for nap in [json!(80), json!("80"), json!("0.08 seconds")] {
        let passed = server.run("Sleeps", json!({ "nap": nap })).await.as_i64().expect("milliseconds");
        assert!((80..5_000).contains(&passed), "{nap}: {passed}");
    }
}

#[tokio::test]
async fn a_sleep_until_a_time_ends_then() {
    let server = server().await;
    let late = server.run("SleepsUntil", json!({ "ms": 80 })).await.as_i64().expect("milliseconds");
    assert!((20..5_000).contains(&late), "{late}");
}

#[tokio::test]
async fn an_instance_asleep_says_when_it_wakes() {
    let server = server().await;
    let id = server.create("Sleeps", json!({ "nap": "1 hour" })).await;
    let detail = server.until_status("Sleeps", &id, "waiting").await;
    assert_eq!(detail["steps"][1]["type"], "sleep");
    assert_eq!((&detail["steps"][1]["finished"], &detail["wake_at"]), (&json!(false), &detail["steps"][1]["end"]));
}

#[tokio::test]
async fn an_event_ends_the_wait_for_it() {
    let server = server().await;
    let id = server.create("Waits", json!({})).await;
    server.until_status("Waits", &id, "waiting").await;
    server.send_event("Waits", &id, "other", json!(1)).await.ok();
    assert_eq!(server.status("Waits", &id).await, "waiting");
    server.send_event("Waits", &id, "go", json!({ "approved": true })).await.ok();
    let expected = json!({ "payload": { "approved": true }, "type": "go", "isDate": true });
    assert_eq!(server.output("Waits", &id).await, expected);
    let detail = server.instance("Waits", &id).await;
    assert_eq!(detail["steps"][0]["type"], "waitForEvent");
    assert_eq!(detail["steps"][0]["output"], r#"{"approved":true}"#);
}

#[tokio::test]
async fn an_event_that_comes_before_the_wait_is_kept_for_it() {
    let server = server().await;
    let id = server.create("WaitsTwice", json!({})).await;
    for n in [1, 2, 3] {
        server.send_event("WaitsTwice", &id, "go", json!(n)).await.ok();
    }
    assert_eq!(server.output("WaitsTwice", &id).await, json!([1, 2, 3]));
}

#[tokio::test]
async fn a_paused_instance_gets_its_events_when_it_goes_on() {
    let server = server().await;
    let id = server.create("Waits", json!({})).await;
    server.until_status("Waits", &id, "waiting").await;
    assert_eq!(server.changed("Waits", &id, "pause").await, "paused");
    server.send_event("Waits", &id, "go", json!(7)).await.ok();
    assert_eq!(server.status("Waits", &id).await, "paused");
    server.changed("Waits", &id, "resume").await;
    assert_eq!(server.output("Waits", &id).await["payload"], 7);
}

#[tokio::test]
async fn a_wait_without_an_event_times_out() {
    let server = server().await;
    let id = server.create("Waits", json!({ "timeout": "1 second" })).await;
    assert_eq!(server.error("Waits", &id).await, "WorkflowTimeoutError: Execution timed out after 1000ms");
}

#[tokio::test]
async fn an_event_after_the_timeout_goes_to_the_next_wait() {
    let server = server().await;
    let id = server.create("CatchesTimeout", json!({})).await;
    server.until("CatchesTimeout", &id, |detail| detail["step_count"] == 2).await;
    server.send_event("CatchesTimeout", &id, "go", json!("late")).await.ok();
    let expected = json!({ "caught": "WorkflowTimeoutError: Execution timed out after 1000ms", "next": "late" });
    assert_eq!(server.output("CatchesTimeout", &id).await, expected);
}

/// What the race must give, however often it is replayed.
fn raced() -> Json {
    json!({
        "winner": "fast", "a": "after left", "b": "after right", "any": "works", "settled": ["rejected", "fulfilled"],
        "rested": "timeout", "held": "held",
    })
}

#[tokio::test]
async fn races_and_branches_give_the_same_after_a_replay() {
    let server = server().await;
    let id = server.create("Race", json!({})).await;
    let is_waiting = |detail: &Json| names_of(detail).contains(&"go on-1".to_owned()) && detail["status"] == "waiting";
    server.until("Race", &id, is_waiting).await;
    let before = server.get("waits", "/").await;
    server.replay("Race", &id).await;
    server.send_event("Race", &id, "go", json!({})).await.ok();
    assert_eq!(server.output("Race", &id).await, raced());
    assert_eq!(server.get("waits", "/").await, before, "no callback ran again");
    let detail = server.instance("Race", &id).await;
    assert_eq!(detail["diverged"], Json::Null);
}

#[tokio::test]
async fn races_and_branches_give_the_same_on_new_code_that_does_the_same() {
    let project = Project::worker("waits", &CLASSES, SOURCE);
    let server = Server::dev(&[&project]).await;
    let id = server.create("Race", json!({})).await;
    let is_waiting = |detail: &Json| names_of(detail).contains(&"go on-1".to_owned()) && detail["status"] == "waiting";
    let detail = server.until("Race", &id, is_waiting).await;
    server.changed("Race", &id, "pause").await;
    project.write("index.js", &format!("{SOURCE}\nglobalThis.isNew = true;"));
    server.prints("deployed waits").await;
    server.changed("Race", &id, "resume").await;
    server.send_event("Race", &id, "go", json!({})).await.ok();
    assert_eq!(server.output("Race", &id).await, raced());
    assert_eq!(server.get("waits", "/").await, json!({}), "the new code's isolate ran no callback");
    let after = server.instance("Race", &id).await;
    assert_ne!(after["deployment"], detail["deployment"]);
}
