//! What nobody has read of a request's body when its answer is there. A client that still sends while its connection is
//! closed loses the answer, so the rest is read and thrown away first.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::limits::{UNREAD_BYTES_MAX, UNREAD_TIME_MAX};

/// Answers when the request is over.
pub async fn drain(request: Request, next: Next) -> Response {
    if hyper::body::Body::is_end_stream(request.body()) {
        return next.run(request).await;
    }
    let (back, mut unread) = oneshot::channel();
    // Who expects leave to send gets the answer instead of it, and sends nothing.
    let is_sent = !request.headers().contains_key(header::EXPECT);
    let lend = |body| Body::new(Lent { body, is_sent, back: Some(back) });
    let response = next.run(request.map(lend)).await;
    if let Ok(body) = unread.try_recv()
        && timeout(UNREAD_TIME_MAX, discard(body)).await.is_err()
    {
        tracing::debug!("a client did not come to the end of its request");
    }
    response
}

async fn discard(mut body: Body) {
    let mut left = UNREAD_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => break,
        }
    }
}

/// A body that comes back when its reader has done with it.
struct Lent {
    body: Body,
    /// Whether the client sends it, or has been given leave to.
    is_sent: bool,
    back: Option<oneshot::Sender<Body>>,
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_sent = true;
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(back) = self.back.take().filter(|_| self.is_sent) {
            // Nobody waits where the connection is gone.
            let _ = back.send(mem::take(&mut self.body));
        }
    }
}
