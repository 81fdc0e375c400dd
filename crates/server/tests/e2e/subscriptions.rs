//! `subscribe()`: what a Worker is told of an instance, from its history and as it happens.

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Launch, Project, Server, error_text};

const SOURCE: &str = include_str!("workers/subscriptions.js");

fn project() -> Project {
    Project::worker("watch", &["Told", "Watcher", "Many"], SOURCE)
}

async fn server() -> Server {
    Server::dev(&[&project()]).await
}

impl Server {
    async fn subscribe(&self, body: Json) -> Json {
        self.fetch("watch", Method::POST, "/", &body.to_string()).await.ok()
    }

    /// An instance of `Told` that has completed.
    async fn told(&self) -> String {
        let id = self.create("Told", json!({ "a": 1 })).await;
        self.until_status("Told", &id, "waiting").await;
        self.send_event("Told", &id, "go", json!("sent")).await.ok();
        self.output("Told", &id).await;
        id
    }
}

fn types(told: &Json) -> Vec<String> {
    let events = told["events"].as_array().unwrap_or_else(|| panic!("{told}"));
    events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

const ALL: [&str; 22] = [
    "workflow_queued",
    "workflow_started",
    "workflow_running",
    "step_started",
    "attempt_started",
    "attempt_completed",
    "step_completed",
    "step_started",
    "attempt_started",
    "attempt_errored",
    "attempt_started",
    "attempt_completed",
    "step_completed",
    "step_started",
    "attempt_started",
    "attempt_completed",
    "step_completed",
    "sleep_started",
    "sleep_completed",
    "wait_started",
    "wait_completed",
    "workflow_completed",
];

/// Without what is told of waiting, which depends on nothing else.
fn without_waiting(types: Vec<String>) -> Vec<String> {
    let mut seen_running = false;
    types
        .into_iter()
        .filter(|name| match name.as_str() {
            "workflow_waiting" => false,
            "workflow_running" => !std::mem::replace(&mut seen_running, true),
            _ => true,
        })
        .collect()
}

#[tokio::test]
async fn all_events_of_an_instance_are_told_from_its_history() {
    let server = server().await;
    let id = server.told().await;
    let told = server.subscribe(json!({ "workflow": "Told", "id": id })).await;
    assert_eq!(without_waiting(types(&told)), ALL);
    assert_eq!(told["done"], true);
    let events = told["events"].as_array().expect("events");
    assert!(events.iter().all(|event| event["instanceId"] == *id && event["timestamp"].is_i64()), "{told:#}");
    assert!(events.is_sorted_by(|one, next| one["eventId"].as_u64() < next["eventId"].as_u64()), "{told:#}");
    let of = |name: &str, step: &str| {
        let found = events.iter().find(|event| event["type"] == name && (step.is_empty() || event["stepName"] == step));
        found.unwrap_or_else(|| panic!("no {name} {step}: {told:#}"))
    };
    assert_eq!(of("workflow_started", "")["params"], json!({ "a": 1 }));
    assert_eq!(of("step_completed", "first-1")["isDate"], true, "values keep their types");
    let error = of("attempt_errored", "second-1");
    assert_eq!((&error["attempt"], &error["retryDelayMs"]), (&json!(1), &json!(5)));
    assert_eq!(error["error"], json!({ "name": "TypeError", "message": "once" }));
    assert_eq!(of("step_completed", "secret-1")["output"], "[REDACTED]");
    assert_eq!(of("step_completed", "second-1").get("output"), None, "undefined is no member");
    let config = json!({ "retries": { "limit": 1, "delay": 5, "backoff": "constant" }, "timeout": 600_000 });
    assert_eq!(of("step_started", "second-1")["config"], config);
    assert_eq!(of("sleep_started", "nap-1")["durationMs"], 20);
    assert_eq!(of("wait_started", "wait-1")["eventType"], "go");
    assert_eq!(of("workflow_completed", "")["output"], "sent");
}

#[tokio::test]
async fn a_cursor_goes_on_behind_an_event_also_on_another_server() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = Launch::dev(&[&project()]).state(state.path()).start().await;
    let id = server.told().await;
    let ask = |options: Json| json!({ "workflow": "Told", "id": id, "options": options });
    let all = server.subscribe(ask(json!({}))).await["events"].take();
    server.stop();
    let server = Launch::dev(&[&project()]).state(state.path()).start().await;
    let all = all.as_array().expect("events");
    for place in [0, 5, all.len() - 1] {
        let rest = server.subscribe(ask(json!({ "cursor": all[place]["eventId"] }))).await;
        assert_eq!(rest["events"].as_array().map(Vec::as_slice), Some(&all[place + 1..]), "behind {place}");
        assert_eq!(rest["done"], true);
    }
}

