//! Requests on their way to a script and back: bodies stream, connections are used again, upgrades pass through.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, Version, header};
use axum::response::Response;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use stepwell_runtime::TRACE_HEADER;
use stepwell_store::ScopedName;
use tokio::net::UnixStream;
use tower::Service;

use super::followed::{self, FollowedBody};
use super::gate::{Door, WorkerConnection, WorkerGate};
use super::headers::{self, Peer};
use crate::api_error::ApiError;
use crate::tail::Outcome;
use crate::tail::requests::{Ending, FollowedRequest, Requests};

/// Connections to one script that are kept for the next request; more are opened when needed.
const IDLE_PER_SCRIPT_MAX: usize = 32;
/// How long they are kept: for so long a process of which nobody wants anything more stays.
const IDLE_MS_MAX: u64 = 5_000;
/// Marks the other door in the pool's addresses. Where a script's text has a dot, there is a number before it.
const FOLLOWED_PREFIX: &str = "followed.";

/// The way to all scripts.
pub struct Proxy {
    client: Client<Connector, Body>,
    gate: Arc<dyn WorkerGate>,
    requests: Requests,
}

impl Proxy {
    /// A way through a gate, on which some requests are followed.
    pub fn new(gate: Arc<dyn WorkerGate>, requests: Requests) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(IDLE_MS_MAX))
            .pool_max_idle_per_host(IDLE_PER_SCRIPT_MAX)
            .build(Connector { gate: Arc::clone(&gate) });
        Self { client, gate, requests }
    }

    /// The requests on their way that are followed.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The way into processes.
    pub fn gate(&self) -> &dyn WorkerGate {
        &*self.gate
    }

    /// Sends a request to a script and returns its answer, or what went wrong as text. Bodies flow while this returns.
    pub async fn forward(&self, script: &ScopedName, mut request: Request, peer: Peer) -> Response {
        let upgrade = headers::upgrade(request.headers());
        let client_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        keep_host(&mut request);
        headers::strip(request.headers_mut(), upgrade);
        headers::introduce(request.headers_mut(), peer);
        let described = self.requests.follows(script).then(|| followed::describe(&request));
        let followed = match described {
            Some(fetch) => self.requests.follow(script, fetch).await,
            None => None,
        };
        let door = if followed.is_some() { Door::Followed } else { Door::Plain };
        let Ok(uri) = self.address(script, door, request.uri()) else {
            return refusal(&ApiError::no_script(script));
        };
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_11;
        if let Some(followed) = &followed {
            let trace = HeaderValue::try_from(format!("{{\"trace\":\"{}\"}}", followed.id()));
            request.headers_mut().insert(TRACE_HEADER, trace.expect("an id makes a header"));
        }
        let (outcome, answer) = tokio::select! {
            biased;
            answer = self.client.request(request) => match answer {
                Ok(response) => return pass_back(response, client_side, followed),
                Err(error) => (Outcome::Unknown, failed(script, &error)),
            },
            error = self.gate.hung(script) => (Outcome::ExceededCpu, refusal(&error)),
        };
        if let Some(mut followed) = followed {
            followed.answer(answer.status().as_u16());
            followed.end(Ending::Failed(outcome));
        }
        answer
    }

    /// The address under which the pool keeps connections: door, script and generation, then the request's own path.
    fn address(&self, script: &ScopedName, door: Door, uri: &Uri) -> Result<Uri, axum::http::Error> {
        let prefix = match door {
            Door::Plain => "",
            Door::Followed => FOLLOWED_PREFIX,
        };
        let authority = format!("{prefix}{script}:{}", self.gate.generation(script) % u64::from(u16::MAX));
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Uri::builder().scheme("http").authority(authority).path_and_query(path).build()
    }
}

/// The script sees the host that was asked for.
fn keep_host(request: &mut Request) {
    if !request.headers().contains_key(header::HOST)
        && let Some(host) = request.uri().authority().and_then(|authority| authority.as_str().parse().ok())
    {
        request.headers_mut().insert(header::HOST, host);
    }
}

fn pass_back(
    mut response: hyper::Response<Incoming>,
    client_side: Option<OnUpgrade>,
    followed: Option<FollowedRequest>,
) -> Response {
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let upgrade = if is_upgrade { headers::upgrade(response.headers()) } else { None };
    headers::strip(response.headers_mut(), upgrade);
    if let Some(followed) = &followed {
        followed.answer(response.status().as_u16());
    }
    if let Some(client_side) = client_side.filter(|_| is_upgrade) {
        let worker_side = hyper::upgrade::on(&mut response);
        // Owned by its two ends: it is over when either is.
        tokio::spawn(async move {
            splice(client_side, worker_side).await;
            if let Some(mut followed) = followed {
                followed.end(Ending::Served);
            }
        });
        return response.map(Body::new);
    }
    match followed {
        Some(followed) => response.map(|body| Body::new(FollowedBody::new(body, followed))),
        None => response.map(Body::new),
    }
}

async fn splice(client_side: OnUpgrade, worker_side: OnUpgrade) {
    let spliced = async {
        let (client, worker) = tokio::try_join!(client_side, worker_side).map_err(io::Error::other)?;
        tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(worker)).await
    };
    if let Err(error) = spliced.await {
        tracing::debug!(%error, "an upgraded connection ended");
    }
}

fn failed(script: &ScopedName, error: &Error) -> Response {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<ApiError>() {
            return refusal(refused);
        }
        source = cause.source();
    }
    tracing::warn!(%script, error = %chain(error), "a request to a Worker failed");
    let message = format!("Worker {:?} broke the connection before it answered ({})\n", script.name, chain(error));
    plain(StatusCode::BAD_GATEWAY, message)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// An answer of the server's own.
pub(super) fn plain(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Says why a script does not answer.
pub(super) fn refusal(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_GATEWAY);
    plain(status, format!("{}\n", error.message))
}

/// Opens connections for the pool.
#[derive(Clone)]
struct Connector {
    gate: Arc<dyn WorkerGate>,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ApiError;
    type Future = BoxFuture<'static, Result<Stream, ApiError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ApiError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            let host = uri.host().unwrap_or_default();
            let (script, door) = match host.strip_prefix(FOLLOWED_PREFIX) {
                Some(script) => (script, Door::Followed),
                None => (host, Door::Plain),
            };
            let WorkerConnection { stream, in_use } = gate.connect(&ScopedName::parse(script), door).await?;
            Ok(Stream { stream: TokioIo::new(stream), _in_use: in_use })
        })
    }
}

/// A connection as the pool wants it.
struct Stream {
    stream: TokioIo<UnixStream>,
    _in_use: Arc<()>,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
