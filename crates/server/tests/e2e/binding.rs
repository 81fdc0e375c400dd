//! Workflow bindings as Workers use them: every method, and the texts of their errors.

use hyper::Method;
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use crate::lifecycle::{CLASSES, SOURCE};
use crate::support::{Project, Server};

async fn server() -> Server {
    Server::dev(&[&Project::worker("life", &CLASSES, SOURCE)]).await
}

impl Server {
    /// Calls a method of a binding in a Worker: its answer, or its error.
    async fn call(&self, workflow: &str, method: &str, args: Json) -> Json {
        let call = json!({ "workflow": workflow, "method": method, "args": args });
        self.fetch("life", Method::POST, "/", &call.to_string()).await.ok()
    }

    /// Calls a method of an instance in a Worker: its answer, or its error.
    async fn call_instance(&self, workflow: &str, id: &str, method: &str, args: Json) -> Json {
        let call = json!({ "workflow": workflow, "id": id, "method": method, "args": args });
        self.fetch("life", Method::POST, "/", &call.to_string()).await.ok()
    }
}

#[tokio::test]
async fn a_worker_creates_finds_and_asks() {
    let server = server().await;
    let created = server.call("Waiting", "create", json!([{ "id": "mine", "params": { "a": 1 } }])).await;
    assert_eq!(created, json!({ "id": "mine" }));
    server.until_status("Waiting", "mine", "waiting").await;
    assert_eq!(server.call_instance("Waiting", "mine", "status", json!([])).await, json!({ "status": "waiting" }));
    server.call_instance("Waiting", "mine", "sendEvent", json!([{ "type": "go", "payload": [1] }])).await;
    let output = json!({ "n": 1, "payload": [1], "params": { "a": 1 } });
    assert_eq!(server.output("Waiting", "mine").await, output);
    let status = server.call_instance("Waiting", "mine", "status", json!([])).await;
    assert_eq!(status, json!({ "status": "complete", "output": output }));
    let unnamed = server.call("Waiting", "create", json!([])).await;
    assert!(uuid::Uuid::parse_str(unnamed["id"].as_str().expect("an id")).is_ok());
}

#[tokio::test]
async fn a_worker_pauses_resumes_restarts_and_terminates() {
    let server = server().await;
    server.create_as("Waiting", "one", json!({})).await;
    server.until_status("Waiting", "one", "waiting").await;
    for (method, status) in [("pause", "paused"), ("resume", "waiting")] {
        assert_eq!(server.call_instance("Waiting", "one", method, json!([])).await, Json::Null);
        assert_eq!(server.status("Waiting", "one").await, status, "{method}");
    }
    server.call_instance("Waiting", "one", "restart", json!([])).await;
    server.until_status("Waiting", "one", "waiting").await;
    server.call_instance("Waiting", "one", "terminate", json!([])).await;
    assert_eq!(server.call_instance("Waiting", "one", "status", json!([])).await, json!({ "status": "terminated" }));
    server.call_instance("Waiting", "one", "delete", json!([])).await;
    let status = server.call_instance("Waiting", "one", "status", json!([])).await;
    assert_eq!(status["message"], "(instance.not_found) Instance does not exist");
}

#[tokio::test]
async fn a_worker_sees_the_error_of_an_instance() {
    let server = server().await;
    server.create_as("Quick", "bad", json!({ "fails": true })).await;
    server.error("Quick", "bad").await;
    let status = server.call_instance("Quick", "bad", "status", json!([])).await;
    assert_eq!(status, json!({ "status": "errored", "error": { "name": "Error", "message": "failed" } }));
}

#[tokio::test]
async fn a_batch_passes_over_ids_that_are_taken() {
    let server = server().await;
    server.create_as("Quick", "a", json!({})).await;
    let batch = json!([[{ "id": "a" }, { "id": "b" }, { "id": "b" }, { "id": "c", "params": { "fails": true } }]]);
    assert_eq!(server.call("Quick", "createBatch", batch).await, json!(["b", "c"]));
    assert_eq!(server.output("Quick", "b").await, 1);
    assert_eq!(server.error("Quick", "c").await, "Error: failed");
}

#[tokio::test]
async fn a_batch_as_an_object_tells_what_became_of_each() {
    let server = server().await;
    server.create_as("Quick", "a", json!({})).await;
    let batch = json!([{ "instances": [{ "id": "a" }, { "id": "b" }, { "id": "b" }] }]);
    let expected = json!({ "created": ["b"], "errors": [
        { "index": 0, "id": "a", "code": 10_405, "message": "workflows.api.error.instance.already_exists" },
        { "index": 2, "id": "b", "code": 10_415, "message": "workflows.api.error.instance.duplicate_in_batch" },
    ] });
    assert_eq!(server.call("Quick", "createBatch", batch).await, expected);
    let counted = server.call("Quick", "createBatch", json!([{ "count": 100 }])).await;
    assert_eq!(counted["created"].as_array().map(Vec::len), Some(100));
}

#[tokio::test]
async fn a_worker_deletes_several_instances() {
    let server = server().await;
    server.create_as("Waiting", "a", json!({})).await;
    let deleted = server.call("Waiting", "deleteBatch", json!([["a", "b"]])).await;
    let error = json!({ "id": "b", "code": 10_400, "message": "workflows.api.error.instance.not_found" });
    assert_eq!(deleted, json!({ "deleted": [{ "id": "a" }], "errors": [error] }));
}

#[tokio::test]
async fn errors_of_a_binding_have_cloudflares_texts() {
    let server = server().await;
    server.create_as("Quick", "taken", json!({})).await;
    server.output("Quick", "taken").await;
    let too_long = "x".repeat(101);
    let too_many: Vec<Json> = vec![json!({}); 101];
    let too_large = "x".repeat((1 << 20) + 1);
    let mut seen = Vec::new();
    for (told, method, args) in [
        ("bad id", "create", json!([{ "id": "a b" }])),
        ("long id", "create", json!([{ "id": too_long }])),
        ("leading hyphen", "create", json!([{ "id": "-a" }])),
        ("empty id", "create", json!([{ "id": "" }])),
        ("taken id", "create", json!([{ "id": "taken" }])),
        ("large params", "create", json!([{ "params": too_large }])),
        ("unknown id", "get", json!(["nobody"])),
        ("empty batch", "createBatch", json!([[]])),
        ("large batch", "createBatch", json!([too_many])),
        ("bad id in a batch", "createBatch", json!([[{ "id": "a b" }]])),
        ("bad count", "createBatch", json!([{ "count": 0 }])),
        ("large count", "createBatch", json!([{ "count": 101 }])),
    ] {
        let error = server.call("Quick", method, args).await;
        seen.push(format!("{told}: {}", crate::support::error_text(&error)));
    }
    for (told, method, args) in [
        ("terminate an ended one", "terminate", json!([])),
        ("event to an ended one", "sendEvent", json!([{ "type": "go" }])),
        ("bad event type", "sendEvent", json!([{ "type": "a b" }])),
        ("restart from a step", "restart", json!([{ "from": { "name": "nowhere" } }])),
    ] {
        let error = server.call_instance("Quick", "taken", method, args).await;
        seen.push(format!("{told}: {}", crate::support::error_text(&error)));
    }
    assert_snapshot!(seen.join("\n"));
}
