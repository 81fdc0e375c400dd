//! The API as the benchmark uses it: one kept connection with one request at a time, as a program that calls the REST
//! paths would have. What is measured is timed by the callers.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// `dev` has this one account.
const ACCOUNT: &str = "00000000000000000000000057e9e11a";
/// The server's own bound of `wait_ms`.
const WAIT_MS: u64 = 60_000;

/// A connection to the API.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: String,
}

impl Client {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // The connection ends with its sender; what broke it is told to whoever waits for an answer.
        tokio::spawn(connection);
        Ok(Self { sender, address: address.to_owned() })
    }

    /// Creates instances with these params in one request.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn create_batch(&mut self, workflow: &str, count: usize, params: &Value) -> Result<()> {
        let batch = vec![serde_json::json!({ "params": params }); count];
        let path = format!("{workflow}/instances/batch");
        let created = self.call(Method::POST, &path, Some(&batch.into())).await?["result"].take();
        ensure!(created.as_array().map(Vec::len) == Some(count), "a batch was not created as a whole: {created}");
        Ok(())
    }

    /// Creates an instance and answers its id.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn create(&mut self, workflow: &str, params: &Value) -> Result<String> {
        let body = serde_json::json!({ "params": params });
        let created = self.call(Method::POST, &format!("{workflow}/instances"), Some(&body)).await?;
        Ok(created["result"]["id"].as_str().context("a created instance has no id")?.to_owned())
    }

    /// Instances of a workflow with this status, by the server's own count.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn count(&mut self, workflow: &str, status: &str) -> Result<usize> {
        let answer = self.call(Method::GET, workflow, None).await?;
        let count = answer["result"]["instances"][status].as_u64().with_context(|| format!("no count of {status}"))?;
        Ok(usize::try_from(count)?)
    }

    /// Waits until an instance has completed, and answers what it is.
    ///
    /// # Errors
    /// It ends in another way, or not within a minute.
    pub async fn completed(&mut self, workflow: &str, id: &str) -> Result<Value> {
        let path = format!("{workflow}/instances/{id}?simple=true&wait_ms={WAIT_MS}");
        let instance = self.call(Method::GET, &path, None).await?["result"].take();
        ensure!(instance["status"] == "complete", "instance {id} of {workflow} has not completed: {instance}");
        Ok(instance)
    }

    /// Sends an event without payload.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn send_event(&mut self, workflow: &str, id: &str, kind: &str) -> Result<()> {
        let path = format!("{workflow}/instances/{id}/events/{kind}");
        self.call(Method::POST, &path, Some(&Value::Object(serde_json::Map::new()))).await?;
        Ok(())
    }

    /// A page of a workflow's instances as it is answered, `result` and `result_info`.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn list(&mut self, workflow: &str, query: &str) -> Result<Value> {
        self.call(Method::GET, &format!("{workflow}/instances?{query}"), None).await
    }

    /// Deploys a script of a multipart form.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn deploy(&mut self, script: &str, boundary: &str, form: Bytes) -> Result<()> {
        let uri = format!("/client/v4/accounts/{ACCOUNT}/workers/scripts/{script}");
        let request = Request::put(uri)
            .header("host", &self.address)
            .header("content-type", format!("multipart/form-data; boundary={boundary}"))
            .body(Full::new(form))?;
        self.send(request).await?;
        Ok(())
    }

    /// What a Worker answers, where this client is connected to the ingress.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn fetch(&mut self, script: &str) -> Result<String> {
        let request = Request::get("/").header("host", format!("{script}.localhost")).body(Full::default())?;
        Ok(String::from_utf8(self.send(request).await?.to_vec())?)
    }

    async fn call(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("/client/v4/accounts/{ACCOUNT}/workflows/{path}"))
            .header("host", &self.address)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        serde_json::from_slice(&self.send(request).await?).with_context(|| format!("{path} is not answered in JSON"))
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Bytes> {
        let what = format!("{} {}", request.method(), request.uri());
        self.sender.ready().await.with_context(|| what.clone())?;
        let response = self.sender.send_request(request).await.with_context(|| what.clone())?;
        let status = response.status();
        let bytes = response.into_body().collect().await.with_context(|| what.clone())?.to_bytes();
        ensure!(status.is_success(), "{what}: {status}: {}", String::from_utf8_lossy(&bytes));
        Ok(bytes)
    }
}
