//! What stands between wrangler and the server and notes every request with its answer.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value as Json;
use stepwell::accounts::ACCOUNT_ID;
use tokio::task::JoinHandle;

/// More than any body of these tests.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Bodies longer than this are not told.
const TOLD_BYTES_MAX: usize = 400;
/// The server's code for a path that it does not know.
const NO_ROUTE: u64 = 7_003;
/// Headers that each hop sets anew.
const OF_ONE_HOP: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

/// A request and how it was answered.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub method: String,
    /// Below the account, with its query.
    pub path: String,
    /// The body, where it is short JSON.
    pub body: Option<String>,
    pub status: u16,
    pub answer: Json,
}

impl Exchange {
    /// Whether the server is at fault: it does not know the path, or failed.
    pub fn is_fault(&self) -> bool {
        self.status >= 500 || self.answer["errors"][0]["code"] == NO_ROUTE
    }

    /// Whether it brings a script's code, which whatever else a deploy does waits for.
    pub fn is_upload(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        self.method == "PUT" && path.strip_prefix("/workers/scripts/").is_some_and(|rest| !rest.contains('/'))
    }

    /// One line about it.
    pub fn line(&self) -> String {
        let body = self.body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
        let code = &self.answer["errors"][0]["code"];
        let code = if code.is_null() { String::new() } else { format!(" ({code})") };
        format!("{} {}{body} -> {}{code}", self.method, self.path, self.status)
    }
}

/// A proxy in front of an API. It ends when this is dropped.
pub struct Proxy {
    /// `127.0.0.1:port`.
    pub address: String,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    task: JoinHandle<std::io::Result<()>>,
}

#[derive(Clone)]
struct Passage {
    target: String,
    client: Client<HttpConnector, Full<Bytes>>,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Proxy {
    /// Starts one in front of the API at `target` (`host:port`).
    pub async fn start(target: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let exchanges = Arc::<Mutex<Vec<Exchange>>>::default();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let passage = Passage { target: target.to_owned(), client, exchanges: Arc::clone(&exchanges) };
        let router = Router::new().fallback(pass).with_state(passage);
        let task = tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, exchanges, task }
    }

    /// What was asked since the last time.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.exchanges.lock().expect("no holder panics"))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(passage): State<Passage>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.expect("a whole body");
    let path = parts.uri.path_and_query().expect("a path").to_string();
    let told = (body.len() <= TOLD_BYTES_MAX).then(|| serde_json::from_slice::<Json>(&body).ok()).flatten();
    parts.uri = format!("http://{}{path}", passage.target).parse().expect("an address");
    let method = parts.method.to_string();
    OF_ONE_HOP.iter().for_each(|name| drop(parts.headers.remove(*name)));
    let answer = passage.client.request(Request::from_parts(parts, Full::new(body))).await.expect("an answer");
    let (mut parts, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    let exchange = Exchange {
        method,
        path: path.trim_start_matches("/client/v4").replace(&format!("/accounts/{ACCOUNT_ID}"), ""),
        body: told.map(|json| json.to_string()),
        status: parts.status.as_u16(),
        answer: serde_json::from_slice(&body).unwrap_or_default(),
    };
    passage.exchanges.lock().expect("no holder panics").push(exchange);
    OF_ONE_HOP.iter().for_each(|name| drop(parts.headers.remove(*name)));
    Response::from_parts(parts, Body::from(body))
}
