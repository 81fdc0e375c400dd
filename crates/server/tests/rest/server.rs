//! The faces over a store in memory and a driver without workers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use stepwell::accounts::{ACCOUNT_ID, Accounts};
use stepwell::api_error::ApiError;
use stepwell::auth::Auth;
use stepwell::connections;
use stepwell::creation_rate::{CreationRate, CreationRates};
use stepwell::d1::D1;
use stepwell::driver::{Driver, DriverPorts, WorkerPool};
use stepwell::hosting::{self, Hosting};
use stepwell::ingress::{Door, Proxy, WorkerConnection, WorkerGate};
use stepwell::platform::Platform;
use stepwell::registry::{Policy, Registry};
use stepwell::rest::{self, Api, Deploy, ScriptUpload};
use stepwell::secrets::TextChange;
use stepwell::subscription::Subscriptions;
use stepwell::tail::Tails;
use stepwell::tail::requests::Requests;
use stepwell_engine::scheduler::Pool;
use stepwell_engine::{
    Batch, Creation, Engine, Entry, InstanceKey, InstanceWrite, Payload, Recorded, Retention, SessionId, Status,
    Summary,
};
use stepwell_store::{
    DeploymentRow, NewDeployment, NewRelease, NewWorkflow, ScopedName, SecretChange, Store, WorkflowRow,
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

const DAY_MS: i64 = 86_400_000;
/// Keys above all that the driver gives out.
const FINISHED_KEYS: u64 = 1_000_000;

pub struct Server {
    parts: Api,
    api: Router,
    host: Router,
    pub store: Store,
    workflow: WorkflowRow,
    deploy: Arc<Deployments>,
    stop: Option<oneshot::Sender<()>>,
    driver: Option<JoinHandle<()>>,
    d1: TempDir,
}

pub struct Answer {
    pub status: u16,
    pub request_id: String,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> u64 {
        self.body["errors"][0]["code"].as_u64().unwrap_or(0)
    }
}

/// Keeps uploads and makes rows of them, without looking at the code.
struct Deployments {
    store: Store,
    uploads: Mutex<Vec<ScriptUpload>>,
}

impl Deploy for Deployments {
    fn deploy(&self, upload: ScriptUpload) -> BoxFuture<'_, Result<DeploymentRow, ApiError>> {
        Box::pin(async move {
            let row = self.store.put_deployment(deployment(&upload.name.name)).await?;
            self.uploads.lock().expect("uploads").push(upload);
            Ok(row)
        })
    }

    fn upload_version(&self, upload: ScriptUpload) -> BoxFuture<'_, Result<DeploymentRow, ApiError>> {
        Box::pin(async move {
            let new = NewDeployment { content_id: "2".to_owned(), ..deployment(&upload.name.name) };
            self.store.put_version(new).await?.ok_or_else(|| ApiError::no_script(&upload.name))
        })
    }

    fn release(&self, version: DeploymentRow, note: String) -> BoxFuture<'_, Result<(), ApiError>> {
        let DeploymentRow { id, script, .. } = version;
        let release = NewRelease { script, deployment: id, at: 6, note, secrets: Vec::new() };
        Box::pin(async move { Ok(self.store.release(release).await.map(|_| ())?) })
    }

    fn change_secrets(&self, script: ScopedName, changes: Vec<TextChange>) -> BoxFuture<'_, Result<(), ApiError>> {
        let change =
            |(name, text): TextChange| SecretChange { name, value: text.map(|text: String| text.into_bytes()) };
        let changes = changes.into_iter().map(change).collect();
        Box::pin(async move { Ok(self.store.change_secrets(&script, changes).await?) })
    }

    fn version_with_secrets(
        &self,
        script: ScopedName,
        _: Vec<TextChange>,
        _: BTreeMap<String, String>,
    ) -> BoxFuture<'_, Result<DeploymentRow, ApiError>> {
        Box::pin(async move {
            let new = NewDeployment { content_id: "3".to_owned(), ..deployment(&script.name) };
            self.store.put_version(new).await?.ok_or_else(|| ApiError::no_script(&script))
        })
    }
}

fn deployment(script: &str) -> NewDeployment {
    NewDeployment {
        script: ScopedName::in_default(script),
        content_id: "1".to_owned(),
        settings: settings(script),
        modules: Vec::new(),
        created_at: 5,
        secrets: Vec::new(),
    }
}

