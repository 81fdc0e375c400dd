//! What Workers call: their workflow bindings, their service bindings, their D1 databases, and the shim's ways for streams
//! and for what followed requests say of themselves, all through one Unix socket. Only worker processes can reach it, and
//! each request names its target in a header that user code cannot set.
//!
//! Bindings of workflows speak as the adapter Worker does (`workflows-adapter.js`): one POST for each method, errors as
//! `{"error": {"name", "message"}}` with production's texts.

mod call;
mod streams;
mod traces;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use stepwell_store::ScopedName;

use crate::api_error::ApiError;
use crate::d1::{D1, DATABASE_HEADER, database_text};
use crate::ingress::{Peer, Proxy};
use crate::platform::Platform;
use crate::subscription::Subscriptions;
pub use call::deletions;
pub use streams::{SHIM_HEADER, kept_stream};

/// Header in which the generated configuration names the script that a service binding leads to.
pub const SERVICE_HEADER: &str = "x-stepwell-service";
/// Body of a call: a batch of a hundred instances with large params. Cloudflare takes 1 MiB in all.
const CALL_BYTES_MAX: usize = 32 << 20;

/// What this face works with. Cheap to clone.
#[derive(Clone)]
pub struct Hosting {
    /// Commands and reads.
    pub platform: Platform,
    /// The way to other scripts.
    pub proxy: Arc<Proxy>,
    /// Databases.
    pub d1: D1,
    /// How far subscribers have read.
    pub subscriptions: Subscriptions,
}

/// All routes, for the host socket.
pub fn router(hosting: Hosting) -> Router {
    Router::new().fallback(route).with_state(hosting)
}

/// The target header decides before the path does: requests with one are user code's own, whatever their path.
async fn route(State(hosting): State<Hosting>, request: Request) -> Response {
    if let Some(database) = target(&request, DATABASE_HEADER).as_deref().and_then(database_text::read) {
        return hosting.d1.handle(&database, request).await;
    }
    if let Some(script) = target(&request, SERVICE_HEADER) {
        return hosting.proxy.forward(&ScopedName::parse(&script), request, Peer::Worker).await;
    }
    if target(&request, SHIM_HEADER).is_some() {
        return match traces::id_of(request.uri().path()) {
            Some(trace) => traces::handle(&hosting.proxy, trace, request).await,
            None => streams::handle(&hosting.platform, request).await,
        };
    }
    let path = request.uri().path().to_owned();
    let outcome = match wire::read_path(&path) {
        Some((workflow, method)) => answer(&hosting, &workflow, method, request.into_body()).await,
        None => Err(ApiError::new(404, 7_003, format!("no route for {path}"))),
    };
    match outcome {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, "application/json")], wire::write_error(&error)).into_response()
        }
    }
}

fn target(request: &Request, header: &str) -> Option<String> {
    request.headers().get(header)?.to_str().ok().map(str::to_owned)
}

async fn answer(hosting: &Hosting, workflow: &ScopedName, method: &str, request: Body) -> Result<String, ApiError> {
    let bytes = crate::rest::read_body(request, CALL_BYTES_MAX).await?;
    let call = wire::Call::parse(method, &bytes)?;
    let workflow = hosting.platform.workflow(workflow).await?;
    call::perform(hosting, &workflow, call).await
}
