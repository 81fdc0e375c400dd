//! What the code of a followed request says of itself, as the shim tells it: `POST /traces/<id>` with lines, errors and
//! whether it is through. The id is a secret between the server and the shim.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use stepwell_engine::{ErrorRecord, Millis};
use uuid::Uuid;

use crate::ingress::Proxy;
use crate::tail::Line;
use crate::tail::limits::WORD_BYTES_MAX;
use crate::tail::requests::Word;

/// Path of what requests say.
const PREFIX: &str = "/traces/";

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    lines: Vec<GivenLine<'a>>,
    exceptions: Vec<GivenException>,
    done: bool,
}

#[derive(Deserialize)]
struct GivenLine<'a> {
    level: String,
    #[serde(borrow)]
    message: &'a RawValue,
    timestamp: Millis,
}

#[derive(Deserialize)]
struct GivenException {
    name: String,
    message: String,
    stack: Option<String>,
    timestamp: Millis,
}

/// The request that speaks of itself at this path.
pub(super) fn id_of(path: &str) -> Option<Uuid> {
    path.strip_prefix(PREFIX)?.parse().ok()
}

/// Answers the shim.
pub(super) async fn handle(proxy: &Proxy, id: Uuid, request: Request) -> Response {
    let Ok(bytes) = crate::rest::read_body(request.into_body(), WORD_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Ok(body) = serde_json::from_slice::<Body<'_>>(&bytes) else { return StatusCode::BAD_REQUEST.into_response() };
    let mut exceptions = Vec::with_capacity(body.exceptions.len());
    for GivenException { name, message, stack, timestamp } in body.exceptions {
        let mut error = ErrorRecord { name, message, stack, cause: None };
        if let Some(version) = proxy.requests().version(id) {
            proxy.gate().locate(version, &mut error).await;
        }
        exceptions.push((error, timestamp));
    }
    let line = |GivenLine { level, message, timestamp: at }: GivenLine<'_>| Line {
        at,
        level,
        message: message.to_owned(),
        step: None,
    };
    let word = Word { lines: body.lines.into_iter().map(line).collect(), exceptions, is_done: body.done };
    // One that comes too late is shown to nobody.
    if proxy.requests().tell(id, word) { StatusCode::NO_CONTENT } else { StatusCode::GONE }.into_response()
}
