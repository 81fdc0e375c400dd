//! Deployments (versions, in Cloudflare's words): which are kept, for whom, and how they go.

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Launch, Server, eventually};

const CLASSES: [&str; 1] = ["Flow"];

/// A Worker whose code says which it is.
fn module(version: &str) -> String {
    format!(
        "import {{ WorkflowEntrypoint }} from 'cloudflare:workers';
export class Flow extends WorkflowEntrypoint {{
    async run(event, step) {{
        const before = await step.do('before', async () => '{version}');
        await step.waitForEvent('wait', {{ type: 'go', timeout: '300 days' }});
        return [before, await step.do('after', async () => '{version}')];
    }}
}}"
    )
}

impl Server {
    /// Newest first.
    async fn versions(&self) -> Vec<Json> {
        let answer = self.api(Method::GET, "workers/scripts/app/versions", "").await.ok();
        answer["result"]["items"].as_array().expect("versions").clone()
    }

    async fn waits(&self, id: &str) {
        self.create_as("Flow", id, json!({})).await;
        self.until_status("Flow", id, "waiting").await;
    }

    async fn go(&self, id: &str) -> Json {
        self.send_event("Flow", id, "go", json!({})).await.ok();
        self.output("Flow", id).await
    }
}

fn told(rows: &[Json]) -> Vec<(u64, bool, u64)> {
    let number = |row: &Json, name: &str| row[name].as_u64().expect("a number");
    let is_current = |row: &Json| row["is_current"].as_bool().expect("a boolean");
    rows.iter().map(|row| (number(row, "number"), is_current(row), number(row, "live_instances"))).collect()
}

fn version(number: u32) -> String {
    format!("workers/scripts/app/versions/00000000-0000-8000-8000-{number:012x}")
}

#[tokio::test]
async fn a_deployment_is_kept_while_an_instance_needs_it() {
    let server = Server::serve().await;
    server.deploy("app", &CLASSES, &module("old")).await.ok();
    server.waits("a").await;
    server.waits("b").await;
    server.deploy("app", &CLASSES, &module("new")).await.ok();
    server.waits("c").await;
    assert_eq!(told(&server.versions().await), [(2, true, 1), (1, false, 2)]);
    let refused = server.api(Method::DELETE, &version(1), "").await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let message = refused.refusal().1;
    assert!(message.contains("2 unfinished instance(s): Flow/a, Flow/b;"), "{message}");
    let current = server.api(Method::DELETE, &version(2), "").await;
    assert_eq!(current.status, 409, "{}", current.text());
    assert_eq!(server.go("a").await, json!(["old", "old"]));
    assert_eq!(server.go("b").await, json!(["old", "old"]));
    server.api(Method::DELETE, &version(1), "").await.ok();
    assert_eq!(told(&server.versions().await), [(2, true, 1)]);
    assert_eq!(server.api(Method::DELETE, &version(1), "").await.status, 404);
    server.changed("Flow", "a", "restart").await;
    server.until_status("Flow", "a", "waiting").await;
    assert_eq!(server.go("a").await, json!(["new", "new"]));
}

#[tokio::test]
async fn of_deployments_that_nobody_needs_only_the_newest_stay() {
    let server = Launch::serve().arg("--test-clock").arg("now*600").start().await;
    server.deploy("app", &CLASSES, &module("0")).await.ok();
    server.waits("a").await;
    for number in 1..=12 {
        server.deploy("app", &CLASSES, &module(&number.to_string())).await.ok();
    }
    let numbers = async || told(&server.versions().await).iter().map(|row| row.0).collect::<Vec<_>>();
    let newest: Vec<u64> = (4..=13).rev().collect();
    let needed: Vec<u64> = newest.iter().copied().chain([1]).collect();
    eventually(|| format!("{needed:?} stay"), || async { (numbers().await == needed).then_some(()) }).await;
    assert_eq!(server.go("a").await, json!(["0", "0"]));
    eventually(|| format!("{newest:?} stay"), || async { (numbers().await == newest).then_some(()) }).await;
}

#[tokio::test]
async fn an_operator_may_have_instances_move_to_the_newest_deployment() {
    let server = Launch::serve().arg("--on-deploy").arg("latest").start().await;
    server.deploy("app", &CLASSES, &module("old")).await.ok();
    server.waits("a").await;
    server.deploy("app", &CLASSES, &module("new")).await.ok();
    server.replay("Flow", "a").await;
    server.until_status("Flow", "a", "waiting").await;
    assert_eq!(server.go("a").await, json!(["old", "new"]));
    assert_eq!(told(&server.versions().await), [(2, true, 0), (1, false, 0)]);
}

#[tokio::test]
async fn creations_beyond_the_operators_rate_are_refused() {
    let server = Launch::serve().arg("--workflow-create-rate").arg("1").start().await;
    server.deploy("app", &CLASSES, &module("old")).await.ok();
    let many: Vec<Json> = (0..100).map(|n| json!({ "instance_id": format!("i{n}") })).collect();
    server.api(Method::POST, "workflows/Flow/instances/batch", json!(many).to_string()).await.ok();
    let answer = server.try_create("Flow", json!({})).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(answer.refusal().1.contains("1 instances per second"), "{}", answer.text());
    let restart = server.change("Flow", "i1", "restart").await;
    assert_eq!(restart.status, 429, "{}", restart.text());
    assert_eq!(server.changed("Flow", "i1", "terminate").await, "terminated");
}
