//! Streams of step results on their way from and to a worker: one request for each piece
//! that is written, answered when it is durable. So neither a worker nor the server holds more of a stream than a piece.
//!
//! `POST /streams/<run>/<call>/<attempt>` begins a stream with its first piece and answers its number;
//! `POST …/<stream>/<piece>` adds one. `GET /streams/<run>/<stream>` reads the whole, as fast as it is taken.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use stepwell_engine::{CallId, InstanceKey, RunId, StreamId, StreamPlace};
use stepwell_store::{ChangeError, STREAMS_BYTES_MAX, Store, StreamChunk};

use crate::api_error::ApiError;
use crate::driver::{Claim, Writer};
use crate::platform::Platform;

/// Header in which the generated configuration says that a request is the shim's own.
pub const SHIM_HEADER: &str = "x-stepwell-shim";
/// Header in which the shim shows the token of its process.
const TOKEN_HEADER: &str = "x-stepwell-token";
/// Bytes of a piece.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// How long the word that an attempt has begun may be behind its stream.
const BEGINNING: Duration = Duration::from_secs(5);
const BEGINNING_POLL: Duration = Duration::from_millis(2);

/// Answers the shim.
pub(super) async fn handle(platform: &Platform, request: Request) -> Response {
    let Some(call) = Call::of(&request) else { return StatusCode::NOT_FOUND.into_response() };
    let answer = match call {
        Call::Begin(writer) => begin(platform, writer, request.into_body()).await,
        Call::Append(writer, stream, number) => append(platform, writer, stream, number, request.into_body()).await,
        Call::Read(claim, stream) => read(platform, claim, stream).await,
    };
    answer.unwrap_or_else(|refusal| {
        let (status, message) = refusal.told();
        (status, message).into_response()
    })
}

/// What a request wants.
enum Call {
    Begin(Writer),
    Append(Writer, StreamId, u32),
    Read(Claim, StreamId),
}

impl Call {
    fn of(request: &Request) -> Option<Self> {
        let token = request.headers().get(TOKEN_HEADER)?.to_str().ok()?.to_owned();
        let path = request.uri().path().strip_prefix("/streams/")?;
        let numbers: Vec<u64> = path.split('/').map(str::parse).collect::<Result<_, _>>().ok()?;
        let small = |number: u64| u32::try_from(number).ok();
        let claim = Claim { run: RunId(*numbers.first()?), token };
        Some(match (request.method(), &numbers[1..]) {
            (&Method::GET, [stream]) => Self::Read(claim, StreamId(*stream)),
            (&Method::POST, [call, attempt, place @ ..]) => {
                let writer = Writer { claim, call: CallId(small(*call)?), attempt: small(*attempt)? };
                match place {
                    [] => Self::Begin(writer),
                    [stream, number] => Self::Append(writer, StreamId(*stream), small(*number)?),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }
}

/// Why a piece is not taken or a stream not given.
#[derive(Debug)]
enum Refusal {
    /// The attempt is over, or the run is not the worker's.
    Over,
    Failed(ApiError),
}

impl Refusal {
    fn told(&self) -> (StatusCode, String) {
        match self {
            Self::Over => (StatusCode::CONFLICT, "the attempt is over".to_owned()),
            Self::Failed(error) => {
                let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (status, error.message.clone())
            }
        }
    }
}

impl<E: Into<ApiError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn begin(platform: &Platform, writer: Writer, body: Body) -> Result<Response, Refusal> {
    let bytes = crate::rest::read_body(body, PIECE_BYTES_MAX).await?;
    let key = place(platform, &writer).await?;
    let stream = platform.store.begin_stream(key).await.map_err(written)?;
    if !platform.driver.stream_opened(writer, stream).await {
        return Err(Refusal::Over);
    }
    if !bytes.is_empty() {
        write(platform, stream, 0, bytes.into()).await?;
    }
    Ok(format!("{{\"stream\":{stream}}}").into_response())
}

/// The instance of an attempt that may write.
async fn place(platform: &Platform, writer: &Writer) -> Result<InstanceKey, Refusal> {
    let until_known = async {
        loop {
            match platform.driver.stream_place(writer.clone()).await {
                StreamPlace::Open(key) => return Ok(key),
                StreamPlace::Over => return Err(Refusal::Over),
                StreamPlace::NotYet => tokio::time::sleep(BEGINNING_POLL).await,
            }
        }
    };
    tokio::time::timeout(BEGINNING, until_known).await.unwrap_or(Err(Refusal::Over))
}

async fn append(
    platform: &Platform,
    writer: Writer,
    stream: StreamId,
    number: u32,
    body: Body,
) -> Result<Response, Refusal> {
    let bytes = crate::rest::read_body(body, PIECE_BYTES_MAX).await?;
    if !platform.driver.is_writing(writer, stream).await {
        return Err(Refusal::Over);
    }
    write(platform, stream, number, bytes.into()).await?;
    Ok(().into_response())
}

async fn write(platform: &Platform, stream: StreamId, number: u32, bytes: Vec<u8>) -> Result<(), Refusal> {
    let chunk = StreamChunk { stream, number, bytes, bytes_max: STREAMS_BYTES_MAX };
    platform.store.append_stream(chunk).await.map_err(written)
}

fn written(error: ChangeError) -> Refusal {
    match error {
        ChangeError::StreamOver(_) | ChangeError::InstanceGone(_) => Refusal::Over,
        ChangeError::StreamsTooLarge { .. } => Refusal::Failed(ApiError::new(507, 20_413, error.to_string())),
        other => other.into(),
    }
}

async fn read(platform: &Platform, claim: Claim, stream: StreamId) -> Result<Response, Refusal> {
    let key = platform.driver.instance_of(claim).await.ok_or(Refusal::Over)?;
    Ok(Body::from_stream(kept_stream(platform.store.clone(), key, stream)).into_response())
}

/// The pieces of a kept stream, read as they are taken. It ends before the first that is not there.
pub fn kept_stream(
    store: Store,
    key: InstanceKey,
    stream: StreamId,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    stream::try_unfold(0, move |number| {
        let store = store.clone();
        async move {
            let piece = store.stream_chunk(key, stream, number).await.map_err(std::io::Error::other)?;
            Ok(piece.map(|piece| (Bytes::from(piece), number + 1)))
        }
    })
}
