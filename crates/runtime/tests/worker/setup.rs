//! A worker process for a test, and requests to its ingress.

use std::path::PathBuf;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use stepwell_runtime::{Binding, Module, ModuleBody, Outbound, SpawnError, WorkerProcess, WorkerSpec, Workerd};

use crate::host::Host;

pub const OLD_DATE: &str = "2024-01-01";

pub fn workerd_path() -> PathBuf {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/node_modules/workerd/bin/workerd");
    let path = std::env::var_os("STEPWELL_WORKERD").map_or_else(|| PathBuf::from(tools), PathBuf::from);
    assert!(path.exists(), "no workerd at {}: run `cargo xtask setup-tools` or set STEPWELL_WORKERD", path.display());
    path
}

pub async fn workerd() -> Workerd {
    Workerd::open(workerd_path()).await.unwrap()
}

pub fn module(name: &str, source: &str) -> Module {
    Module { name: name.to_owned(), body: ModuleBody::EsModule(source.to_owned()) }
}

/// A Worker of one module without bindings.
pub fn spec(source: &str) -> WorkerSpec {
    WorkerSpec {
        exports: Vec::new(),
        script: "shop".to_owned(),
        main_module: "index.js".to_owned(),
        modules: vec![module("index.js", source)],
        compatibility_date: OLD_DATE.to_owned(),
        compatibility_flags: Vec::new(),
        bindings: Vec::new(),
        classes: Vec::new(),
        checks_classes: false,
        outbound: Outbound::Any,
        dev_outbound: Vec::new(),
        host_socket: PathBuf::from("/nonexistent/host.sock"),
    }
}

pub fn bound(source: &str, host: &Host, bindings: Vec<Binding>) -> WorkerSpec {
    WorkerSpec { bindings, host_socket: host.path(), ..spec(source) }
}

pub async fn start(spec: &WorkerSpec) -> WorkerProcess {
    WorkerProcess::spawn(&workerd().await, spec).await.unwrap()
}

pub async fn start_error(spec: &WorkerSpec) -> SpawnError {
    WorkerProcess::spawn(&workerd().await, spec).await.expect_err("the Worker should not start")
}

/// Status and body of `GET path`.
pub async fn get(process: &WorkerProcess, path: &str) -> (u16, String) {
    let stream = process.ingress_socket().connect().await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(path).header("host", "shop.localhost").body(Full::<Bytes>::default()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// Body of `GET /` as JSON.
pub async fn get_json(process: &WorkerProcess) -> serde_json::Value {
    let (_, body) = get(process, "/").await;
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}
