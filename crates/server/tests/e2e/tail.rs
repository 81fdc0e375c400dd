//! Tails: what Workers do, shown while they do it, to clients that behave as wrangler does.

use hyper::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::support::{Launch, Project, Server, Shown, lines_of};

const SOURCE: &str = include_str!("workers/tail.js");
const CLASSES: [&str; 1] = ["Talks"];

fn project() -> Project {
    Project::worker("tailed", &CLASSES, SOURCE)
}

#[tokio::test]
async fn a_run_is_shown_with_its_lines_when_it_is_over() {
    let server = Server::dev(&[&project()]).await;
    let mut tail = server.tail("tailed", json!([])).await;
    let id = server.create("Talks", json!({ "n": 1 })).await;
    let event = tail.event().await;
    assert_eq!(
        lines_of(&event),
        [("log".to_owned(), json!(["begins", { "n": 1 }])), ("warn".to_owned(), json!(["charging", 12])),]
    );
    assert_eq!(event["logs"][1]["step"], "charge card-1");
    assert_eq!(event["event"], json!({ "rpcMethod": "run", "workflowName": "Talks", "instanceId": id }));
    for (member, value) in [
        ("outcome", json!("ok")),
        ("scriptName", json!("tailed")),
        ("entrypoint", json!("Talks")),
        ("exceptions", json!([])),
        ("truncated", json!(false)),
        ("diagnosticsChannelEvents", json!([])),
    ] {
        assert_eq!(event[member], value, "{event:#}");
    }
    assert!(event["eventTimestamp"].is_i64() && event["wallTime"].is_i64(), "{event:#}");
    assert!(event["scriptVersion"]["id"].is_string(), "{event:#}");
    tail.ping().await;
}

#[tokio::test]
async fn an_error_that_ends_an_instance_is_shown() {
    let server = Server::dev(&[&project()]).await;
    let mut tail = server.tail("tailed", json!([{ "outcome": ["exception"] }])).await;
    server.run("Talks", json!({})).await;
    let id = server.create("Talks", json!({ "throws": true })).await;
    let event = tail.event().await;
    assert_eq!((&event["outcome"], &event["event"]["instanceId"]), (&json!("exception"), &json!(id)));
    let thrown = &event["exceptions"][0];
    assert_eq!((&thrown["name"], &thrown["message"]), (&json!("RangeError"), &json!("no money")));
    let stack = thrown["stack"].as_str().expect("a stack");
    assert!(stack.starts_with("    at ") && stack.contains("index.js:"), "{stack}");
}

#[tokio::test]
async fn a_run_that_goes_on_shows_its_lines_before_its_end() {
    let server = Server::dev(&[&project()]).await;
    let id = server.create("Talks", json!({ "waits": true })).await;
    server.until_status("Talks", &id, "waiting").await;
    // It begins to be read when the run is under way.
    let mut tail = server.tail("tailed", json!([])).await;
    let second = server.create("Talks", json!({ "waits": true })).await;
    let event = tail.event().await;
    assert_eq!(lines_of(&event).len(), 2, "{event:#}");
    assert_eq!(event["event"]["instanceId"], json!(second));
    assert_eq!(server.status("Talks", &second).await, "waiting");
    assert!(event["wallTime"].is_null(), "it is not over: {event:#}");
    server.send_event("Talks", &id, "go", json!({})).await.ok();
    let event = tail.event_where(|event| event["event"]["instanceId"] == json!(id)).await;
    assert_eq!(lines_of(&event), [("log".to_owned(), json!(["goes on"]))], "a run that began before is shown as well");
}

#[tokio::test]
async fn a_tail_that_was_ended_is_over_and_its_address_opens_nothing() {
    let server = Server::dev(&[&project()]).await;
    let mut tail = server.tail("tailed", json!([])).await;
    let listed = server.api(Method::GET, "workers/scripts/tailed/tails", "").await.ok()["result"].take();
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["id"]), (Some(1), &json!(tail.id)));
    assert_eq!(server.end_tail("tailed", &tail.id).await, 200);
    assert_eq!(tail.next().await, Shown::Closed(Some(1000)));
    assert_eq!(server.end_tail("tailed", &tail.id).await, 404);
    let wrong = tail.url.replace("secret=", "secret=0");
    for url in [&tail.url, &wrong] {
        let refused = server.connect_tail(url).await.map(drop);
        assert!(matches!(&refused, Err(Error::Http(answer)) if answer.status() == 404), "{refused:?}");
    }
    let path = "workers/scripts/nobody/tails";
    assert_eq!(server.api(Method::POST, path, "{}").await.refusal().0, 404);
    let bad = server.api(Method::POST, "workers/scripts/tailed/tails", r#"{"filters":[{"colour":"red"}]}"#).await;
    assert!(bad.status == 400 && bad.refusal().1.contains("colour"), "{}", bad.text());
}

#[tokio::test]
async fn a_tail_ends_when_its_time_is_over() {
    // Six hours take less than a second.
    let server = Launch::dev(&[&project()]).arg("--test-clock").arg("now*36000").start().await;
    let mut tail = server.tail("tailed", json!([])).await;
    assert_eq!(tail.next().await, Shown::Closed(Some(1000)));
    assert_eq!(server.end_tail("tailed", &tail.id).await, 404);
}
