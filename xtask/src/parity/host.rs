//! A server that runs the suite's Workers, as the suite sees it: an address at which each Worker answers under its own host
//! name. How servers are started is in [`super::miniflare`] and [`super::stepwell`].

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value as Json;

/// Longest time that one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// A server that listens.
pub struct Host {
    name: &'static str,
    address: RwLock<String>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Host {
    /// The server of this name at `host:port`.
    pub fn new(name: &'static str, address: String) -> Self {
        // Without a pool: a connection of a server that was killed must not be used again.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { name, address: RwLock::new(address), client }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// It was started again, elsewhere.
    pub fn moved_to(&self, address: String) {
        *self.address.write().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// Asks a Worker's driver: `{"value"}` or `{"error"}`.
    ///
    /// # Errors
    /// The server does not answer, or not as a driver does.
    pub async fn ask(&self, worker: &str, request: &Json) -> Result<Json> {
        self.send(worker, Method::POST, "/", request.to_string()).await
    }

    /// What an instance has noted.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn journal(&self, worker: &str, id: &str) -> Result<Vec<String>> {
        let entries = self.look(worker, &format!("/journal?id={id}")).await?;
        serde_json::from_value(entries).context("a journal is a list of texts")
    }

    /// What a Worker's driver shows under a path.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn look(&self, worker: &str, path: &str) -> Result<Json> {
        self.send(worker, Method::GET, path, String::new()).await
    }

    async fn send(&self, worker: &str, method: Method, path: &str, body: String) -> Result<Json> {
        let address = self.address.read().unwrap_or_else(PoisonError::into_inner).clone();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header("host", format!("{worker}.localhost"))
            .body(Full::new(body.into()))?;
        let answer = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            let text = String::from_utf8_lossy(&body).into_owned();
            ensure!(status.is_success(), "{status}: {text}");
            serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
        };
        let what = || format!("{} asking the Worker {worker:?} at {address}", self.name);
        tokio::time::timeout(ANSWER_MAX, answer).await.with_context(what)?.with_context(what)
    }
}
