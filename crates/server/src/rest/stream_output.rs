//! The whole of a step's stream, as the bytes that they are, read as fast as they are taken.

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use stepwell_engine::{InstanceKey, StreamRef};
use stepwell_store::Store;

/// Answers with the stream. One that ends early, because its instance went meanwhile, is cut: its length says so.
pub fn stream_output(store: Store, key: InstanceKey, stream: StreamRef) -> Response {
    let pieces = stream::try_unfold(0, move |number| {
        let store = store.clone();
        async move {
            if number >= stream.chunks {
                return Ok(None);
            }
            let piece = store.stream_chunk(key, stream.id, number).await.map_err(std::io::Error::other)?;
            let piece = piece.ok_or_else(|| std::io::Error::other("a piece of the stream is missing"))?;
            Ok::<_, std::io::Error>(Some((Bytes::from(piece), number + 1)))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, stream.bytes.to_string()),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}
