//! Around every request: its id, its line in the log, and the promise that whatever answers it answers in the envelope.

use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use super::envelope;
use crate::api_error::ApiError;

/// In requests the caller's own id, in answers the id under which the log knows the request.
pub const REQUEST_ID: &str = "x-request-id";
/// Characters of a caller's id; a longer one is replaced.
const REQUEST_ID_CHARS_MAX: usize = 100;
/// Bytes of a library's explanation.
const EXPLANATION_BYTES_MAX: usize = 4 << 10;

/// Names, times and logs a request.
pub async fn observe(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = in_envelope(next.run(request).await).await;
    let status = response.status().as_u16();
    let took_ms = begun.elapsed().as_millis();
    tracing::debug!(%method, path, status, took_ms, request_id = id.to_str().unwrap_or_default(), "request");
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
