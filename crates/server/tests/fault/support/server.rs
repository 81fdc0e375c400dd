//! The binary under test, started on a project of its own and ended by process id.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::{Journal, LOOK_EVERY, PATIENCE, until};

/// A Worker on disk and the directory of its server's state. Its workflow is `w`, its class `W`.
pub struct Project {
    directory: TempDir,
}

impl Project {
    /// A Worker whose module is `source`, behind a `journal(instance, step)` that it may call.
    pub fn new(source: &str, journal: &Journal) -> Self {
        Self::with_settings(source, journal, json!({}))
    }

    /// With more members in its configuration.
    pub fn with_settings(source: &str, journal: &Journal, more: Json) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut config = json!({
            "name": "fault",
            "main": "index.js",
            "compatibility_date": "2026-01-01",
            "workflows": [{ "binding": "W", "name": "w", "class_name": "W" }],
        });
        let members = config.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        let module = format!("{}\n{source}", PRELUDE.replace("JOURNAL", &journal.url()));
        std::fs::create_dir(directory.path().join("worker")).expect("make a directory");
        std::fs::write(directory.path().join("worker/index.js"), module).expect("write the Worker");
        std::fs::write(directory.path().join("worker/wrangler.json"), config.to_string()).expect("write its settings");
        Self { directory }
    }

    /// Where its Worker is.
    pub fn worker(&self) -> PathBuf {
        self.directory.path().join("worker")
    }

    /// Where its server keeps everything.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }
}

/// The one account of a server.
const ACCOUNT: &str = "00000000000000000000000057e9e11a";

const PRELUDE: &str = r"
import { WorkflowEntrypoint } from 'cloudflare:workers';
const journal = async (instance, step) => {
	const query = new URLSearchParams({ instance, step, at: Date.now() });
	const answer = await fetch(`JOURNAL?${query}`, { method: 'POST' });
	await answer.text();
};
";

/// How a server is started.
pub struct Launch {
    state: PathBuf,
    worker: PathBuf,
    environment: BTreeMap<&'static str, PathBuf>,
}

impl Launch {
    /// On a project and its state.
    pub fn of(project: &Project) -> Self {
        Self { state: project.state(), worker: project.worker(), environment: BTreeMap::new() }
    }

    /// With its state elsewhere.
    pub fn with_state(mut self, state: &Path) -> Self {
        self.state = state.to_owned();
        self
    }

    /// With an environment variable.
    pub fn with(mut self, name: &'static str, path: &Path) -> Self {
        self.environment.insert(name, path.to_owned());
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// Where it ends instead.
    pub async fn start(self) -> Server {
        let mut server = self.spawn();
        let api = until("the server is ready", async || {
            if let Some(status) = server.child.try_wait().expect("ask for the server") {
                panic!("the server ended with {status} instead of starting:\n{}", server.output());
            }
            let output = server.output();
            let api = output.lines().find_map(|line| line.strip_prefix("API ")).map(|rest| rest.trim().to_owned());
            api.filter(|_| output.lines().any(|line| line == "ready"))
        });
        server.api = api.await;
        server
    }

    /// Starts it and waits for nothing.
    pub fn spawn(self) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stepwell"))
            .args(["dev", "--port", "0", "--api-port", "0", "--persist-to"])
            .args([&self.state, &self.worker])
            .envs(&self.environment)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start the server");
        let output = Arc::<Mutex<String>>::default();
        gather(child.stdout.take().expect("its output"), Arc::clone(&output));
        gather(child.stderr.take().expect("its log"), Arc::clone(&output));
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(PATIENCE));
        // Without a pool: a connection of a server that was killed must not be used again.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Server { child, api: String::new(), client, output }
    }
}

fn gather(stream: impl std::io::Read + Send + 'static, output: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.push_str(&line);
            output.push('\n');
        }
    });
}

/// A live server. Dropping it kills it.
pub struct Server {
    child: Child,
    api: String,
    client: Client<HttpConnector, Body>,
    output: Arc<Mutex<String>>,
}

impl Server {
    /// On a project and its state, ready.
    pub async fn start(project: &Project) -> Self {
        Launch::of(project).start().await
    }

