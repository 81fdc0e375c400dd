//! The connection on which events come: opened, kept alive, and its end explained.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

const PROTOCOL: HeaderValue = HeaderValue::from_static("trace-v1");
/// A server that does not answer so long is not there.
const OPEN: Duration = Duration::from_secs(10);
/// Silence after which a sign of life is asked for, and after which there is none.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long whoever leaves waits for the server to hear it.
pub const CLOSE_MS: u64 = 2_000;

/// Why nothing comes any more.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It is over: somebody ended the tail, or its time is up.
    Over,
    /// The connection is gone.
    Broken(String),
}

/// A tail that is being read.
pub struct Stream {
    socket: WebSocketStream<TcpStream>,
    heard_at: Instant,
    asked: bool,
}

impl Stream {
    /// Opens the address of a tail; says what is wrong where it cannot.
    pub async fn open(url: &str) -> Result<Self, String> {
        let connecting = async {
            let mut request = url.into_client_request().map_err(|error| error.to_string())?;
            request.headers_mut().insert("sec-websocket-protocol", PROTOCOL);
            let uri = request.uri();
            if uri.scheme_str() != Some("ws") {
                return Err(format!("{url} is no address that this command speaks to: it wants ws://"));
            }
            let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
            let (socket, _) =
                tokio_tungstenite::client_async(request, stream).await.map_err(|error| error.to_string())?;
            Ok(Self { socket, heard_at: Instant::now(), asked: false })
        };
        let silent = |_| format!("no answer within {} s", OPEN.as_secs());
        tokio::time::timeout(OPEN, connecting).await.map_err(silent)?
    }

    /// The next event.
    pub async fn next(&mut self) -> Result<Utf8Bytes, End> {
        loop {
            tokio::select! {
                message = self.socket.next() => {
                    (self.heard_at, self.asked) = (Instant::now(), false);
                    match message {
                        Some(Ok(Message::Text(text))) => return Ok(text),
                        Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Normal => return Err(End::Over),
                        Some(Ok(Message::Close(frame))) => {
                            let code = frame.map_or("without a code".to_owned(), |frame| frame.to_string());
                            return Err(End::Broken(format!("the server closed it {code}")));
                        }
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Err(End::Broken(error.to_string())),
                        None => return Err(End::Broken("the server is gone".to_owned())),
                    }
                }
                () = tokio::time::sleep_until(self.heard_at + PING_EVERY) => {
                    if std::mem::replace(&mut self.asked, true) {
                        return Err(End::Broken("the server says nothing".to_owned()));
                    }
                    self.heard_at = Instant::now();
                    if let Err(error) = self.socket.send(Message::Ping(Bytes::new())).await {
                        return Err(End::Broken(error.to_string()));
                    }
                }
            }
        }
    }
}
