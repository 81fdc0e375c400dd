//! Tails as wrangler reads them, down to its first frame.

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::Method;
use serde_json::{Value as Json, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{PATIENCE, Server};

/// What wrangler says first, in a text frame without a mask.
const FIRST_FRAME: &[u8] = b"\x81\x0f{\"debug\":false}";

/// A tail that is being read.
pub struct Tail {
    /// Its id.
    pub id: String,
    /// Its address.
    pub url: String,
    socket: WebSocketStream<TcpStream>,
}

/// What a tail shows, or that it is over.
#[derive(Debug, PartialEq)]
pub enum Shown {
    Event(Json),
    /// With this code.
    Closed(Option<u16>),
}

impl Server {
    /// Makes a tail: the answer.
    pub async fn make_tail(&self, script: &str, filters: Json) -> Json {
        let body = json!({ "filters": filters }).to_string();
        let path = format!("workers/scripts/{script}/tails");
        self.api_with(Method::POST, &path, &[("content-type", "text/plain;charset=UTF-8")], body).await.ok()["result"]
            .take()
    }

    /// Makes a tail and reads it.
    pub async fn tail(&self, script: &str, filters: Json) -> Tail {
        let made = self.make_tail(script, filters).await;
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        let (id, url) = (text("id"), text("url"));
        let socket = self.connect_tail(&url).await.expect("the tail can be read");
        Tail { id, url, socket }
    }

    /// Opens a tail's address as wrangler does.
    pub async fn connect_tail(&self, url: &str) -> Result<WebSocketStream<TcpStream>, Error> {
        let mut request = url.into_client_request().expect("an address");
        request.headers_mut().insert("sec-websocket-protocol", "trace-v1".parse().expect("a header"));
        let stream = TcpStream::connect(&self.api).await.expect("the API listens");
        let (mut socket, answer) = tokio_tungstenite::client_async(request, stream).await?;
        assert_eq!(answer.headers()["sec-websocket-protocol"], "trace-v1");
        socket.get_mut().write_all(FIRST_FRAME).await.expect("the server reads");
        Ok(socket)
    }

    /// Ends a tail: the status of the answer.
    pub async fn end_tail(&self, script: &str, id: &str) -> u16 {
        self.api(Method::DELETE, &format!("workers/scripts/{script}/tails/{id}"), "").await.status
    }
}

impl Tail {
    /// What it shows next.
    pub async fn next(&mut self) -> Shown {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("the tail shows something");
            match message {
                Some(Ok(Message::Text(text))) => return Shown::Event(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => return Shown::Closed(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Shown::Closed(None),
            }
        }
    }

    /// The next event.
    pub async fn event(&mut self) -> Json {
        match self.next().await {
            Shown::Event(event) => event,
            Shown::Closed(code) => panic!("the tail is over: {code:?}"),
        }
    }

    /// The next event of which this holds.
    pub async fn event_where(&mut self, wanted: impl Fn(&Json) -> bool) -> Json {
        loop {
            let event = self.event().await;
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Pings as wrangler does, and waits for the answer. Events meanwhile are passed over.
    pub async fn ping(&mut self) {
        let ping: &[u8] = b"wrangler tail ping";
        self.socket.send(Message::Ping(ping.into())).await.expect("the server reads");
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("an answer");
            if let Some(Ok(Message::Pong(pong))) = &message {
                return assert_eq!(&pong[..], ping);
            }
            assert!(matches!(message, Some(Ok(_))), "{message:?}");
        }
    }
}

/// The console lines of an event: level and message.
pub fn lines_of(event: &Json) -> Vec<(String, Json)> {
    let lines = event["logs"].as_array().expect("lines");
    lines.iter().map(|line| (line["level"].as_str().expect("a level").to_owned(), line["message"].clone())).collect()
}