#[tokio::test]
async fn a_subscriber_hears_what_happens_later() {
    let server = server().await;
    let id = server.create("Told", json!({ "fails": true })).await;
    server.until_status("Told", &id, "waiting").await;
    let filter = json!(["wait_completed", "workflow_errored"]);
    let ask = json!({ "workflow": "Told", "id": id, "options": { "filter": filter } });
    let (told, ()) = tokio::join!(server.subscribe(ask), async {
        server.run("Many", json!({ "steps": 1, "length": 1 })).await;
        server.send_event("Told", &id, "go", json!(1)).await.ok();
    });
    assert_eq!(types(&told), ["wait_completed", "workflow_errored"]);
    assert_eq!(told["events"][1]["error"], json!({ "name": "RangeError", "message": "the end" }));
    assert_eq!(told["done"], true);
}

#[tokio::test]
async fn a_step_can_watch_another_instance() {
    let server = server().await;
    let id = server.create("Told", json!({})).await;
    let watcher = server.create("Watcher", json!({ "id": id })).await;
    server.until_status("Told", &id, "waiting").await;
    server.send_event("Told", &id, "go", json!("seen")).await.ok();
    let told = server.output("Watcher", &watcher).await;
    assert_eq!((types(&told), &told["events"][0]["output"]), (vec!["workflow_completed".to_owned()], &json!("seen")));
}

#[tokio::test]
async fn a_subscription_ends_with_its_incarnation() {
    let server = server().await;
    for change in ["terminate", "restart", "delete"] {
        let id = server.create("Told", json!({})).await;
        server.until_status("Told", &id, "waiting").await;
        let options = json!({ "filter": ["step_errored"] });
        let told = server.subscribe(json!({ "workflow": "Told", "id": id, "options": options, "then": change })).await;
        assert_eq!(told, json!({ "events": [], "done": true }), "{change}");
    }
}

#[tokio::test]
async fn a_long_history_is_told_in_pages() {
    let server = server().await;
    let id = server.create("Many", json!({ "steps": 600, "length": 10_000 })).await;
    server.ended("Many", &id).await;
    let summed = server.subscribe(json!({ "workflow": "Many", "id": id, "sum": true })).await;
    assert_eq!(summed, json!({ "count": 600, "length": 6_000_000, "increasing": true }));
}

#[tokio::test]
async fn wrong_options_and_unknown_instances_are_refused() {
    let server = server().await;
    let id = server.told().await;
    for options in
        [json!(null), json!([]), json!({ "cursor": -1 }), json!({ "filter": ["nothing"] }), json!({ "from": 1 })]
    {
        let told = server.subscribe(json!({ "workflow": "Told", "id": id, "options": options })).await;
        assert_eq!(error_text(&told), "Error: Invalid Workflow subscription options", "{options}");
    }
    let ended = server.subscribe(json!({ "workflow": "Told", "id": id, "options": { "cursor": 1_000_000 } })).await;
    assert_eq!(ended, json!({ "events": [], "done": true }));
    let disposed = server.subscribe(json!({ "workflow": "Told", "id": id, "count": 2 })).await;
    assert_eq!(types(&disposed), ["workflow_queued", "workflow_started"]);
}
