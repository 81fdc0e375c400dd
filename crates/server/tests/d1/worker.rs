//! A real workerd that serves the fixture Worker, with its D1 binding answered by this process.

use std::path::PathBuf;
use std::process::Stdio;

use axum::body::Body;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value as Json;
use stepwell::d1::{D1, DATABASE_HEADER};
use stepwell_store::Store;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

const WORKER: &str = include_str!("../fixtures/d1-worker.mjs");

/// The Worker and all it stands on; all of it ends when this is dropped.
pub struct Worker {
    port: u64,
    server: JoinHandle<()>,
    _process: Child,
    _directory: tempfile::TempDir,
}

impl Worker {
    /// Starts a Worker with an empty database.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let d1_port = listener.local_addr().expect("an address").port();
        let router = D1::open(directory.path().join("d1"), Store::in_memory()).router();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serve D1") });
        std::fs::write(directory.path().join("worker.mjs"), WORKER).expect("write the Worker");
        std::fs::write(directory.path().join("config.capnp"), config(d1_port)).expect("write the configuration");
        let mut process = Command::new(workerd())
            .args(["serve", "config.capnp", "--control-fd=1"])
            .current_dir(directory.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("start workerd");
        let port = listening_port(&mut process).await;
        Self { port, server, _process: process, _directory: directory }
    }

    /// Runs one case of the fixture and answers its JSON.
    pub async fn case(&self, name: &str) -> Json {
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let url = format!("http://127.0.0.1:{}/{name}", self.port);
        let response = client.get(url.parse().expect("a URL")).await.expect("an answer");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn workerd() -> PathBuf {
    std::env::var_os("STEPWELL_WORKERD")
        .map(PathBuf::from)
        .expect("STEPWELL_WORKERD must name the workerd binary; `cargo xtask test` installs it and sets the variable")
}

async fn listening_port(process: &mut Child) -> u64 {
    let stdout = process.stdout.take().expect("workerd's standard output");
    let line = BufReader::new(stdout).lines().next_line().await.expect("read workerd's output");
    let event: Json = serde_json::from_str(&line.expect("workerd ended before it listened")).expect("a control event");
    event["port"].as_u64().unwrap_or_else(|| panic!("no port in {event}"))
}

fn config(d1_port: u16) -> String {
    format!(
        r#"
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker.mjs", esModule = embed "worker.mjs")],
      compatibilityDate = "2026-01-01",
      bindings = [
        (name = "DB", wrapped = (moduleName = "cloudflare-internal:d1-api",
                                 innerBindings = [(name = "fetcher", service = "d1")])),
      ],
    )),
    (name = "d1", external = (
      address = "127.0.0.1:{d1_port}",
      http = (injectRequestHeaders = [(name = "{DATABASE_HEADER}", value = "0/db")]),
    )),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
"#
    )
}
