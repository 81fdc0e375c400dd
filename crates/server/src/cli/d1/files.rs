//! Scripts on their way to and from a server: streamed, since they may be larger than memory. The server says where they go,
//! and that address holds a secret instead of wanting a token.

use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::{Method, Request, Response, Uri};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use md5::{Digest as _, Md5};
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::super::CliError;
use super::super::client::Client;
use crate::file_stream::file_stream;

/// Of an answer that says why not.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// The MD5 of a file, in hexadecimal.
///
/// # Errors
/// Where it cannot be read.
pub async fn md5_of(path: &Path) -> Result<String, CliError> {
    let mut chunks = std::pin::pin!(file_stream(open(path).await?));
    let mut digest = Md5::new();
    while let Some(chunk) = chunks.next().await {
        digest.update(&chunk?);
    }
    Ok(format!("{:x}", digest.finalize()))
}

/// Puts a file where the server wants it.
///
/// # Errors
/// The file cannot be read, or the server does not take it.
pub async fn upload(client: &Client, url: &str, path: &Path) -> Result<(), CliError> {
    let file = open(path).await?;
    let size_bytes = file.metadata().await?.len();
    let frames = file_stream(file).map(|chunk| chunk.map(Frame::data));
    let request = Request::builder().method(Method::PUT).uri(own_address(client, url)?);
    let request = request.header(hyper::header::CONTENT_LENGTH, size_bytes);
    let request = request.body(StreamBody::new(Box::pin(frames))).map_err(anyhow::Error::from)?;
    send(request).await.map(|_| ())
}

/// Fetches a file.
///
/// # Errors
/// The server does not give it, it breaks off, or it cannot be written.
pub async fn download(client: &Client, url: &str, out: &mut (impl AsyncWrite + Unpin)) -> Result<(), CliError> {
    let request = Request::builder().uri(own_address(client, url)?);
    let request = request.body(http_body_util::Empty::<Bytes>::new()).map_err(anyhow::Error::from)?;
    let mut body = send(request).await?.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| anyhow::anyhow!("the download broke off: {error}"))?;
        if let Ok(data) = frame.into_data() {
            out.write_all(&data).await?;
        }
    }
    Ok(out.flush().await?)
}

/// The server's own words of where it is may be wrong behind a tunnel: only the path is taken.
fn own_address(client: &Client, url: &str) -> Result<String, CliError> {
    let malformed =
        || CliError::Malformed { url: client.url().to_owned(), detail: "with an address that is none".to_owned() };
    let uri: Uri = url.parse().map_err(|_| malformed())?;
    let path = uri.path_and_query().ok_or_else(malformed)?;
    Ok(format!("{}{path}", client.url()))
}

async fn send<B>(request: Request<B>) -> Result<Response<Incoming>, CliError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let http = HttpClient::builder(TokioExecutor::new()).build_http();
    let answer = http.request(request).await.map_err(|error| anyhow::anyhow!("the transfer failed: {error:#}"))?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ERROR_BYTES_MAX).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let told = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
    let message = told["errors"][0]["message"].as_str().map_or_else(|| format!("HTTP status {status}"), str::to_owned);
    let code = told["errors"][0]["code"].as_u64().and_then(|code| u32::try_from(code).ok()).unwrap_or(0);
    let message = super::super::text::printable(&message);
    Err(CliError::Api { status: status.as_u16(), code, message, advice: None })
}

async fn open(path: &Path) -> Result<File, CliError> {
    let cannot = |error| CliError::Usage(format!("cannot read {}: {error}", path.display()));
    File::open(path).await.map_err(cannot)
}
