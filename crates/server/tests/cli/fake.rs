//! A server that knows a few answers by heart and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{d1_known, instances, workers_known};

const BODY_BYTES_MAX: usize = 64 << 20;
/// The account of every server.
pub const ACCOUNT: &str = "00000000000000000000000057e9e11a";
const API: &str = "/client/v4";

/// What was asked: below the first account, and as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub line: String,
    pub token: Option<String>,
    pub content_type: String,
    pub body: String,
}

/// The server; it stops when dropped.
pub struct Fake {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Fake {
    pub async fn start() -> Self {
        Self::answering(|text| text).await
    }

    /// One whose answers are changed on their way.
    pub async fn answering(change: fn(String) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let router = Router::new().fallback(answer).with_state((asked.clone(), change));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") });
        Self { url, asked, task }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// Method, path and query of each request.
    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Known = (Arc<Mutex<Vec<Asked>>>, fn(String) -> String);

async fn answer(State((log, change)): State<Known>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.expect("a body");
    let header = |name| parts.headers.get(name).map(|value| value.to_str().expect("text").to_owned());
    let path = parts.uri.to_string();
    let asked = Asked {
        line: format!("{} {}", parts.method, below_account(&path)),
        token: header(header::AUTHORIZATION),
        content_type: header(header::CONTENT_TYPE).unwrap_or_default(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let earlier = {
        let mut log = log.lock().expect("no panic");
        let earlier = log.iter().filter(|other| other.line == asked.line).count();
        log.push(asked.clone());
        earlier
    };
    let (status, text) = known(&asked, earlier);
    let mut response = Response::new(Body::from(change(text)));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

fn below_account(path: &str) -> &str {
    let below = path.strip_prefix(API).unwrap_or(path);
    below.strip_prefix("/accounts/").and_then(|rest| rest.strip_prefix(ACCOUNT)).unwrap_or(below)
}

fn told(known: workers_known::Known) -> (u16, String) {
    match known {
        Ok(result) => ok(&result),
        Err((status, code, message)) => error(status, code, message),
    }
}

/// `earlier`: how often the same was asked before.
fn known(asked: &Asked, earlier: usize) -> (u16, String) {
    if asked.token.as_deref() == Some("Bearer wrong") {
        return error(401, 10_000, "the token is not valid");
    }
    let line = asked.line.split('?').next().expect("a line");
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    if matches!(segments.first(), Some(&("user" | "accounts"))) {
        return told(workers_known::answer_of_server(method, path, asked.token.as_deref()));
    }
    if let Some(known) = workers_known::answer(method, &segments, &asked.body) {
        return told(known);
    }
    if let Some(known) = d1_known::answer(method, &segments) {
        return known;
    }
    match (method, segments.as_slice()) {
        ("GET", ["workflows"]) => ok(&workflows()),
        ("GET", ["workflows", "orders"]) => ok(&workflows()[0]),
        ("GET", ["workflows", "orders", "versions"]) => ok(
            &json!([{"id": "v-2", "created_on": "2026-11-20T12:00:00.000Z"}, {"id": "v-1", "created_on": "2026-11-01T12:00:00.000Z"}]),
        ),
        ("DELETE", ["workflows", "orders"]) => ok(&json!({"status": "ok", "success": true})),
        ("GET", ["workflows", "strange", ..]) => (200, "<html>welcome</html>".to_owned()),
        ("GET", ["workflows", "idle", "instances"]) => page(&json!([]), &Value::Null),
        ("GET", ["workflows", "orders", "instances"]) => page(&instances::rows(), &json!("next")),
        ("POST", ["workflows", "orders", "instances"]) if asked.body.contains("\"a b\"") => invalid_id(),
        ("POST", ["workflows", "orders", "instances"]) if asked.body.contains("\"taken\"") => {
            error(400, 10_405, "(instance.already_exists) Instance already exists")
        }
        ("POST", ["workflows", "orders", "instances"]) => {
            ok(&json!({"id": "order-9", "status": "queued", "version_id": "v-2"}))
        }
        ("POST", ["workflows", "orders", "instances", "batch", ..]) if asked.body.contains("a b") => invalid_id(),
        ("POST", ["workflows", "orders", "instances", "batch", "delete"]) => ok(&deletions(&asked.body)),
        ("POST", ["workflows", "orders", "instances", "batch"]) => ok(&created(&asked.body)),
        ("PUT", ["workflows", "orders", "instances", "terminate"]) => ok(&json!({"status": "ok"})),
        ("GET", ["workflows", "orders", "instances", id]) => match instances::detail(id, earlier) {
            Some(text) => (200, format!(r#"{{"success":true,"errors":[],"messages":[],"result":{text}}}"#)),
            None => error(404, 10_400, "(instance.not_found) Instance does not exist"),
        },
        ("GET", ["workflows", "orders", "instances", "nobody", "logs"]) => {
            error(404, 10_400, "(instance.not_found) Instance does not exist")
        }
        ("GET", ["workflows", "orders", "instances", _, "logs"]) => ok(&instances::logs(&asked.line)),
        ("PATCH", ["workflows", "orders", "instances", "done", "status"]) => {
            error(400, 10_401, "the instance is in a finite state; only restart is possible")
        }
        ("PATCH", ["workflows", "orders", "instances", _, "status"]) => {
            ok(&json!({"status": status_after(&asked.body)}))
        }
        ("POST", ["workflows", "orders", "instances", _, "events", _]) => ok(&json!({})),
        ("PUT", ["workflows", name]) => ok(&json!({"id": "w", "name": name})),
        _ => error(404, 10_200, &format!("workflow {:?} does not exist", segments.get(1).unwrap_or(&""))),
    }
}

fn ok(result: &Value) -> (u16, String) {
    (200, json!({"success": true, "errors": [], "messages": [], "result": result}).to_string())
}

fn page(result: &Value, cursor: &Value) -> (u16, String) {
    let info = json!({"page": 1, "per_page": 3, "count": 3, "total_count": 1200, "cursor": cursor});
    (200, json!({"success": true, "errors": [], "messages": [], "result": result, "result_info": info}).to_string())
}

fn error(status: u16, code: u32, message: &str) -> (u16, String) {
    let errors = json!([{"code": code, "message": message}]);
    (status, json!({"success": false, "errors": errors, "messages": [], "result": null}).to_string())
}

fn invalid_id() -> (u16, String) {
    error(400, 10_404, "(instance.invalid_id) Instance ID is invalid")
}

fn status_after(body: &str) -> &'static str {
    let body: Value = serde_json::from_str(body).expect("JSON");
    match body["status"].as_str() {
        Some("pause") => "waitingForPause",
        Some("terminate") => "terminated",
        _ => "queued",
    }
}

/// Everything can be deleted but `missing`.
fn deletions(body: &str) -> Value {
    let body: Value = serde_json::from_str(body).expect("JSON");
    let ids = body["instances"].as_array().expect("ids").clone();
    let (errors, deleted): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| id == "missing");
    let deleted: Vec<_> = deleted.into_iter().map(|id| json!({ "id": id })).collect();
    let error = |id| json!({"id": id, "code": 10_400, "message": "workflows.api.error.instance.not_found"});
    json!({"deleted": deleted, "errors": errors.into_iter().map(error).collect::<Vec<_>>()})
}

/// Everything can be created but `taken`.
fn created(body: &str) -> Value {
    let body: Value = serde_json::from_str(body).expect("JSON");
    let wanted = body.as_array().expect("instances");
    let row = |one: &Value| json!({"id": one["instance_id"], "status": "queued", "version_id": "v-2"});
    wanted.iter().filter(|one| one["instance_id"] != "taken").map(row).collect()
}

fn workflows() -> Value {
    json!([
        {
            "id": "w-1", "name": "orders", "class_name": "OrderWorkflow", "script_name": "shop",
            "created_on": "2026-11-01T12:00:00.000Z", "modified_on": "2026-11-20T12:00:00.000Z",
            "triggered_on": "2026-11-21T11:58:00.000Z",
            "instances": {"complete": 1190, "errored": 2, "paused": 1, "queued": 0, "rollingBack": 0, "running": 3,
                "terminated": 0, "waiting": 4, "waitingForPause": 0},
            "concurrency": {"limit": 3},
            "schedules": [{"cron": "*/30 * * * *", "next_instance": "2026-11-21T12:30:00.000Z"},
                {"cron": "0 0 * * MON#2", "next_instance": "2026-12-14T00:00:00.000Z"}],
        },
        {
            "id": "w-2", "name": "idle", "class_name": "Idle", "script_name": "idle",
            "created_on": "2026-11-21T11:59:59.500Z", "modified_on": "2026-11-21T11:59:59.500Z",
            "triggered_on": null, "instances": {"complete": 0, "errored": 0},
        },
    ])
}
