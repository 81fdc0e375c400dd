//! Pause, resume, restart, terminate and delete in each state, by the API.

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Answer, Project, Server, names_of};

pub const SOURCE: &str = include_str!("workers/lifecycle.js");
pub const CLASSES: [&str; 5] = ["Slow", "Waiting", "Quick", "Sleeping", "DeletesItself"];

async fn server() -> Server {
    Server::dev(&[&Project::worker("life", &CLASSES, SOURCE)]).await
}

/// A server on which one instance of `Slow` may run at once.
async fn narrow_server() -> Server {
    let slow = json!([{ "name": "Slow", "binding": "Slow", "class_name": "Slow", "concurrency": { "limit": 1 } }]);
    Server::dev(&[&Project::configured("life", &[], json!({ "workflows": slow }), SOURCE)]).await
}

impl Server {
    async fn release(&self, id: &str) {
        self.get("life", &format!("/release/{id}")).await;
    }

    async fn calls(&self, id: &str) -> Json {
        self.get("life", "/calls").await[id].clone()
    }

    /// An instance whose slow step runs.
    async fn slow(&self) -> String {
        let id = self.create("Slow", json!({})).await;
        self.until_called(&id, 1).await;
        // The callback may run before the server has recorded that it does.
        self.until("Slow", &id, |detail| !names_of(detail).is_empty()).await;
        id
    }

    async fn until_called(&self, id: &str, times: u64) {
        let told = || format!("callback of {id} called {times} times");
        crate::support::eventually(told, || async { (self.calls(id).await == times).then_some(()) }).await;
    }

    async fn delete(&self, workflow: &str, id: &str) -> Json {
        let body = json!({ "instances": [id] }).to_string();
        let path = format!("workflows/{workflow}/instances/batch/delete");
        self.api(Method::POST, &path, body).await.ok()["result"].take()
    }

    async fn is_gone(&self, workflow: &str, id: &str) -> bool {
        let path = format!("workflows/{workflow}/instances/{id}");
        let answer = self.api(Method::GET, &path, "").await;
        answer.status == 404 && answer.refusal().1 == "(instance.not_found) Instance does not exist"
    }
}

fn refused(answer: &Answer) -> String {
    let (status, message) = answer.refusal();
    assert_eq!(status, 400, "{message}");
    message
}

const CANNOT_TERMINATE: &str = "(instance.cannot_terminate) Cannot terminate instance since its on a finite state";

#[tokio::test]
async fn a_queued_instance_can_be_paused_resumed_and_terminated() {
    let server = narrow_server().await;
    let running = server.slow().await;
    let queued = server.create("Slow", json!({})).await;
    assert_eq!(server.status("Slow", &queued).await, "queued");
    assert_eq!(server.changed("Slow", &queued, "pause").await, "paused");
    assert_eq!(server.changed("Slow", &queued, "resume").await, "queued");
    assert_eq!(server.changed("Slow", &queued, "restart").await, "queued");
    assert_eq!(server.changed("Slow", &queued, "terminate").await, "terminated");
    server.release(&running).await;
    assert_eq!(server.output("Slow", &running).await["second"], "next");
    assert_eq!(server.calls(&queued).await, Json::Null, "a queued instance that was terminated never runs");
}

#[tokio::test]
async fn a_queued_instance_runs_when_there_is_room() {
    let server = narrow_server().await;
    let running = server.slow().await;
    let queued = server.create("Slow", json!({})).await;
    assert_eq!(server.status("Slow", &queued).await, "queued");
    server.get("life", "/release").await;
    server.output("Slow", &running).await;
    assert_eq!(server.output("Slow", &queued).await["first"], 1);
}

#[tokio::test]
async fn a_queued_instance_can_be_deleted() {
    let server = narrow_server().await;
    server.slow().await;
    let queued = server.create("Slow", json!({})).await;
    assert_eq!(server.delete("Slow", &queued).await["deleted"], json!([{ "id": queued }]));
    assert!(server.is_gone("Slow", &queued).await);
}

#[tokio::test]
async fn a_pause_waits_for_the_step_that_runs() {
    let server = server().await;
    let id = server.slow().await;
    assert_eq!(server.changed("Slow", &id, "pause").await, "waitingForPause");
    server.release(&id).await;
    let paused = server.until_status("Slow", &id, "paused").await;
    assert_eq!(names_of(&paused), ["slow-1"], "no new step begins");
    assert_eq!(paused["steps"][0]["success"], true);
    assert_eq!(server.changed("Slow", &id, "resume").await, "queued");
    assert_eq!(server.output("Slow", &id).await, json!({ "first": 1, "second": "next" }));
    assert_eq!(server.calls(&id).await, 1);
}

