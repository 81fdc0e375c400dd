//! Secrets: when they take effect, and that they come with a deploy or not at all.

use hyper::Method;
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use crate::support::{Launch, Server};

const SOURCE: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
export class Flow extends WorkflowEntrypoint {
    async run(event, step) {
        return await step.do('look', { retries: { limit: 0, delay: 0 } }, async () => {
            await scheduler.wait(event.payload.ms);
            return this.env.KEY;
        });
    }
}
export default { fetch: (_, env) => Response.json(env.KEY ?? null) };";

fn bindings(secret: Option<&str>) -> Json {
    let flow = json!({ "type": "workflow", "name": "FLOW", "workflow_name": "Flow", "class_name": "Flow" });
    let secret = secret.map(|text| json!({ "type": "secret_text", "name": "KEY", "text": text }));
    [flow].into_iter().chain(secret).collect()
}

impl Server {
    async fn set_secret(&self, text: &str) {
        let body = json!({ "name": "KEY", "text": text, "type": "secret_text" }).to_string();
        self.api(Method::PUT, "workers/scripts/app/secrets", body).await.ok();
    }
}

#[tokio::test]
async fn a_secret_that_comes_with_a_failed_deploy_is_not_kept() {
    let server = Server::serve().await;
    server.upload("app", bindings(Some("old")), SOURCE).await.ok();
    let broken = SOURCE.replace("class Flow", "class Other");
    let refused = server.upload("app", bindings(Some("new")), &broken).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let twice =
        json!([{ "type": "secret_text", "name": "KEY", "text": "new" }, { "type": "kv_namespace", "name": "KV" }]);
    assert_eq!(server.upload("app", twice, SOURCE).await.status, 400);
    server.upload("app", bindings(None), &SOURCE.replace("?? null", "?? 'none'")).await.ok();
    assert_eq!(server.get("app", "/").await, "old");
}

#[tokio::test]
async fn a_new_secret_is_seen_by_what_begins_after_it_and_disturbs_nothing() {
    let server = Server::serve().await;
    server.upload("app", bindings(Some("old")), SOURCE).await.ok();
    let id = server.create("Flow", json!({ "ms": 1_000 })).await;
    server.until("Flow", &id, |detail| detail["steps"][0]["name"] == "look-1").await;
    server.set_secret("new").await;
    assert_eq!(server.get("app", "/").await, "new");
    assert_eq!(server.run("Flow", json!({ "ms": 0 })).await, "new");
    assert_eq!(server.output("Flow", &id).await, "old", "an attempt that may not be repeated ends where it began");
}

#[tokio::test]
async fn a_variable_takes_the_place_of_a_secret_of_its_name_and_not_the_other_way_round() {
    let server = Server::serve().await;
    server.upload("app", bindings(Some("secret")), SOURCE).await.ok();
    let var = json!([{ "type": "plain_text", "name": "KEY", "text": "plain" }]);
    server.upload("app", var, SOURCE).await.ok();
    assert_eq!(server.get("app", "/").await, "plain");
    let listed = server.api(Method::GET, "workers/scripts/app/secrets", "").await.ok();
    assert_eq!(listed["result"], json!([]));
    let body = json!({ "name": "KEY", "text": "secret" }).to_string();
    let (status, message) = server.api(Method::PUT, "workers/scripts/app/secrets", body).await.refusal();
    assert!(status == 400 && message.contains("already in use"), "{status} {message}");
}

#[tokio::test]
async fn a_data_directory_whose_key_is_lost_is_refused_until_its_secrets_are_discarded() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = Launch::serve().state(state.path()).start().await;
    server.upload("app", bindings(Some("old")), SOURCE).await.ok();
    let token = server.token.clone();
    server.stop();
    let key = state.path().join("secrets-key");
    std::fs::remove_file(&key).expect("a key");
    let missing = Launch::serve().state(state.path()).refused().await.message(&[(state.path(), "DATA")]);
    assert!(!key.exists(), "no other key takes its place");
    std::fs::write(&key, [7; 32]).expect("a file");
    let wrong = Launch::serve().state(state.path()).refused().await.message(&[(state.path(), "DATA")]);
    assert_snapshot!(format!("{missing}{wrong}"));

    let mut server = Launch::serve().state(state.path()).arg("--discard-secrets").start().await;
    server.token = token;
    assert_eq!(server.get("app", "/").await, Json::Null);
    server.set_secret("new").await;
    server.stop();
    let server = Launch::serve().state(state.path()).start().await;
    assert_eq!(server.get("app", "/").await, "new");
}
