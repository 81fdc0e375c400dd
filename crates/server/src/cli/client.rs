//! A client of the server's Cloudflare-shaped API: one request, one answer, errors that people understand.
//!
//! Plain HTTP only: the API listens on loopback unless an operator puts something in front of it. Nothing is retried; a
//! person decides that.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::{Client as HttpClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::connection::{Connection, Origin};
use super::{ACCOUNT_ID, CliError};

/// A server that takes longer for one answer is as good as gone. Deploying starts the Worker once, which is the slowest.
const ANSWER_TIMEOUT_MS: u64 = 60_000;
/// A handshake on a local network; beyond it the address is wrong.
const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Larger than the largest page that the server makes, so that a strange server cannot fill our memory.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Enough of an answer to tell a web page by.
const STRANGER_BYTES: usize = 64;
const API_PREFIX: &str = "/client/v4";

/// What speaks to one server.
#[derive(Clone)]
pub struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    /// `http://host:port`, without a slash at its end.
    url: String,
    token: Option<String>,
    account: String,
    origin: Origin,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    /// Whether `path` is below the account.
    is_of_account: bool,
    /// With its query.
    path: String,
    body: Body,
    timeout_ms: u64,
}

/// What goes along.
#[derive(Debug, Clone)]
pub enum Body {
    Empty,
    /// JSON text.
    Json(String),
    /// A whole multipart body and its content type.
    Multipart {
        content_type: String,
        bytes: Vec<u8>,
    },
}

/// What a successful request brings.
#[derive(Debug)]
pub struct Answer {
    url: String,
    /// As the server wrote it.
    pub result: Box<RawValue>,
    pub info: PageInfo,
}

/// Where a page stands in its list.
#[derive(Debug, Default, Deserialize)]
pub struct PageInfo {
    pub total_count: Option<u64>,
    pub cursor: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    success: bool,
    result: Option<Box<RawValue>>,
    #[serde(default)]
    errors: Vec<ErrorItem>,
    result_info: Option<PageInfo>,
}

#[derive(Deserialize)]
struct ErrorItem {
    #[serde(default)]
    code: u32,
    message: String,
}

impl Ask {
    /// For the path of these segments below the account, each of which may be any text.
    #[must_use]
    pub fn new(method: Method, segments: &[&str]) -> Self {
        let path = segments.iter().fold(String::new(), |path, segment| path + "/" + &encoded(segment));
        Self { method, is_of_account: true, path, body: Body::Empty, timeout_ms: ANSWER_TIMEOUT_MS }
    }

    /// Of the server itself, as who is asking.
    #[must_use]
    pub fn of_server(method: Method, segments: &[&str]) -> Self {
        Self { is_of_account: false, ..Self::new(method, segments) }
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        let _ = write!(self.path, "{separator}{name}={}", encoded(value));
        self
    }

    /// Adds a parameter where it has a value.
    #[must_use]
    pub fn maybe_query(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    #[must_use]
    pub fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// Gives up sooner than usual.
    #[must_use]
    pub fn within_ms(self, timeout_ms: u64) -> Self {
        Self { timeout_ms, ..self }
    }

    /// Lets the server wait so long before it answers.
    #[must_use]
    pub fn waiting(self, wait_ms: u64) -> Self {
        Self { timeout_ms: ANSWER_TIMEOUT_MS + wait_ms, ..self }.query("wait_ms", &wait_ms.to_string())
    }
}

impl Answer {
    /// The result as a value of our own.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, CliError> {
        serde_json::from_str(self.result.get())
            .map_err(|error| CliError::Malformed { url: self.url.clone(), detail: format!("something else ({error})") })
    }
}