    /// What it has printed and logged.
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("kill the server");
        self.child.wait().expect("the server's end");
    }

    /// SIGKILL, while others hold it.
    pub fn kill_in_place(&self) {
        kill(self.child.id());
    }

    /// Returns when it is gone.
    pub fn wait_killed(&mut self) {
        self.child.wait().expect("the server's end");
    }

    /// SIGTERM; the way it ended.
    pub async fn stop(mut self) -> ExitStatus {
        kill_process(pid(self.child.id()), Signal::TERM).expect("signal the server");
        ended(&mut self).await
    }

    /// Process ids of its worker processes.
    pub fn workers(&self) -> Vec<u32> {
        let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter(|id| parent_and_name(*id).is_some_and(|it| it == (self.child.id(), "workerd".to_owned()))).collect()
    }

    /// Returns when it has a worker process.
    pub async fn worker(&self) -> u32 {
        until("a worker process", async || self.workers().first().copied()).await
    }

    /// One request: status and answer. `None` where there is no whole answer.
    pub async fn try_request(&self, method: Method, path: &str, body: Option<Json>) -> Option<(u16, Json)> {
        self.try_api(method, &format!("workflows/w/{path}"), body).await
    }

    /// As [`Server::try_request`], of the whole account.
    pub async fn try_api(&self, method: Method, path: &str, body: Option<Json>) -> Option<(u16, Json)> {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder().method(method).uri(format!("{}/accounts/{ACCOUNT}/{path}", self.api));
        let response = self.client.request(request.body(body).expect("a request")).await.ok()?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, serde_json::from_slice(&bytes).ok()?))
    }

    /// Puts a text at an address; the status.
    pub async fn put(&self, url: &str, text: String) -> u16 {
        let request = Request::builder().method(Method::PUT).uri(url).body(Body::from(text)).expect("a request");
        self.client.request(request).await.expect("an answer").status().as_u16()
    }

    async fn request(&self, method: Method, path: &str, body: Option<Json>) -> Json {
        let answer = self.try_request(method.clone(), path, body).await;
        let (status, mut answer) = answer.unwrap_or_else(|| panic!("no answer to {method} {path}:\n{}", self.output()));
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer["result"].take()
    }

    /// Creates an instance; durable when it returns.
    pub async fn create(&self, id: &str, params: Json) {
        self.request(Method::POST, "instances", Some(json!({ "instance_id": id, "params": params }))).await;
    }

    /// Creates instances `{prefix}{n}`.
    pub async fn create_many(&self, prefix: &str, count: usize, params: &Json) {
        let ids: Vec<_> = (0..count).collect();
        for ids in ids.chunks(100) {
            let batch = ids.iter().map(|n| json!({ "instance_id": format!("{prefix}{n}"), "params": params }));
            self.request(Method::POST, "instances/batch", Some(batch.collect())).await;
        }
    }

    /// Sends an event; durable when it returns.
    pub async fn send_event(&self, id: &str, event_type: &str, payload: Json) {
        self.request(Method::POST, &format!("instances/{id}/events/{event_type}"), Some(payload)).await;
    }

    /// Asks for another status: `pause`, `resume`, `terminate`.
    pub async fn change(&self, id: &str, status: &str) -> Json {
        self.request(Method::PATCH, &format!("instances/{id}/status"), Some(json!({ "status": status }))).await
    }

    /// Terminates an instance once its steps are rolled back.
    pub async fn roll_back(&self, id: &str) {
        let body = json!({ "status": "terminate", "rollback": true });
        self.request(Method::PATCH, &format!("instances/{id}/status"), Some(body)).await;
    }

    /// All that is known of an instance.
    pub async fn detail(&self, id: &str) -> Json {
        self.request(Method::GET, &format!("instances/{id}"), None).await
    }

    /// The result of a page of the list of instances.
    pub async fn list(&self, query: &str) -> Json {
        self.request(Method::GET, &format!("instances?{query}"), None).await
    }

    /// Calls the Worker's `fetch`; the status, once there is one.
    pub async fn visit(&self) -> Option<u16> {
        let output = self.output();
        let port = output.lines().find_map(|line| line.split_once(".localhost:")).expect("the ingress").1.to_owned();
        let uri = format!("http://127.0.0.1:{port}/").parse().expect("a URL");
        Some(self.client.get(uri).await.ok()?.status().as_u16())
    }

    /// Calls the Worker's `fetch` at this path, which answers JSON.
    pub async fn ask(&self, path: &str) -> Json {
        let output = self.output();
        let port = output.lines().find_map(|line| line.split_once(".localhost:")).expect("the ingress").1.to_owned();
        let port = port.trim_end_matches('/');
        let uri = format!("http://127.0.0.1:{port}/{path}").parse().expect("a URL");
        let response = self.client.get(uri).await.expect("an answer");
        let bytes = response.into_body().collect().await.expect("a whole answer").to_bytes();
        serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
    }

    /// Deletes instances; durable when it returns.
    pub async fn delete(&self, ids: &[String]) {
        self.request(Method::POST, "instances/batch/delete", Some(json!({ "instances": ids }))).await;
    }

    /// How many instances have that status.
    pub async fn count(&self, status: &str) -> u64 {
        let answer = self.try_request(Method::GET, &format!("instances?per_page=1&status={status}"), None).await;
        let (_, answer) = answer.expect("an answer");
        answer["result_info"]["total_count"].as_u64().unwrap_or_else(|| panic!("no count in {answer}"))
    }

    /// Returns when an instance has that status.
    pub async fn until_status(&self, id: &str, status: &str) -> Json {
        let mut last = Json::Null;
        let looked = tokio::time::timeout(PATIENCE, async {
            while last["status"] != status {
                last = self.detail(id).await;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        if looked.await.is_err() {
            panic!("{id} is not {status} within {PATIENCE:?} but {last:#}");
        }
        last
    }

    /// An instance, once it has ended.
    pub async fn until_final(&self, id: &str) -> Json {
        loop {
            let detail = self.request(Method::GET, &format!("instances/{id}?wait_ms=1000"), None).await;
            if !detail["end"].is_null() {
                return detail;
            }
        }
    }

    /// The output of an instance, once it is complete.
    pub async fn output_of(&self, id: &str) -> Json {
        let detail = self.until_status(id, "complete").await;
        serde_json::from_str(detail["output"].as_str().expect("an output")).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed by its test.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server said:\n{}", self.output());
        }
    }
}

/// Waits for the end of a server that ends by itself.
pub async fn ended(server: &mut Server) -> ExitStatus {
    until("the server ends", async || server.child.try_wait().expect("ask for the server")).await
}

/// SIGKILL to a process that may be gone already.
pub fn kill(id: u32) {
    let _ = kill_process(pid(id), Signal::KILL);
}

/// Whether there is such a process that is no zombie.
pub fn is_alive(id: u32) -> bool {
    test_kill_process(pid(id)).is_ok() && state(id).is_some_and(|state| state != "Z")
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed()).expect("a process id")
}

fn parent_and_name(id: u32) -> Option<(u32, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    Some((tail.split_whitespace().nth(1)?.parse().ok()?, name.to_owned()))
}

fn state(id: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().next().map(str::to_owned)
}
