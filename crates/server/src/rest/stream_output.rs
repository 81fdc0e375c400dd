//! The whole of a step's stream, as the bytes that they are.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use stepwell_engine::{InstanceKey, StreamRef};
use stepwell_store::Store;

use crate::hosting::kept_stream;

/// Answers with the stream, read as fast as it is taken. One whose instance goes meanwhile is cut: its length says so.
pub fn stream_output(store: Store, key: InstanceKey, stream: StreamRef) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, stream.bytes.to_string()),
    ];
    (headers, Body::from_stream(kept_stream(store, key, stream.id))).into_response()
}
