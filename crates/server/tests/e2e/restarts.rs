//! Restarts from a step: what began before it stays, whatever the instance was doing.

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Launch, Project, Server, error_text, names_of};

const SOURCE: &str = include_str!("workers/restarts.js");

fn project() -> Project {
    Project::worker("again", &["Chain", "Beside"], SOURCE)
}

async fn server() -> Server {
    Server::dev(&[&project()]).await
}

impl Server {
    /// Restarts from a step; gives the status that follows.
    async fn restart_from(&self, workflow: &str, id: &str, from: Json) -> String {
        let answer = self.try_restart_from(workflow, id, from).await.ok();
        answer["result"]["status"].as_str().expect("a status").to_owned()
    }

    async fn try_restart_from(&self, workflow: &str, id: &str, from: Json) -> crate::support::Answer {
        let path = format!("workflows/{workflow}/instances/{id}/status");
        self.api(Method::PATCH, &path, json!({ "status": "restart", "from": from }).to_string()).await
    }

    /// Waits until an instance of `Chain` waits for its event.
    async fn until_it_waits(&self, id: &str) {
        let waits = |detail: &Json| detail["status"] == "waiting" && names_of(detail).contains(&"go-1".to_owned());
        self.until("Chain", id, waits).await;
    }

    async fn let_go(&self, id: &str) {
        self.get("again", &format!("/release/{id}")).await;
    }
}

fn chain(a: u32, each: [u32; 3], b: u32, c: u32) -> Json {
    json!({ "a": a, "each": each, "b": b, "event": null, "c": c })
}

#[tokio::test]
async fn a_complete_instance_starts_again_from_any_step() {
    let server = server().await;
    let id = server.create("Chain", json!({})).await;
    assert_eq!(server.output("Chain", &id).await, chain(1, [1, 2, 3], 1, 1));
    for (from, expected) in [
        (json!({ "name": "b" }), chain(1, [1, 2, 3], 2, 2)),
        (json!({ "name": "each", "count": 2 }), chain(1, [1, 4, 5], 3, 3)),
        (json!({ "name": "nap", "type": "sleep" }), chain(1, [1, 4, 5], 4, 4)),
        (json!({ "name": "a", "count": 1, "type": "do" }), chain(2, [6, 7, 8], 5, 5)),
    ] {
        assert_eq!(server.restart_from("Chain", &id, from.clone()).await, "queued", "{from}");
        assert_eq!(server.output("Chain", &id).await, expected, "{from}");
    }
    let detail = server.instance("Chain", &id).await;
    assert_eq!(names_of(&detail), ["a-1", "each-1", "each-2", "each-3", "nap-1", "b-1", "c-1"]);
}

#[tokio::test]
async fn an_instance_starts_again_from_the_step_that_failed() {
    let server = server().await;
    let id = server.create("Chain", json!({ "fails": true })).await;
    assert_eq!(server.error("Chain", &id).await, "Error: b failed");
    assert_eq!(server.restart_from("Chain", &id, json!({ "name": "b" })).await, "queued");
    assert_eq!(server.output("Chain", &id).await, chain(1, [1, 2, 3], 2, 1));
}

#[tokio::test]
async fn a_running_instance_leaves_its_attempt_and_starts_again() {
    let server = server().await;
    let id = server.create("Chain", json!({ "holds": true })).await;
    server.until("Chain", &id, |detail| names_of(detail).contains(&"b-1".to_owned())).await;
    server.restart_from("Chain", &id, json!({ "name": "b" })).await;
    server.let_go(&id).await;
    let output = server.output("Chain", &id).await;
    assert_eq!((&output["a"], &output["each"], &output["c"]), (&json!(1), &json!([1, 2, 3]), &json!(1)));
}

