//! Ended instances go when their time is over, with all that was kept of them.

use std::path::Path;

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Launch, Project, Server, eventually, operator_token};

const SOURCE: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
export class Flow extends WorkflowEntrypoint {
    async run(event, step) {
        console.log('hello');
        if (event.payload.waits) await step.waitForEvent('wait', { type: 'go' });
        const text = await step.do('large', async () => 'x'.repeat(100_000));
        if (event.payload.fails) throw new TypeError('as asked');
        return text.length;
    }
}
const retentions = { long: { successRetention: '2 days', errorRetention: '1 day' }, bad: { successRetention: 'soon' } };
export default {
    async fetch(request, env) {
        const { searchParams } = new URL(request.url);
        const retention = retentions[searchParams.get('retention')];
        try {
            const [first] = await env.Flow.createBatch([{ id: 'in-batch', retention }]);
            const second = await env.Flow.create({ id: 'alone', retention });
            return Response.json([first.id, second.id]);
        } catch (error) {
            return Response.json(error.message);
        }
    }
};";

async fn start(state: &Path, clock: &str, retention: &str) -> Server {
    let launch = Launch::serve().state(state).arg("--retention").arg(retention).arg("--test-clock").arg(clock);
    let mut server = launch.start().await;
    server.token = Some(operator_token(state));
    server
}

impl Server {
    async fn until_gone(&self, id: &str) {
        let path = format!("workflows/Flow/instances/{id}");
        let told = || format!("{id} is gone");
        eventually(told, || async { (self.api(Method::GET, &path, "").await.status == 404).then_some(()) }).await;
    }
}

/// Rows of the tables that hold what belongs to instances.
fn rows(state: &Path) -> Vec<u64> {
    let db = rusqlite::Connection::open(state.join("stepwell.db")).expect("a database");
    let count = |table| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect(table);
    ["instances", "entries", "logs", "garbage"].map(count).to_vec()
}

#[tokio::test]
async fn an_ended_instance_goes_with_all_its_rows_and_its_id_is_free() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = start(state.path(), "now", "1 second").await;
    server.deploy("app", &["Flow"], SOURCE).await.ok();
    for (id, params) in [("one", json!({})), ("two", json!({ "fails": true })), ("three", json!({ "waits": true }))] {
        server.create_as("Flow", id, params).await;
    }
    server.until_status("Flow", "three", "waiting").await;
    server.until_gone("one").await;
    server.until_gone("two").await;
    assert_eq!(server.status("Flow", "three").await, "waiting");
    server.create_as("Flow", "one", json!({ "waits": true })).await;
    for id in ["one", "three"] {
        server.changed("Flow", id, "terminate").await;
        server.until_gone(id).await;
    }
    let left = || format!("rows are left: {:?}", rows(state.path()));
    eventually(left, || async { rows(state.path()).iter().all(|count| *count == 0).then_some(()) }).await;
    let list = server.api(Method::GET, "workflows/Flow/instances", "").await.ok();
    assert_eq!(list["result_info"]["total_count"], 0);
}

#[tokio::test]
async fn an_expiry_outlives_a_restart_of_the_server() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = start(state.path(), "2026-11-21T10:00:00Z", "1 hour").await;
    server.deploy("app", &["Flow"], SOURCE).await.ok();
    server.create_as("Flow", "one", json!({})).await;
    let detail = server.ended("Flow", "one").await;
    assert!(detail["expires_at"].as_str().expect("a time").starts_with("2026-11-21T11:00:"), "{detail:#}");
    server.stop();
    let server = start(state.path(), "2026-11-21T10:59:00Z", "1 hour").await;
    assert_eq!(server.status("Flow", "one").await, "complete");
    server.stop();
    let server = start(state.path(), "2026-11-21T11:02:00Z", "1 hour").await;
    server.until_gone("one").await;
}

#[tokio::test]
async fn an_instance_may_say_how_long_it_is_kept() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = start(state.path(), "2026-11-21T10:00:00Z", "forever").await;
    server.deploy("app", &["Flow"], SOURCE).await.ok();
    assert_eq!(server.get("app", "/?retention=long").await, json!(["in-batch", "alone"]));
    for id in ["in-batch", "alone"] {
        let expires_at = server.ended("Flow", id).await["expires_at"].clone();
        assert!(expires_at.as_str().expect("a time").starts_with("2026-11-23T10:00:"), "{expires_at}");
    }
    let retention = json!({ "success_retention": 1_000, "error_retention": "3 days" });
    let body = json!({ "instance_id": "fails", "params": { "fails": true }, "instance_retention": retention });
    server.try_create("Flow", body).await.ok();
    let expires_at = server.ended("Flow", "fails").await["expires_at"].clone();
    assert!(expires_at.as_str().expect("a time").starts_with("2026-11-24T10:00:"), "{expires_at}");
    server.create_as("Flow", "usual", json!({})).await;
    assert_eq!(server.ended("Flow", "usual").await["expires_at"], Json::Null);
    let body = json!({ "instance_id": "short", "instance_retention": { "success_retention": 0 } });
    server.try_create("Flow", body).await.ok();
    server.until_gone("short").await;
}

#[tokio::test]
async fn a_workflow_may_have_a_retention_of_its_own() {
    let workflow = |retention: Json| json!([{ "name": "Flow", "binding": "Flow", "class_name": "Flow", "default_retention": retention }]);
    let project = |retention| Project::configured("app", &[], json!({ "workflows": workflow(retention) }), SOURCE);
    let two = project(json!({ "success_retention": "2 days" }));
    let launch = Launch::dev(&[&two]).arg("--test-clock").arg("2026-11-21T10:00:00Z");
    let server = launch.start().await;
    server.create_as("Flow", "good", json!({})).await;
    server.create_as("Flow", "bad", json!({ "fails": true })).await;
    for (id, day) in [("good", "2026-11-23T"), ("bad", "2026-11-28T")] {
        let expires_at = server.ended("Flow", id).await["expires_at"].clone();
        assert!(expires_at.as_str().expect("a time").starts_with(day), "{id}: {expires_at}");
    }
    let refused = Launch::dev(&[&project(json!({ "error_retention": "soon" }))]).refused().await;
    assert!(refused.stderr.contains("error_retention: \"soon\": Duration must be"), "{}", refused.stderr);
}

#[tokio::test]
async fn what_is_no_retention_is_refused() {
    let server = Server::serve().await;
    server.deploy("app", &["Flow"], SOURCE).await.ok();
    let message = server.get("app", "/?retention=bad").await;
    assert!(message.as_str().expect("an error").contains("Duration must be a number or a string"), "{message}");
    let answer = server.try_create("Flow", json!({ "instance_retention": { "error_retention": "3 d" } })).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("error_retention"), "{}", answer.text());
    let list = server.api(Method::GET, "workflows/Flow/instances", "").await.ok();
    assert_eq!(list["result"], json!([]));
}