impl Client {
    /// For the server at `url`, which may also be what `stepwell env` prints, and its first account.
    ///
    /// # Errors
    /// When `url` is no plain HTTP address.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, CliError> {
        let url = base(url)?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_millis(CONNECT_TIMEOUT_MS)));
        connector.set_nodelay(true);
        let http = HttpClient::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, url, token, account: ACCOUNT_ID.to_owned(), origin: Origin::Flag })
    }

    /// For a server that was decided on.
    ///
    /// # Errors
    /// When its address is no plain HTTP address.
    pub fn connect(connection: &Connection) -> Result<Self, CliError> {
        let client = Self::new(&connection.url, connection.token.clone()).map_err(|error| match error {
            CliError::Usage(wrong) => CliError::Usage(format!("{wrong} ({})", connection.origin.told())),
            other => other,
        })?;
        Ok(Self { account: connection.account.clone(), origin: connection.origin.clone(), ..client })
    }

    /// `http://host:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `http://host:port/client/v4`.
    #[must_use]
    pub fn api_base(&self) -> String {
        format!("{}{API_PREFIX}", self.url)
    }

    /// Asks once.
    ///
    /// # Errors
    /// When nobody answers in time, or the answer is an error or not the API's.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, CliError> {
        let url = match ask.is_of_account {
            true => format!("{}/accounts/{}{}", self.api_base(), encoded(&self.account), ask.path),
            false => self.api_base() + &ask.path,
        };
        let timeout = Duration::from_millis(ask.timeout_ms);
        let request = self.request(&url, ask)?;
        let answered = tokio::time::timeout(timeout, self.exchange(request)).await;
        let silent = |_| self.unreachable(format!("no answer within {} s", timeout.as_secs()));
        let (status, bytes) = answered.map_err(silent)??;
        read(url, status, &bytes).map_err(|error| self.advised(error))
    }

    /// What to do about a token depends on where it came from.
    fn advised(&self, error: CliError) -> CliError {
        let CliError::Api { status: status @ (401 | 403), code, message, .. } = error else { return error };
        let advice = match (&self.origin, &self.token) {
            (origin, Some(_)) if status == 403 => format!(
                "{} was asked for account {} ({}); `stepwell whoami` tells what the token is good for.",
                self.url,
                self.account,
                origin.told()
            ),
            (Origin::Profile(name), Some(_)) => format!(
                "The token of profile {name} does not serve: `stepwell login {} --name {name}` takes another one.",
                self.url
            ),
            (_, None) => format!(
                "Give the server's data directory with --data DIR, its token with STEPWELL_TOKEN, or log in with `stepwell \
                 login {}`.",
                self.url
            ),
            (origin, Some(_)) => format!(
                "{} was asked ({}). Another token can come with STEPWELL_TOKEN, --data DIR or --profile NAME.",
                self.url,
                origin.told()
            ),
        };
        CliError::Unauthorized { status, code, message, advice }
    }

    fn request(&self, url: &str, ask: Ask) -> Result<Request<Full<Bytes>>, CliError> {
        let mut request = Request::builder().method(ask.method).uri(url);
        if let Some(token) = &self.token {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut bearer =
                bearer.map_err(|_| CliError::Usage("the token holds characters that no token has".to_owned()))?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        let (content_type, bytes) = match ask.body {
            Body::Empty => (None, Vec::new()),
            Body::Json(text) => (Some("application/json".to_owned()), text.into_bytes()),
            Body::Multipart { content_type, bytes } => (Some(content_type), bytes),
        };
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        Ok(request.body(Full::new(bytes.into())).map_err(anyhow::Error::from)?)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), CliError> {
        let answer = self.http.request(request).await.map_err(|error| self.unreachable(innermost(&error)))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| self.unreachable(format!("the answer broke off ({error})")))?;
        Ok((status, body.to_bytes()))
    }

    /// The server cannot be reached, for this reason.
    pub fn unreachable(&self, detail: String) -> CliError {
        let advice = match &self.origin {
            Origin::Profile(name) => format!(
                "Profile {name} names it: `stepwell profiles list` shows others, `--profile local` is the server on this machine."
            ),
            _ => "Is it running? Start one with `stepwell dev` or `stepwell serve --data DIR`, or say where it is with --api \
                  URL (or STEPWELL_API)."
                .to_owned(),
        };
        CliError::Unreachable { url: self.url.clone(), detail, advice }
    }
}

