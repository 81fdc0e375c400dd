//! The server's end of the host socket: answers what bindings ask and remembers it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::net::UnixListener;

/// A request that reached the host socket.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub host: String,
    pub service: Option<String>,
    pub database: Option<String>,
    pub body: Value,
}

type Log = Arc<Mutex<Vec<Seen>>>;

pub struct Host {
    directory: tempfile::TempDir,
    seen: Log,
    serving: tokio::task::JoinHandle<()>,
}

impl Host {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let seen = Log::default();
        let listener = UnixListener::bind(directory.path().join("host.sock")).unwrap();
        let router = axum::Router::new().fallback(answer).with_state(seen.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { directory, seen, serving }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("host.sock")
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(log): State<Log>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (service, database) = (header("x-stepwell-service"), header("x-stepwell-d1"));
    let path = parts.uri.path().to_owned();
    let host = header("host").unwrap_or_default();
    let seen = |body| Seen {
        path: path.clone(),
        host: host.clone(),
        service: service.clone(),
        database: database.clone(),
        body,
    };
    if service.is_some() && header("upgrade").is_some() {
        log.lock().unwrap().push(seen(Value::Null));
        let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.unwrap();
        return upgrade.on_upgrade(echo);
    }
    if service.is_some() && path == "/stream" {
        log.lock().unwrap().push(seen(Value::Null));
        return Response::new(body);
    }
    let bytes = body.collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    log.lock().unwrap().push(seen(body.clone()));
    match (service, database) {
        (Some(service), _) => format!("script {service}").into_response(),
        (_, Some(database)) => json_response(StatusCode::OK, &database_answer(&database)),
        _ => workflow_answer(path.rsplit('/').next().unwrap(), &body),
    }
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

fn database_answer(database: &str) -> Value {
    let meta = json!({"duration": 0, "changes": 0, "last_row_id": 0, "rows_read": 1, "rows_written": 0});
    json!([{"success": true, "results": {"columns": ["name"], "rows": [[database]]}, "meta": meta}])
}

fn workflow_answer(method: &str, body: &Value) -> Response {
    let id = body["id"].as_str().unwrap_or("generated");
    match method {
        "getInstance" if id == "absent" => {
            let error = json!({"name": "WorkflowError", "message": "(instance.not_found) Instance does not exist"});
            json_response(StatusCode::NOT_FOUND, &json!({ "error": error }))
        }
        "status" => json_response(
            StatusCode::OK,
            &json!({"status": "complete", "error": null, "output": {"json": "1970-01-01", "exact": "[[\"Date\",\"1970-01-01T00:00:00.000Z\"]]"}}),
        ),
        "createBatch" => {
            let created = |entry: &Value| json!({ "id": entry["id"] });
            let created: Vec<Value> = body["instances"].as_array().into_iter().flatten().map(created).collect();
            let whole = json!({ "created": created, "errors": [] });
            json_response(StatusCode::OK, if body["form"] == "array" { &whole["created"] } else { &whole })
        }
        "deleteBatch" => json_response(StatusCode::OK, &json!({"deleted": [{"id": "a"}], "errors": []})),
        "subscribe" => json_response(StatusCode::OK, &json!({"incarnation": 5, "reader": 3, "cursor": null})),
        "next" if body["cursor"] == 8 => json_response(StatusCode::OK, &json!({"events": [], "done": true})),
        "next" => {
            let queued = json!({"eventId": 7, "type": "workflow_queued"});
            let started = json!({"eventId": 8, "type": "workflow_started", "params": {"json": 1, "exact": "[[\"Date\",\"1970-01-01T00:00:00.000Z\"]]"}});
            json_response(StatusCode::OK, &json!({"events": [queued, started], "done": false}))
        }
        "create" | "getInstance" => json_response(StatusCode::OK, &json!({ "id": id })),
        _ => json_response(StatusCode::OK, &Value::Null),
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}
