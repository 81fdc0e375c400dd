//! Around every request: its id, its line in the log, and the promise that whatever answers it answers in the envelope.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use tracing::Instrument as _;
use uuid::Uuid;

use super::envelope;
use crate::api_error::ApiError;

/// In requests the caller's own id, in answers the id under which the log knows the request.
pub const REQUEST_ID: &str = "x-request-id";
/// Characters of a caller's id; a longer one is replaced.
const REQUEST_ID_CHARS_MAX: usize = 100;
/// Bytes of a library's explanation.
const EXPLANATION_BYTES_MAX: usize = 4 << 10;

/// Names, times and logs a request. What is logged on its way has its id.
pub async fn observe(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::error_span!("request", id = id.to_str().unwrap_or_default());
    let answer = async {
        // A handler that panics has changed nothing that is not whole: commands and commits are others' business.
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        let response = answered.unwrap_or_else(|_| envelope::failure(&ApiError::internal("a handler panicked")));
        let response = in_envelope(response).await;
        let (status, took_ms) = (response.status().as_u16(), begun.elapsed().as_millis());
        if response.status().is_server_error() {
            tracing::warn!(%method, path, status, took_ms, "request");
        } else {
            tracing::debug!(%method, path, status, took_ms, "request");
        }
        response
    };
    let mut response = answer.instrument(span).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID);
    given.filter(|id| id.len() <= REQUEST_ID_CHARS_MAX && id.to_str().is_ok()).cloned().unwrap_or_else(|| {
        let id = Uuid::new_v4().to_string();
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("-"))
    })
}

/// What the HTTP library refuses by itself (a path that is no text, a query of the wrong shape) comes as plain text.
async fn in_envelope(response: Response) -> Response {
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let status = response.status();
    if is_json || status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), EXPLANATION_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let message = if text.is_empty() { status.canonical_reason().unwrap_or("error").to_owned() } else { text };
    envelope::failure(&ApiError::new(status.as_u16(), 10_001, message))
}