#[tokio::test]
async fn a_pause_can_be_taken_back_while_the_step_runs() {
    let server = server().await;
    let id = server.slow().await;
    assert_eq!(server.changed("Slow", &id, "pause").await, "waitingForPause");
    assert_eq!(server.changed("Slow", &id, "resume").await, "running");
    server.release(&id).await;
    assert_eq!(server.output("Slow", &id).await, json!({ "first": 1, "second": "next" }));
}

#[tokio::test]
async fn a_running_instance_can_be_terminated() {
    let server = server().await;
    let id = server.slow().await;
    assert_eq!(server.changed("Slow", &id, "terminate").await, "terminated");
    server.release(&id).await;
    let detail = server.ended("Slow", &id).await;
    assert_eq!((&detail["status"], &detail["success"]), (&json!("terminated"), &json!(false)));
    assert_eq!(names_of(&detail), ["slow-1"]);
    assert_eq!(detail["steps"].as_array().and_then(|steps| steps.last()).expect("steps")["type"], "termination");
}

#[tokio::test]
async fn a_running_instance_can_be_restarted() {
    let server = server().await;
    let id = server.slow().await;
    assert_eq!(server.changed("Slow", &id, "restart").await, "queued");
    server.until_called(&id, 2).await;
    server.release(&id).await;
    let output = server.output("Slow", &id).await;
    assert_eq!(output, json!({ "first": 2, "second": "next" }));
}

#[tokio::test]
async fn a_running_instance_can_be_deleted_and_its_id_used_again() {
    let server = server().await;
    let id = server.slow().await;
    assert_eq!(server.delete("Slow", &id).await["deleted"], json!([{ "id": id }]));
    assert!(server.is_gone("Slow", &id).await);
    server.create_as("Slow", &id, json!({})).await;
    server.until_called(&id, 2).await;
    server.release(&id).await;
    assert_eq!(server.output("Slow", &id).await["second"], "next");
}

#[tokio::test]
async fn a_waiting_instance_pauses_at_once_and_goes_on_where_it_was() {
    let server = server().await;
    let id = server.create("Waiting", json!({ "a": 1 })).await;
    server.until_status("Waiting", &id, "waiting").await;
    assert_eq!(server.changed("Waiting", &id, "pause").await, "paused");
    assert_eq!(server.changed("Waiting", &id, "pause").await, "paused", "a second pause changes nothing");
    assert_eq!(server.changed("Waiting", &id, "resume").await, "waiting");
    server.send_event("Waiting", &id, "go", json!("x")).await.ok();
    assert_eq!(server.output("Waiting", &id).await, json!({ "n": 1, "payload": "x", "params": { "a": 1 } }));
}

#[tokio::test]
async fn a_pause_makes_a_sleep_longer_by_as_much() {
    let server = server().await;
    let id = server.create("Sleeping", json!({})).await;
    let waiting = server.until_status("Sleeping", &id, "waiting").await;
    assert_eq!(server.changed("Sleeping", &id, "pause").await, "paused");
    server.run("Quick", json!({})).await;
    server.changed("Sleeping", &id, "resume").await;
    let ended = server.ended("Sleeping", &id).await;
    assert_eq!(ended["status"], "complete");
    assert!(ended["end"].as_str() > waiting["wake_at"].as_str(), "{ended:#} {waiting:#}");
}

#[tokio::test]
async fn a_waiting_instance_that_is_restarted_loses_its_events() {
    let server = server().await;
    let id = server.create("Waiting", json!({})).await;
    server.until_status("Waiting", &id, "waiting").await;
    server.send_event("Waiting", &id, "other", json!(1)).await.ok();
    server.changed("Waiting", &id, "restart").await;
    server.until("Waiting", &id, |detail| detail["step_count"] == 2).await;
    server.send_event("Waiting", &id, "go", json!("second")).await.ok();
    assert_eq!(server.output("Waiting", &id).await["n"], 2);
}