/// A script with classes for workflows of these names.
fn settings(script: &str) -> String {
    let workflows: Vec<Value> = ["flow", "a", "b", "c"].map(|name| json!({ "name": name, "class_name": "C" })).into();
    let (main_module, compatibility_date) = ("index.js", "2026-01-01");
    json!({ "script": script, "main_module": main_module, "compatibility_date": compatibility_date, "workflows": workflows })
        .to_string()
}

struct NoWorkers;

impl WorkerPool for NoWorkers {
    fn want(&self, _: Pool) {}
    fn fault(&self, _: SessionId, _: &'static str) {}
}

impl WorkerGate for NoWorkers {
    fn connect<'a>(&'a self, script: &'a ScopedName, _: Door) -> BoxFuture<'a, Result<WorkerConnection, ApiError>> {
        Box::pin(async move { Err(ApiError::no_script(script)) })
    }

    fn generation(&self, _: &ScopedName) -> u64 {
        0
    }
}

impl Server {
    /// With script `script` and workflow `flow`.
    pub async fn start() -> Self {
        Self::bounded(CreationRates::default()).await
    }

    /// As [`Server::start`], with bounds of how fast instances may be created.
    pub async fn bounded(rates: CreationRates) -> Self {
        let store = Store::in_memory();
        store.put_deployment(deployment("script")).await.expect("a deployment");
        let new = NewWorkflow {
            name: ScopedName::in_default("flow"),
            script: ScopedName::in_default("script"),
            class_name: "Flow".to_owned(),
            settings: "{}".to_owned(),
            at: 5,
        };
        let workflow = store.put_workflow(new).await.expect("a workflow");
        let ports = DriverPorts::new();
        let (driver, rate, tails) = (ports.handle.clone(), CreationRate::new(rates), Tails::default());
        let platform = Platform { store: store.clone(), driver, rate, tails };
        let (stop, stopped) = oneshot::channel::<()>();
        let registry = Registry::new(store.clone(), ports.handle.clone(), Policy::default());
        let known = registry.all().await.expect("workflows");
        let (runtime, memory) = (tokio::runtime::Handle::current(), store.clone());
        let driver = std::thread::spawn(move || {
            let local = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let engine = Engine::new(InstanceKey(1), 100);
            let stop = async {
                let _ = stopped.await;
            };
            local.block_on(Driver::run(engine, known, memory, NoWorkers, runtime, ports, stop)).expect("no fault");
        });
        let deploy = Arc::new(Deployments { store: store.clone(), uploads: Mutex::default() });
        let d1 = tempfile::tempdir().expect("a directory");
        let proxy = Arc::new(Proxy::new(Arc::new(NoWorkers), Requests::new(Tails::default(), store.clone())));
        let databases = D1::open(d1.path(), store.clone());
        let hosting = Hosting {
            platform: platform.clone(),
            proxy,
            d1: databases.clone(),
            subscriptions: Subscriptions::default(),
        };
        let deploys = Arc::clone(&deploy) as Arc<dyn Deploy>;
        let accounts = Accounts::open(store.clone()).await.expect("accounts");
        let parts = Api::new(platform, Auth::Open, accounts, deploys, registry, databases, 8787);
        let api = rest::router(parts.clone());
        let (stop, driver) = (Some(stop), Some(driver));
        Self { parts, api, host: hosting::router(hosting), store, workflow, deploy, stop, driver, d1 }
    }

    /// The same, with other rules of who is let in.
    pub fn guarded_by(mut self, auth: Auth) -> Self {
        self.parts.auth = auth;
        self.api = rest::router(self.parts.clone());
        self
    }

    /// Serves the API until the test ends.
    pub async fn listen(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(connections::serve(listener, self.api.clone()));
        address
    }