#[tokio::test]
async fn a_waiting_a_paused_and_a_terminated_instance_start_again_without_their_events() {
    let server = server().await;
    for change in [None, Some("pause"), Some("terminate")] {
        let id = server.create("Chain", json!({ "waits": true })).await;
        server.until_it_waits(&id).await;
        server.send_event("Chain", &id, "later", json!("buffered")).await.ok();
        if let Some(change) = change {
            server.changed("Chain", &id, change).await;
        }
        server.restart_from("Chain", &id, json!({ "name": "go", "type": "waitForEvent" })).await;
        server.until_it_waits(&id).await;
        server.send_event("Chain", &id, "go", json!("new")).await.ok();
        let expected = json!({ "a": 1, "each": [1, 2, 3], "b": 1, "event": "new", "c": 1 });
        assert_eq!(server.output("Chain", &id).await, expected, "{change:?}");
        server.restart_from("Chain", &id, json!({ "name": "c" })).await;
        assert_eq!(server.output("Chain", &id).await["event"], "new", "an event that was delivered stays");
    }
}

#[tokio::test]
async fn an_instance_that_waits_for_its_pause_starts_again() {
    let server = server().await;
    let id = server.create("Chain", json!({ "holds": true })).await;
    server.until("Chain", &id, |detail| names_of(detail).contains(&"b-1".to_owned())).await;
    assert_eq!(server.changed("Chain", &id, "pause").await, "waitingForPause");
    assert_eq!(server.restart_from("Chain", &id, json!({ "name": "each", "count": 3 })).await, "queued");
    server.let_go(&id).await;
    assert_eq!(server.output("Chain", &id).await["each"], json!([1, 2, 4]));
}

#[tokio::test]
async fn a_result_that_came_after_the_step_began_stays() {
    let server = server().await;
    let id = server.create("Beside", json!({})).await;
    assert_eq!(server.output("Beside", &id).await, json!({ "quick": 1, "slow": 1 }));
    server.restart_from("Beside", &id, json!({ "name": "quick" })).await;
    assert_eq!(server.output("Beside", &id).await, json!({ "quick": 2, "slow": 1 }));
}

#[tokio::test]
async fn a_step_that_is_not_in_the_history_is_refused_and_nothing_changes() {
    let server = server().await;
    let id = server.create("Chain", json!({ "waits": true })).await;
    server.until_it_waits(&id).await;
    for (name, from) in [
        ("d", json!({ "name": "d" })),
        ("each", json!({ "name": "each", "count": 4 })),
        ("a", json!({ "name": "a", "type": "sleep" })),
        ("b-1", json!({ "name": "b-1" })),
    ] {
        let message = format!("(instance.cannot_restart) Step \"{name}\" not found in execution history");
        assert_eq!(server.try_restart_from("Chain", &id, from.clone()).await.refusal(), (400, message.clone()));
        let body = json!({ "id": id, "options": { "from": from } }).to_string();
        let told = server.fetch("again", Method::POST, "/restart", &body).await.ok();
        assert!(error_text(&told).ends_with(&message), "{told}");
    }
    for from in [json!({ "count": 1 }), json!({ "name": "a", "count": 0 }), json!({ "name": "a", "type": "step" })] {
        assert_eq!(server.try_restart_from("Chain", &id, from.clone()).await.status, 400, "{from}");
    }
    assert_eq!(server.status("Chain", &id).await, "waiting");
    let body = json!({ "id": id, "options": { "from": { "name": "b" } } }).to_string();
    server.fetch("again", Method::POST, "/restart", &body).await.ok();
    server.until("Chain", &id, |detail| names_of(detail).contains(&"go-1".to_owned())).await;
    server.send_event("Chain", &id, "go", json!(1)).await.ok();
    assert_eq!(server.output("Chain", &id).await["b"], 2);
}

#[tokio::test]
async fn what_stays_is_there_after_a_restart_of_the_server() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = Launch::dev(&[&project()]).state(state.path()).start().await;
    let id = server.create("Chain", json!({ "waits": true })).await;
    server.until_it_waits(&id).await;
    server.restart_from("Chain", &id, json!({ "name": "go", "type": "waitForEvent" })).await;
    server.stop();
    let server = Launch::dev(&[&project()]).state(state.path()).start().await;
    server.send_event("Chain", &id, "go", json!("late")).await.ok();
    let expected = json!({ "a": 1, "each": [1, 2, 3], "b": 1, "event": "late", "c": 1 });
    assert_eq!(server.output("Chain", &id).await, expected);
}