fn read(url: String, status: u16, bytes: &[u8]) -> Result<Answer, CliError> {
    let Ok(envelope) = serde_json::from_slice::<Envelope>(bytes) else {
        let detail = format!("with HTTP status {status} and {}", kind_of(bytes));
        return Err(CliError::Malformed { url, detail });
    };
    if !envelope.success || status >= 400 {
        let code = envelope.errors.first().map_or(0, |error| error.code);
        let messages: Vec<String> =
            envelope.errors.into_iter().map(|error| super::text::printable(&error.message)).collect();
        let message = if messages.is_empty() { format!("HTTP status {status}") } else { messages.join("\n") };
        return Err(CliError::Api { status, code, message, advice: None });
    }
    let result = envelope.result.unwrap_or_else(|| RawValue::NULL.to_owned());
    Ok(Answer { url, result, info: envelope.result_info.unwrap_or_default() })
}

/// What a stranger answered, in a few words.
fn kind_of(bytes: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(STRANGER_BYTES)]).trim_start().to_ascii_lowercase();
    match text.as_str() {
        "" => "nothing",
        text if text.starts_with("<!doctype html") || text.starts_with("<html") => "a web page",
        text if text.starts_with(['{', '[']) => "JSON of another shape",
        _ => "something that is no JSON",
    }
}

/// The address of a server, as people write it.
///
/// # Errors
/// When it is no plain HTTP address.
pub fn base(url: &str) -> Result<String, CliError> {
    let wrong = |why: &str| CliError::Usage(format!("\"{url}\" is not the address of a server: {why}"));
    let parsed: Uri = url.parse().map_err(|_| wrong("write it as http://127.0.0.1:8788"))?;
    match (parsed.scheme_str(), parsed.authority()) {
        (Some("http"), Some(_)) => {}
        (Some("https"), _) => return Err(wrong("this command speaks plain http only, as the server's API port does")),
        _ => return Err(wrong("write it as http://127.0.0.1:8788")),
    }
    let url = url.trim_end_matches('/');
    Ok(url.strip_suffix(API_PREFIX).unwrap_or(url).to_owned())
}

/// The library's own words say only that connecting failed; the system's say why.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// As JavaScript's `encodeURIComponent`, less the marks that nobody needs.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_what_env_prints() {
        for url in ["http://h:1", "http://h:1/", "http://h:1/client/v4", "http://h:1/client/v4/"] {
            assert_eq!(base(url).expect(url), "http://h:1");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for (url, named) in [("h:1", "http://127.0.0.1:8788"), ("", "http://"), ("https://h", "plain http")] {
            let error = base(url).expect_err(url).to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn segments_of_a_path_may_be_any_text() {
        let ask = Ask::new(Method::GET, &["workflows", "a/b", "*/5 ü"]).query("status", "a&b").maybe_query("x", None);
        assert_eq!(ask.path, "/workflows/a%2Fb/%2A%2F5%20%C3%BC?status=a%26b");
        assert_eq!(ask.waiting(5).path, "/workflows/a%2Fb/%2A%2F5%20%C3%BC?status=a%26b&wait_ms=5");
    }

    #[test]
    fn an_error_has_the_words_of_the_server() {
        let body =
            br#"{"success":false,"errors":[{"code":10200,"message":"no such workflow"}],"messages":[],"result":null}"#;
        let error = read("u".to_owned(), 404, body).expect_err("an error");
        assert_eq!(error.to_string(), "no such workflow [code 10200]");
        assert_eq!(error.exit_code(), crate::cli::ExitCode::NotFound);
    }

    #[test]
    fn a_stranger_is_told_from_a_server() {
        for body in [&b"<html>"[..], b"{}", b""] {
            let error = read("http://h".to_owned(), 200, body).expect_err("no answer of ours");
            assert!(matches!(error, CliError::Malformed { .. }), "{error}");
        }
    }
}
