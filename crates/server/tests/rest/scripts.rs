//! Paths of scripts: versions, releases, secrets and settings, as wrangler asks for them around a deploy.

use serde_json::{Value, json};
use stepwell::accounts::ACCOUNT_ID;

use super::server::Server;

const SCRIPT: &str = "/workers/scripts/script";
const VERSION: &str = "00000000-0000-8000-8000-000000000001";

fn path(rest: &str) -> String {
    format!("{SCRIPT}/{rest}")
}

#[tokio::test]
async fn a_script_is_told_as_services_and_workers_are() {
    let server = Server::start().await;
    let service = server.ok("GET", "/workers/services/script", Value::Null).await;
    assert_eq!(service["default_environment"]["script"]["last_deployed_from"], "wrangler");
    let worker = server.ok("GET", "/workers/workers/script", Value::Null).await;
    assert_eq!(worker["subdomain"]["url"], "http://script.localhost:8787");
    assert_eq!(server.ok("POST", &path("subdomain"), json!({ "enabled": true })).await["enabled"], true);
    assert_eq!(server.ok("GET", &path("references"), Value::Null).await["services"]["incoming"], json!([]));
}

#[tokio::test]
async fn versions_are_listed_and_one_is_made_current() {
    let server = Server::start().await;
    let versions = server.ok("GET", &path("versions"), Value::Null).await;
    assert_eq!(versions["items"][0]["id"], VERSION);
    let version = server.ok("GET", &path(&format!("versions/{VERSION}")), Value::Null).await;
    assert_eq!(version["resources"]["script_runtime"]["compatibility_date"], "2026-01-01");
    let all = json!([{ "version_id": VERSION, "percentage": 100 }]);
    let new = json!({ "strategy": "percentage", "versions": all, "annotations": { "workers/message": "again" } });
    let made = server.ok("POST", &path("deployments"), new).await;
    let listed = server.ok("GET", &path("deployments"), Value::Null).await;
    assert_eq!(listed["deployments"][0], made);
    assert_eq!(made["annotations"]["workers/message"], "again");
    assert_eq!(listed["deployments"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn what_is_listed_is_shown_by_itself_as_well() {
    let server = Server::start().await;
    let release = &server.ok("GET", &path("deployments"), Value::Null).await["deployments"][0];
    let id = release["id"].as_str().expect("an id");
    assert_eq!(&server.ok("GET", &path(&format!("deployments/{id}")), Value::Null).await, release);
    server.ok("PUT", &path("secrets"), json!({ "name": "KEY", "text": "hidden" })).await;
    let secret = server.ok("GET", &path("secrets/KEY?url_encoded=true"), Value::Null).await;
    assert_eq!(secret, json!({ "name": "KEY", "type": "secret_text" }));
    assert_eq!(server.ok("DELETE", &path("subdomain"), Value::Null).await["enabled"], true, "it is always reached");
    let content = format!("/client/v4/accounts/{ACCOUNT_ID}{SCRIPT}");
    let (status, headers, body) = server.bytes("GET", &content, "").await;
    assert_eq!(status, 200);
    let kind = headers["content-type"].to_str().expect("text");
    assert!(kind.starts_with("multipart/form-data") && headers.contains_key("cf-entrypoint"), "{headers:?}");
    let (_, _, again) = server.bytes("GET", &format!("{content}/content/v2"), "").await;
    assert_eq!(body.len(), again.len());
}

#[tokio::test]
async fn secrets_are_set_listed_by_name_and_removed() {
    let server = Server::start().await;
    server.ok("PUT", &path("secrets"), json!({ "name": "KEY", "text": "hidden", "type": "secret_text" })).await;
    let bulk = json!({ "secrets": { "OTHER": { "text": "x", "type": "secret_text" }, "GONE": null } });
    server.ok("PATCH", &path("secrets-bulk"), bulk).await;
    let listed = server.ok("GET", &path("secrets"), Value::Null).await;
    let names = json!([{ "name": "KEY", "type": "secret_text" }, { "name": "OTHER", "type": "secret_text" }]);
    assert_eq!(listed, names);
    server.ok("DELETE", &path("secrets/KEY"), Value::Null).await;
    let bindings = &server.ok("GET", &path("settings"), Value::Null).await["bindings"];
    assert_eq!(bindings, &json!([{ "type": "secret_text", "name": "OTHER" }]));
}

#[tokio::test]
async fn settings_of_a_script_are_kept_apart_from_its_versions() {
    let server = Server::start().await;
    let set = json!({ "tags": ["a"], "observability": { "enabled": true }, "unheard_of": 1 });
    server.ok("PATCH", &path("script-settings"), set).await;
    let shown = server.ok("GET", &path("script-settings"), Value::Null).await;
    assert_eq!((&shown["tags"], &shown["unheard_of"], &shown["logpush"]), (&json!(["a"]), &json!(1), &json!(false)));
}

#[tokio::test]
async fn an_upload_with_a_name_that_cannot_be_leaves_nothing() {
    let server = Server::start().await;
    let metadata = json!({ "main_module": "m.js", "bindings": [{ "type": "d1", "name": "D", "id": "" }] }).to_string();
    let parts = [
        ("metadata", "application/json", metadata.as_str()),
        ("m.js", "application/javascript+module", "export default {}"),
    ];
    let answer = server.upload("new", &parts).await;
    assert_eq!((answer.status, answer.code()), (400, 10_021), "{}", answer.body);
    assert_eq!(server.uploads().len(), 0);
    assert_eq!(server.ok("GET", "/d1/database", Value::Null).await, json!([]));
}

#[tokio::test]
async fn what_there_is_not_has_cloudflares_codes() {
    let server = Server::start().await;
    let half = json!({ "versions": [{ "version_id": VERSION, "percentage": 50 }] });
    let unknown = json!({ "versions": [{ "version_id": "x", "percentage": 100 }] });
    let long = json!({ "name": "KEY", "text": "x".repeat(6_000) });
    for (method, path, body, status, code) in [
        ("GET", "/workers/services/none".to_owned(), Value::Null, 404, 10_090),
        ("GET", "/workers/scripts/none/settings".to_owned(), Value::Null, 404, 10_007),
        ("GET", "/workers/scripts/none/deployments".to_owned(), Value::Null, 404, 10_007),
        ("GET", path("versions/x"), Value::Null, 404, 10_188),
        ("POST", path("deployments"), half, 400, 10_001),
        ("POST", path("deployments"), unknown, 404, 10_188),
        ("PUT", path("secrets"), long, 413, 10_413),
        ("PUT", path("secrets"), json!({ "text": "x" }), 400, 10_001),
        ("DELETE", path("secrets/NONE"), Value::Null, 404, 10_056),
        ("GET", path("secrets/NONE"), Value::Null, 404, 10_056),
        ("GET", path("deployments/x"), Value::Null, 404, 20_405),
        ("GET", "/workers/scripts/none".to_owned(), Value::Null, 404, 10_007),
    ] {
        let answer = server.call(method, &path, body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{method} {path}: {}", answer.body);
    }
}
