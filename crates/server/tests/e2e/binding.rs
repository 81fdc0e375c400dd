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
    let cron = "*/30 * * * *-1786001400000";
    let deleted = server.call("Waiting", "deleteBatch", json!([["a", "b", cron, "a", "b"]])).await;
    let error = |id| json!({ "id": id, "code": 10_400, "message": "workflows.api.error.instance.not_found" });
    let expected =
        json!({ "deleted": [{ "id": "a" }, { "id": "a" }], "errors": [error("b"), error(cron), error("b")] });
    assert_eq!(deleted, expected);
    let found = server.call("Waiting", "get", json!([cron])).await;
    assert_eq!(
        found["message"], "(instance.not_found) Instance does not exist",
        "an id of a schedule can be asked for"
    );
}

#[tokio::test]
async fn an_id_is_taken_until_its_instance_is_deleted() {
    let server = server().await;
    let taken = "(instance.already_exists) Instance already exists";
    for (workflow, id) in [("Waiting", "live"), ("Quick", "ended")] {
        server.call(workflow, "create", json!([{ "id": id, "locationHint": "weur" }])).await;
        if workflow == "Quick" {
            server.output(workflow, id).await;
        }
        assert_eq!(server.call(workflow, "create", json!([{ "id": id }])).await["message"], taken);
        server.call_instance(workflow, id, "delete", json!([])).await;
        assert_eq!(server.call(workflow, "create", json!([{ "id": id }])).await, json!({ "id": id }));
    }
}

#[tokio::test]
async fn null_params_are_null_and_absent_ones_an_empty_object() {
    let server = server().await;
    // Text that holds no object and no array is a text.
    for (body, expected) in
        [(json!({ "params": null }), json!(null)), (json!({}), json!({})), (json!({ "params": "null" }), json!("null"))]
    {
        let id = server.try_create("Waiting", body.clone()).await.ok()["result"]["id"].take();
        let id = id.as_str().expect("an id");
        server.send_event("Waiting", id, "go", json!(1)).await.ok();
        assert_eq!(server.output("Waiting", id).await["params"], expected, "{body}");
    }
    server.call("Waiting", "create", json!([{ "id": "bound", "params": null }])).await;
    server.send_event("Waiting", "bound", "go", json!(1)).await.ok();
    assert_eq!(server.output("Waiting", "bound").await["params"], json!(null));
}

#[tokio::test]
async fn a_list_says_where_instances_came_from() {
    let server = server().await;
    server.create_as("Waiting", "by-api", json!({})).await;
    server.call("Waiting", "create", json!([{ "id": "by-binding" }])).await;
    let listed = server.api(Method::GET, "workflows/Waiting/instances?direction=asc", "").await.ok()["result"].take();
    let sources: Vec<_> = (0..2).map(|place| (&listed[place]["id"], &listed[place]["trigger_source"])).collect();
    assert_eq!(sources, [(&json!("by-api"), &json!("api")), (&json!("by-binding"), &json!("binding"))],);
}

#[tokio::test]
async fn events_that_nobody_takes_are_bounded() {
    let server = server().await;
    server.create_as("Waiting", "full", json!({})).await;
    let large = json!("x".repeat((1 << 20) - 2));
    for n in 0..64 {
        let sent = server.send_event("Waiting", "full", "other", large.clone()).await;
        assert_eq!(sent.status, 200, "{n}");
    }
    let (status, message) = server.send_event("Waiting", "full", "other", large).await.refusal();
    assert_eq!(status, 429);
    assert!(message.starts_with("(instance.too_many_events)"), "{message}");
    server.send_event("Waiting", "full", "go", json!(1)).await.ok();
    assert_eq!(server.output("Waiting", "full").await["payload"], 1, "one that is waited for is taken");
}

#[tokio::test]
async fn errors_of_a_binding_have_cloudflares_texts() {
    let server = server().await;
    server.create_as("Quick", "taken", json!({})).await;
    server.output("Quick", "taken").await;
    let too_long = "x".repeat(101);
    let too_many: Vec<Json> = vec![json!({}); 101];
    let platform_id = format!("cf_{}", "0".repeat(64));
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
        ("count that is no number", "createBatch", json!([{ "count": "2" }])),
        ("count before instances", "createBatch", json!([{ "count": 0, "instances": [{}] }])),
        ("empty object batch", "createBatch", json!([{ "instances": [] }])),
        ("large object batch", "createBatch", json!([{ "instances": too_many }])),
        ("bad id in an object batch", "createBatch", json!([{ "instances": [{ "id": "a b" }] }])),
        ("object that is no batch", "createBatch", json!([{}])),
        ("batch that is no list", "createBatch", json!([{ "instances": "a" }])),
        ("no batch", "createBatch", json!(["a"])),
        ("platform's id", "create", json!([{ "id": platform_id }])),
        ("reserved id", "create", json!([{ "id": "terminateAll" }])),
        ("location", "create", json!([{ "locationHint": "moon" }])),
        ("empty deletion", "deleteBatch", json!([[]])),
        ("large deletion", "deleteBatch", json!([vec!["a"; 101]])),
        ("bad id in a deletion", "deleteBatch", json!([["a!"]])),
        ("deletion that is no list", "deleteBatch", json!(["a"])),
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
