//! Bodies that are not what a route takes, through the whole face.

use axum::http::Method;
use serde_json::{Value, json};
use stepwell::rest;
use stepwell::rest::Content;

use super::server::Server;

/// More than any body that is not an upload.
const TOO_MANY_BYTES: usize = 40 << 20;

/// A path with what is there in place of each parameter.
fn filled(path: &str) -> String {
    let fill = |part: &str| match part {
        "{account}" => stepwell::accounts::ACCOUNT_ID.to_owned(),
        "{workflow}" => "flow".to_owned(),
        "{script}" => "script".to_owned(),
        part if part.starts_with('{') => "x".to_owned(),
        part => part.to_owned(),
    };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

/// Routes that take JSON.
fn json_routes() -> impl Iterator<Item = (Method, String)> {
    let takes_json = |route: &rest::Route| matches!(route.doc.body, Some(Content::Json(_)));
    rest::routes().into_iter().filter(takes_json).map(|route| (route.method, filled(&route.path)))
}

#[tokio::test]
async fn json_that_is_none_is_refused_with_its_place_by_every_route() {
    let server = Server::start().await;
    let mut tried = 0;
    for (method, path) in json_routes() {
        let answer = server.at(method.as_str(), &path, "\n  }").await;
        // D1 has codes of its own.
        let code = if path.contains("graphql") || path.contains("/d1/") { 7_400 } else { 10_001 };
        assert_eq!((answer.status, answer.code()), (400, code), "{method} {path}: {}", answer.body);
        let message = answer.body["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains("line 2 column 3"), "{method} {path}: {message}");
        tried += 1;
    }
    assert!(tried > 10, "{tried} routes were tried");
}

#[tokio::test]
async fn an_array_in_place_of_an_object_is_refused_by_every_route() {
    let server = Server::start().await;
    // The payload of an event may be anything.
    for (method, path) in json_routes().filter(|(_, path)| !path.contains("/events/")) {
        let answer = server.at(method.as_str(), &path, r#"[["x"]]"#).await;
        assert_eq!(answer.status, 400, "{method} {path}: {}", answer.body);
        assert!(
            answer.body.to_string().contains("invalid type: sequence, expected"),
            "{method} {path}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn an_array_in_place_of_an_object_is_refused_at_every_depth() {
    let server = Server::start().await;
    let workflow = |name: &str, value: Value| json!({ "script_name": "script", "class_name": "C", name: value });
    for (method, path, body, members) in [
        ("PUT", "/workers/scripts/script/secrets", json!(["NAME", "v", "secret_text"]), "name, text, type"),
        (
            "POST",
            "/workflows/flow/instances",
            json!({ "instance_retention": [] }),
            "successRetention, success_retention",
        ),
        ("POST", "/workflows/flow/instances/batch", json!([{}, ["id"]]), "instance_id, params"),
        ("PATCH", "/workflows/flow/instances/a/status", json!({ "status": "restart", "from": ["s"] }), "name, count"),
        ("PATCH", "/workers/scripts/script/secrets-bulk", json!({ "secrets": { "A": ["v"] } }), "text, type"),
        ("POST", "/workers/scripts/script/tails", json!({ "filters": [[0.5]] }), "sampling_rate"),
        ("PUT", "/workflows/new", workflow("limits", json!([5])), "steps"),
        ("PUT", "/workflows/new", workflow("schedules", json!([["0 * * * *"]])), "cron"),
    ] {
        let answer = server.call(method, path, body.clone()).await;
        assert_eq!((answer.status, answer.code()), (400, 10_001), "{method} {path} {body}: {}", answer.body);
        let message = answer.body["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains(&format!("expected an object with {members}")), "{method} {path} {body}: {message}");
    }
    assert_eq!(server.ok("GET", "/workers/scripts/script/secrets", Value::Null).await, json!([]));
}

#[tokio::test]
async fn a_body_without_end_is_refused_by_every_route() {
    let server = Server::start().await;
    let endless = format!("{{\"a\":\"{}\"}}", "x".repeat(TOO_MANY_BYTES));
    for (method, path) in json_routes() {
        let answer = server.at(method.as_str(), &path, &endless).await;
        assert_eq!(answer.status, 413, "{method} {path}: {}", answer.body);
    }
}

#[tokio::test]
async fn what_is_no_upload_is_refused_with_what_to_send() {
    let server = Server::start().await;
    for (method, path) in [("PUT", "/workers/scripts/new"), ("POST", "/workers/scripts/script/versions")] {
        let answer = server.call(method, path, json!({ "main_module": "index.js" })).await;
        assert_eq!((answer.status, answer.code()), (415, 10_001), "{}", answer.body);
        let message = answer.body["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains("multipart/form-data") && message.contains("\"metadata\""), "{message}");
    }
    assert_eq!(server.call("GET", "/workers/scripts/new/settings", Value::Null).await.status, 404);
}

#[tokio::test]
async fn what_is_not_here_yet_is_refused_by_name() {
    let server = Server::start().await;
    for (method, path, named) in [
        ("GET", "/r2/buckets/photos", "no R2"),
        ("POST", "/queues", "no Queues"),
        ("POST", "/workers/scripts/script/assets-upload-session", "no static assets"),
        ("PUT", "/triggers/script", "no event triggers"),
    ] {
        let answer = server.call(method, path, json!({})).await;
        assert_eq!((answer.status, answer.code()), (404, 20_404), "{method} {path}");
        assert!(answer.body["errors"][0]["message"].as_str().expect("a message").contains(named), "{}", answer.body);
    }
    let crons = "/workers/scripts/script/schedules";
    assert_eq!(server.ok("PUT", crons, json!([])).await, json!({ "schedules": [] }));
    assert_eq!(server.ok("GET", crons, Value::Null).await, json!({ "schedules": [] }));
    let answer = server.call("PUT", crons, json!([{ "cron": "0 * * * *" }])).await;
    assert_eq!((answer.status, answer.code()), (400, 10_001), "{}", answer.body);
}
