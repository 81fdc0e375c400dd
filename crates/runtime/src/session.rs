//! A session: one WebSocket with one worker process, carrying frames of text both ways. It knows neither runs nor messages;
//! the driver gives it text and takes text. Two tasks pump, with bounded channels between, so that a side that is slow holds
//! the other up instead of filling memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

/// Header with the token that the process was started with.
pub const TOKEN_HEADER: &str = "x-stepwell-token";
/// Where a frame for the shim should be cut; one larger message goes alone.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest frame that is accepted: workerd's own bound of a WebSocket message.
const FRAME_ACCEPTED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Frames that wait in either direction. With frames of `FRAME_BYTES_MAX` this bounds the bytes in flight.
const FRAMES_WAITING_MAX: usize = 8;
/// How long the shim may take to close after `bye`.
const BYE: Duration = Duration::from_secs(1);

const BYE_FRAME: &str = r#"[{"bye":{}}]"#;

type Socket = WebSocketStream<UnixStream>;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The process does not listen, or no longer.
    #[error("cannot connect to the worker's session socket: {0}")]
    Connect(#[from] std::io::Error),
    /// The process listens and refuses: a wrong token, or a Worker that failed to load.
    #[error("the worker refused the session: {0}")]
    Refused(#[from] Box<tungstenite::Error>),
    /// The token cannot stand in a header.
    #[error("the session token is no header value")]
    Token,
}

/// The sending half. Dropping it drops the socket, without a `bye`.
#[derive(Debug)]
pub struct SessionSender {
    frames: mpsc::UnboundedSender<Outgoing>,
    room: Arc<Semaphore>,
    pumps: AbortOnDrop,
}

/// A frame on its way out; one that was waited for gives its room back when it leaves.
#[derive(Debug)]
struct Outgoing {
    text: String,
    _room: Option<OwnedSemaphorePermit>,
}

/// The receiving half. It ends when the session does.
#[derive(Debug)]
pub struct SessionReceiver {
    frames: mpsc::Receiver<Utf8Bytes>,
}

/// The task of both pumps, which owns the socket.
#[derive(Debug)]
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens a session on the socket at `path`.
///
/// # Errors
/// See [`open`].
pub async fn connect(path: &Path, token: &str) -> Result<(SessionSender, SessionReceiver), SessionError> {
    open(UnixStream::connect(path).await?, token).await
}

/// Opens a session on a connected socket, whatever kind of address it has. `hello` is the first frame that comes.
///
/// # Errors
/// [`SessionError::Refused`] where the other side does not accept the WebSocket.
pub async fn open(stream: UnixStream, token: &str) -> Result<(SessionSender, SessionReceiver), SessionError> {
    let mut request = "ws://session/".into_client_request().map_err(Box::new)?;
    let token = HeaderValue::from_str(token).map_err(|_| SessionError::Token)?;
    request.headers_mut().insert(TOKEN_HEADER, token);
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_ACCEPTED_BYTES_MAX))
        .max_frame_size(Some(FRAME_ACCEPTED_BYTES_MAX));
    let (socket, _) =
        tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await.map_err(Box::new)?;
    Ok(pumped(socket))
}

fn pumped(socket: Socket) -> (SessionSender, SessionReceiver) {
    let (sink, stream) = socket.split();
    let (to_shim, outgoing) = mpsc::unbounded_channel();
    let (incoming, from_shim) = mpsc::channel(FRAMES_WAITING_MAX);
    let pumps = tokio::spawn(async move {
        tokio::select! {
            () = pump_out(sink, outgoing) => {}
            () = pump_in(stream, incoming) => {}
        }
    });
    (
        SessionSender {
            frames: to_shim,
            room: Arc::new(Semaphore::new(FRAMES_WAITING_MAX)),
            pumps: AbortOnDrop(pumps),
        },
        SessionReceiver { frames: from_shim },
    )
}

impl SessionSender {
    /// Sends a frame, a JSON array of messages; waits while too many such frames are under way. False when the session is
    /// over. Cancel-safe: a frame is sent whole or not at all.
    pub async fn send(&self, frame: String) -> bool {
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return false };
        self.frames.send(Outgoing { text: frame, _room: Some(room) }).is_ok()
    }

    /// Sends a frame without waiting: for what is bounded elsewhere, by the number of runs. The end of the session is
    /// told by the receiving half.
    pub fn post(&self, frame: String) {
        // A session that is over needs nothing.
        let _ = self.frames.send(Outgoing { text: frame, _room: None });
    }

    /// Asks the shim to end the session; the receiving half ends when it has.
    pub fn say_bye(&self) {
        self.post(BYE_FRAME.to_owned());
    }

    /// Asks the shim to end the session, gives it a second, and drops the socket: what user code was doing there is cut.
    /// The receiving half must be read meanwhile; it ends when this is done.
    pub async fn close(mut self) {
        let asked = async {
            self.say_bye();
            self.frames.closed().await;
        };
        if tokio::time::timeout(BYE, asked).await.is_err() {
            tracing::debug!("a session did not end on `bye`");
        }
        self.pumps.0.abort();
        if let Err(error) = (&mut self.pumps.0).await
            && error.is_panic()
        {
            tracing::error!("the pumps of a session panicked");
        }
    }
}

impl SessionReceiver {
    /// The next frame; `None` when the session is over, however it ended. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Utf8Bytes> {
        self.frames.recv().await
    }
}

async fn pump_out(mut sink: SplitSink<Socket, Message>, mut frames: mpsc::UnboundedReceiver<Outgoing>) {
    let mut batch = Vec::with_capacity(FRAMES_WAITING_MAX);
    while frames.recv_many(&mut batch, FRAMES_WAITING_MAX).await > 0 {
        for frame in batch.drain(..) {
            if let Err(error) = sink.feed(Message::text(frame.text)).await {
                tracing::debug!(%error, "a session ended while sending");
                return;
            }
        }
        if let Err(error) = sink.flush().await {
            tracing::debug!(%error, "a session ended while sending");
            return;
        }
    }
}

async fn pump_in(mut stream: SplitStream<Socket>, frames: mpsc::Sender<Utf8Bytes>) {
    while let Some(message) = stream.next().await {
        match message {
            Ok(Message::Text(frame)) => {
                if frames.send(frame).await.is_err() {
                    return;
                }
            }
            Ok(Message::Close(_)) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "a session ended while receiving");
                return;
            }
        }
    }
}
