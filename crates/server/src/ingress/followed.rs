//! Requests that somebody follows, on their way through: what is told of the request, and the answer's body, watched to its
//! end.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::headers::CONNECTING_IP;
use crate::tail::limits::TEXT_BYTES_MAX;
use crate::tail::requests::{Ending, FollowedRequest};
use crate::tail::{Fetch, Outcome};

/// What a tail shows of a request, whose headers are those that its Worker will see.
pub(super) fn describe(request: &Request) -> Fetch {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str()).unwrap_or_default();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    Fetch {
        method: request.method().to_string(),
        url: cut(format!("http://{host}{path}")),
        headers: list(request.headers()),
        client_ip: text(CONNECTING_IP.as_str()).and_then(|ip| ip.parse().ok()).map(|ip: IpAddr| ip.to_canonical()),
        status: None,
    }
}

fn list(headers: &HeaderMap) -> Vec<(String, String)> {
    let values =
        |name| headers.get_all(name).iter().map(|value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()));
    headers.keys().map(|name| (name.to_string(), cut(values(name).collect::<Vec<_>>().join(", ")))).collect()
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

/// The body of a followed request's answer.
pub(super) struct FollowedBody {
    body: Incoming,
    request: FollowedRequest,
    /// How it ends where it ends well.
    ending: Ending,
}

impl FollowedBody {
    pub fn new(body: Incoming, request: FollowedRequest) -> Self {
        let ending = if body.size_hint().exact().is_some() { Ending::Served } else { Ending::Streamed };
        Self { body, request, ending }
    }

    fn end(&mut self) {
        self.request.end(self.ending);
    }
}

impl Body for FollowedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.end(),
            Some(Err(_)) => self.request.end(Ending::Failed(Outcome::Unknown)),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for FollowedBody {
    fn drop(&mut self) {
        // Nobody asks a body for more that has said that it has no more.
        if self.body.is_end_stream() {
            self.end();
        }
    }
}
