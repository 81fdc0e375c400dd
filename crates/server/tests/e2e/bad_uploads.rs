//! Uploads that cannot be: each is refused by what is wrong with it, and the Worker that was deployed goes on as it was.

use hyper::Method;
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use crate::support::{Answer, Server};

const SOURCE: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
export class Flow extends WorkflowEntrypoint { async run() { return 'done'; } }
export default { fetch: (_, env) => Response.json(['serves', env.KEY]) };";
const ESM: &str = "application/javascript+module";
/// More than the modules of a script may have together.
const TOO_MANY_BYTES: usize = (64 << 20) + 1;

/// A part of a body: its name, its type and what is in it.
type Part<'a> = (&'a str, &'a str, &'a str);

fn body(parts: &[Part<'_>]) -> String {
    let part = |(name, kind, text): &Part<'_>| {
        format!(
            "--cut\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\ncontent-type: {kind}\r\n\r\n{text}\r\n"
        )
    };
    parts.iter().map(part).collect::<String>() + "--cut--\r\n"
}

fn metadata(change: Json) -> String {
    let mut metadata = json!({
        "main_module": "index.js", "compatibility_date": "2025-06-01",
        "bindings": [
            { "type": "workflow", "name": "FLOW", "workflow_name": "Flow", "class_name": "Flow" },
            { "type": "secret_text", "name": "KEY", "text": "new" },
        ],
    });
    for (name, value) in change.as_object().expect("an object") {
        metadata[name] = value.clone();
    }
    metadata.to_string()
}

impl Server {
    async fn put_script(&self, kind: &str, body: String) -> Answer {
        self.api_with(Method::PUT, "workers/scripts/app", &[("content-type", kind)], body).await
    }