#[tokio::test]
async fn a_paused_instance_can_be_terminated_restarted_and_deleted() {
    let server = server().await;
    let mut paused = Vec::new();
    for _ in 0..3 {
        let id = server.create("Waiting", json!({})).await;
        server.until_status("Waiting", &id, "waiting").await;
        assert_eq!(server.changed("Waiting", &id, "pause").await, "paused");
        paused.push(id);
    }
    assert_eq!(server.changed("Waiting", &paused[0], "terminate").await, "terminated");
    assert_eq!(server.changed("Waiting", &paused[1], "restart").await, "queued");
    server.send_event("Waiting", &paused[1], "go", json!(1)).await.ok();
    assert_eq!(server.output("Waiting", &paused[1]).await["payload"], 1);
    server.delete("Waiting", &paused[2]).await;
    assert!(server.is_gone("Waiting", &paused[2]).await);
}

#[tokio::test]
async fn an_instance_that_has_ended_takes_only_restart_and_delete() {
    let server = server().await;
    let complete = server.create("Quick", json!({})).await;
    let errored = server.create("Quick", json!({ "fails": true })).await;
    let terminated = server.create("Waiting", json!({})).await;
    server.changed("Waiting", &terminated, "terminate").await;
    for (workflow, id, status) in
        [("Quick", complete, "complete"), ("Quick", errored, "errored"), ("Waiting", terminated, "terminated")]
    {
        assert_eq!(server.ended(workflow, &id).await["status"], status);
        assert_eq!(refused(&server.change(workflow, &id, "terminate").await), CANNOT_TERMINATE);
        assert_eq!(server.changed(workflow, &id, "pause").await, status);
        assert_eq!(server.changed(workflow, &id, "resume").await, status);
        let event = server.send_event(workflow, &id, "go", json!(1)).await;
        let expected = "(instance.in_finite_state) Instance reached a finite state, cannot send events to it";
        assert_eq!(refused(&event), expected);
        assert_eq!(server.changed(workflow, &id, "restart").await, "queued");
        server.delete(workflow, &id).await;
        assert!(server.is_gone(workflow, &id).await);
    }
}

#[tokio::test]
async fn a_restart_runs_everything_again() {
    let server = server().await;
    let id = server.create("Quick", json!({ "fails": "first" })).await;
    assert_eq!(server.error("Quick", &id).await, "Error: failed");
    server.changed("Quick", &id, "restart").await;
    assert_eq!(server.output("Quick", &id).await, 2);
    server.changed("Quick", &id, "restart").await;
    server.until_called(&id, 3).await;
    assert_eq!(server.output("Quick", &id).await, 3);
}

#[tokio::test]
async fn an_instance_can_delete_itself() {
    let server = server().await;
    let id = server.create("DeletesItself", json!({})).await;
    let told = || "the instance is gone".to_owned();
    crate::support::eventually(told, || async { server.is_gone("DeletesItself", &id).await.then_some(()) }).await;
    assert_eq!(server.calls("never").await, Json::Null);
}

#[tokio::test]
async fn all_instances_of_a_workflow_can_be_terminated() {
    let server = server().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(server.create("Waiting", json!({})).await);
    }
    server.api(Method::PUT, "workflows/Waiting/instances/terminate", "").await.ok();
    for id in ids {
        assert_eq!(server.ended("Waiting", &id).await["status"], "terminated");
    }
    let counts = server.api(Method::GET, "workflows/Waiting", "").await.ok()["result"]["instances"].take();
    assert_eq!(counts["terminated"], 5);
}

#[tokio::test]
async fn a_batch_of_a_hundred_runs() {
    let server = server().await;
    let batch: Vec<Json> = (0..100).map(|n| json!({ "instance_id": format!("n-{n}") })).collect();
    let created = server.api(Method::POST, "workflows/Quick/instances/batch", Json::from(batch).to_string()).await.ok();
    assert_eq!(created["result"].as_array().map(Vec::len), Some(100));
    for n in 0..100 {
        assert_eq!(server.output("Quick", &format!("n-{n}")).await, 1);
    }
    let listed = server.api(Method::GET, "workflows/Quick/instances?status=complete&per_page=30", "").await.ok();
    assert_eq!(listed["result"].as_array().map(Vec::len), Some(30));
    assert_eq!(listed["result_info"]["total_count"], 100);
}

#[tokio::test]
async fn a_workflow_can_be_deleted_with_its_instances() {
    let server = server().await;
    let id = server.create("Waiting", json!({})).await;
    server.api(Method::DELETE, "workflows/Waiting", "").await.ok();
    let answer = server.api(Method::GET, &format!("workflows/Waiting/instances/{id}"), "").await;
    assert_eq!(answer.status, 404);
    assert_eq!(server.run("Quick", json!({})).await, 1);
}