    /// Puts complete instances into the store, created a day apart from 1970-01-02 on.
    pub async fn finished(&self, instances: &[(&str, Vec<Entry>)]) {
        let mut batch = Batch::default();
        for (place, (id, entries)) in (1..).zip(instances) {
            let (key, at) = (InstanceKey(FINISHED_KEYS + place), DAY_MS * place as i64);
            let deployment = self
                .store
                .current_deployment(&ScopedName::in_default("script"))
                .await
                .expect("a read")
                .expect("a deployment")
                .id;
            let summary = Summary {
                status: Status::Complete,
                wake_at: None,
                deployment,
                modified_at: at,
                started_at: Some(at),
                ended_at: Some(at),
            };
            let created = Entry::Created {
                params: Payload::from_json("{}"),
                trigger: "api".to_owned(),
                retention: Retention::default(),
            };
            let created = Recorded { seq: 0, at, entry: created };
            let (workflow, id) = (self.workflow.id, Arc::from(*id));
            batch.creations.push(Creation { key, workflow, id, deployment, created, summary });
            let entries = (1..).zip(entries).map(|(seq, entry)| Recorded { seq, at, entry: entry.clone() }).collect();
            batch.writes.push(InstanceWrite { key, entries, summary: None });
        }
        batch.writes.retain(|write| !write.entries.is_empty());
        self.store.commit(batch).await.expect("a commit");
    }

    /// A request below the account that must succeed; answers its result.
    pub async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call(method, path, body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        assert_eq!(answer.body["success"], true);
        answer.body["result"].clone()
    }

    /// A request below the account; `null` is no body.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &body).await
    }

    /// A request below the account with any body.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.at(method, &format!("/client/v4/accounts/{ACCOUNT_ID}{path}"), body).await
    }

    /// A request anywhere.
    pub async fn at(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header("host", "localhost:8788");
        self.request(request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    /// A request anywhere, with these headers instead of the usual ones; `null` is no body.
    pub async fn with_headers(
        &self,
        method: Method,
        path: impl AsRef<str>,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let request = Request::builder().method(method).uri(path.as_ref());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.request(request.body(Body::from(body)).expect("a request")).await
    }

    /// Uploads a script of parts (name, type, text).
    pub async fn upload(&self, script: &str, parts: &[(&str, &str, &str)]) -> Answer {
        self.send_parts("PUT", &format!("{script}?excludeScript=true"), parts).await
    }

    /// Uploads a version of a script that is not deployed.
    pub async fn upload_version(&self, script: &str) -> Answer {
        let parts = [
            ("metadata", "application/json", r#"{ "main_module": "m.js" }"#),
            ("m.js", "application/javascript+module", "export default {}"),
        ];
        self.send_parts("POST", &format!("{script}/versions"), &parts).await
    }

    async fn send_parts(&self, method: &str, path: &str, parts: &[(&str, &str, &str)]) -> Answer {
        let mut body = String::new();
        for (name, kind, text) in parts {
            body += "--edge\r\n";
            body +=
                &format!("Content-Disposition: form-data; name=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n{text}\r\n");
        }
        body += "--edge--\r\n";
        let request = Request::builder()
            .method(method)
            .uri(format!("/client/v4/accounts/{ACCOUNT_ID}/workers/scripts/{path}"))
            .header("host", "localhost:8788")
            .header("content-type", "multipart/form-data; boundary=edge");
        self.request(request.body(Body::from(body)).expect("a request")).await
    }

    pub fn uploads(&self) -> Vec<ScriptUpload> {
        self.deploy.uploads.lock().expect("uploads").clone()
    }

    /// A request anywhere whose answer may be anything.
    pub async fn bytes(&self, method: &str, path: &str, body: &str) -> (u16, HeaderMap, Bytes) {
        let request = Request::builder().method(method).uri(path).header("host", "localhost:8788");
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let response = self.api.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        (parts.status.as_u16(), parts.headers, to_bytes(body, usize::MAX).await.expect("a body"))
    }

    /// Files of imports and exports that are kept.
    pub fn transfer_files(&self) -> usize {
        std::fs::read_dir(self.d1.path().join("@transfers")).map_or(0, Iterator::count)
    }

    async fn request(&self, request: Request<Body>) -> Answer {
        let response = self.api.clone().oneshot(request).await.expect("an answer");
        let status = response.status().as_u16();
        assert_eq!(response.headers()["content-type"], "application/json");
        let request_id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let body = serde_json::from_slice(&bytes).expect("JSON");
        Answer { status, request_id, body }
    }

    /// A call of a workflow binding; an empty answer is `null`.
    pub async fn binding(&self, method: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method("POST").uri(format!("/workflows/flow/{method}"));
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let response = self.host.clone().oneshot(request).await.expect("an answer");
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        (status, body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(driver) = self.driver.take()
            && driver.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the driver panicked");
        }
    }
}