    /// An upload in the right form.
    async fn put_parts(&self, metadata: &str, modules: &[Part<'_>]) -> Answer {
        let metadata = ("metadata", "application/json", metadata);
        let parts: Vec<_> = [metadata].into_iter().chain(modules.iter().copied()).collect();
        self.put_script("multipart/form-data; boundary=cut", body(&parts)).await
    }

    /// What is deployed: what it answers, its versions, its workflows and its secrets.
    async fn deployed(&self) -> Json {
        let ask = |path: &'static str| async move { self.api(Method::GET, path, "").await.ok()["result"].take() };
        json!([
            self.get("app", "/").await,
            ask("workers/scripts/app/versions").await["items"],
            ask("workers/scripts/app/deployments").await,
            ask("workers/scripts/app/script-settings").await,
            ask("workflows").await,
            ask("workers/scripts/app/secrets").await,
        ])
    }
}

fn told(what: &str, answer: &Answer) -> String {
    let error = &answer.json()["errors"][0];
    format!("{what}: {} ({}) {}", answer.status, error["code"], error["message"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_bad_upload_is_refused_by_what_is_wrong_with_it_and_changes_nothing() {
    let server = Server::serve().await;
    let first = json!([
        { "type": "workflow", "name": "FLOW", "workflow_name": "Flow", "class_name": "Flow" },
        { "type": "secret_text", "name": "KEY", "text": "old" },
    ]);
    server.upload("app", first, SOURCE).await.ok();
    let before = server.deployed().await;
    assert_eq!(before[0], json!(["serves", "old"]));
    let mut seen = Vec::new();

    let whole = body(&[("metadata", "application/json", &metadata(json!({}))), ("index.js", ESM, SOURCE)]);
    let cut = whole[..whole.len() - 20].to_owned();
    for (what, kind, body) in [
        ("no multipart", "application/json", "{}".to_owned()),
        ("no boundary", "multipart/form-data", whole.clone()),
        ("another boundary", "multipart/form-data; boundary=other", whole),
        ("cut short", "multipart/form-data; boundary=cut", cut),
        ("no parts", "multipart/form-data; boundary=cut", "--cut--\r\n".to_owned()),
    ] {
        seen.push(told(what, &server.put_script(kind, body).await));
    }

    let module = ("index.js", ESM, SOURCE);
    let large = "x".repeat(TOO_MANY_BYTES);
    let given = metadata(json!({}));
    for (what, metadata, modules) in [
        ("metadata that is no JSON", "{ main_module", vec![module]),
        ("metadata that is a list", "[]", vec![module]),
        ("no main module", &*metadata(json!({ "main_module": null })), vec![module]),
        ("another main module", &*metadata(json!({ "main_module": "worker.js" })), vec![module]),
        ("a module that is there twice", &*given, vec![module, module]),
        ("a module of no known type", &*given, vec![module, ("index.py", "text/x-python", "")]),
        ("a script that is too large", &*given, vec![module, ("data.bin", "application/octet-stream", &*large)]),
        ("service-worker syntax", r#"{"body_part":"index.js"}"#, vec![("index.js", "application/javascript", "")]),
        ("a flag that there is not", &*metadata(json!({ "compatibility_flags": ["no_such_flag"] })), vec![module]),
        ("a syntax error", &*given, vec![("index.js", ESM, "export default {")]),
        ("an error at load", &*given, vec![("index.js", ESM, "throw new TypeError('at load'); export default {};")]),
        ("an import of nothing", &*given, vec![("index.js", ESM, "import './nothing.js'; export default {};")]),
        ("a class that is not exported", &*given, vec![("index.js", ESM, "export default {};")]),
        (
            "broken wasm",
            &*given,
            vec![
                ("index.js", ESM, "import m from './m.wasm'; export default {};"),
                ("m.wasm", "application/wasm", "no"),
            ],
        ),
        (
            "a schedule that never fires",
            &*metadata(
                json!({ "exports": { "Flow": { "type": "workflow", "name": "Flow", "schedules": "61 * * * *" } } }),
            ),
            vec![module],
        ),
        (
            "too many schedules",
            &*metadata(
                json!({ "exports": { "Flow": { "type": "workflow", "name": "Flow", "schedules": (0..101).map(|minute| format!("{} {} * * *", minute % 60, minute / 60)).collect::<Vec<_>>() } } }),
            ),
            vec![module],
        ),
        (
            "an export of another type",
            &*metadata(json!({ "exports": { "Flow": { "type": "durable-object" } } })),
            vec![module],
        ),
    ] {
        seen.push(told(what, &server.put_parts(metadata, &modules).await));
    }
    assert_snapshot!(seen.join("\n"));
    assert_eq!(server.deployed().await, before);
    assert_eq!(server.run("Flow", json!({})).await, "done");
}

#[tokio::test]
async fn bindings_that_this_server_does_not_have_are_refused_by_name() {
    let server = Server::serve().await;
    let mut seen = Vec::new();
    for binding in [
        json!({ "type": "ai", "name": "AI" }),
        json!({ "type": "analytics_engine", "name": "EVENTS", "dataset": "events" }),
        json!({ "type": "assets", "name": "ASSETS" }),
        json!({ "type": "durable_object_namespace", "name": "ROOM", "class_name": "Room" }),
        json!({ "type": "inherit", "name": "NOTHING" }),
        json!({ "type": "kv_namespace", "name": "KV", "namespace_id": "n" }),
        json!({ "type": "queue", "name": "QUEUE", "queue_name": "jobs" }),
        json!({ "type": "r2_bucket", "name": "BUCKET", "bucket_name": "photos" }),
        json!({ "type": "service", "name": "ADMIN", "service": "api", "entrypoint": "Admin" }),
        json!({ "type": "unheard_of", "name": "NEW" }),
        json!({ "type": "d1", "name": "DB" }),
        json!({ "name": "UNTYPED" }),
    ] {
        let answer = server.upload("app", json!([binding]), SOURCE).await;
        seen.push(told(binding["type"].as_str().unwrap_or("no type"), &answer));
    }
    assert_snapshot!(seen.join("\n"));
    assert_eq!(server.api(Method::GET, "workers/services/app", "").await.status, 404);
}
