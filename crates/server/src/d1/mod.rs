//! D1 for the Workers this server hosts: each `database_id` is one SQLite file.
//!
//! workerd's own D1 client runs inside the Worker and talks HTTP (`POST /query`, `POST /execute`) to
//! [`D1::router`]; the generated configuration names the database in the header [`DATABASE_HEADER`].
//! Left out: read replicas (a session's bookmark is answered, never waited for), time travel, and
//! the client's `d1_binding_jsrpc` flag, under which it calls RPC methods instead of HTTP.

mod database;
mod error;
mod guard;
pub mod limits;
mod name;
mod pool;
mod protocol;
mod value;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

pub use database::{Meta, Outcome, Statement};
pub use error::D1Error;
pub use name::DatabaseName;
use pool::Pool;
pub use protocol::ResultsFormat;
pub use value::Value;

/// The request header in which the generated configuration names the database.
pub const DATABASE_HEADER: &str = "x-stepwell-d1";
/// The header in which a client's session sends its bookmark or constraint and receives a newer one.
pub const BOOKMARK_HEADER: &str = "x-cf-d1-session-commit-token";

/// All D1 databases of a server. Clones share them.
#[derive(Clone)]
pub struct D1 {
    pool: Arc<Pool>,
    bookmarks: Arc<AtomicU64>,
}

impl D1 {
    /// Keeps databases in `directory`, which is created when the first database is.
    pub fn open(directory: impl Into<PathBuf>) -> Self {
        Self { pool: Arc::new(Pool::new(directory.into())), bookmarks: Arc::default() }
    }

    /// Runs statements in order in one transaction and answers one outcome each, texts without any
    /// statement left out. What they changed is durable when this returns; a dropped future does not stop them.
    ///
    /// # Errors
    /// The first statement that fails; then nothing of the call is kept.
    pub async fn query(&self, database: &DatabaseName, statements: Vec<Statement>) -> Result<Vec<Outcome>, D1Error> {
        self.pool.run(database, move |database| database.run(&statements)).await
    }

    /// Runs a script in one transaction if the database has no tables yet, and says whether it did.
    ///
    /// # Errors
    /// The first statement that fails; then nothing of the script is kept.
    pub async fn seed(&self, database: &DatabaseName, script: String) -> Result<bool, D1Error> {
        self.pool.run(database, move |database| database.seed(&script)).await
    }

    /// Closes databases that have not been used for a while; to be called now and then.
    pub async fn close_idle(&self) {
        self.pool.close_idle().await;
    }

    /// Answers D1's client. The body is read in full; the status is 200 for SQL errors too, as the client wants.
    pub async fn handle(&self, database: &DatabaseName, request: Request) -> Response {
        let is_call = request.method() == Method::POST && matches!(request.uri().path(), "/query" | "/execute");
        if !is_call {
            let error = D1Error::Request(format!("{} {} is not part of D1", request.method(), request.uri().path()));
            return answer(StatusCode::NOT_FOUND, protocol::write_error(&error));
        }
        let wants_bookmark = has_bookmark(request.headers());
        let mut response = match self.call(database, request).await {
            Ok(body) => answer(StatusCode::OK, body),
            Err(error) => answer(StatusCode::OK, protocol::write_error(&error)),
        };
        if wants_bookmark {
            response.headers_mut().insert(BOOKMARK_HEADER, self.next_bookmark());
        }
        response
    }

    /// Routes every path by [`DATABASE_HEADER`]; a request without it gets 400.
    pub fn router(&self) -> Router {
        Router::new().fallback(route).with_state(self.clone())
    }

    async fn call(&self, database: &DatabaseName, request: Request) -> Result<Vec<u8>, D1Error> {
        let format = ResultsFormat::from_query(request.uri().query());
        let body = to_bytes(request.into_body(), limits::BODY_BYTES_MAX).await.map_err(|error| {
            D1Error::Request(format!("reading the request (at most {} bytes): {error}", limits::BODY_BYTES_MAX))
        })?;
        self.pool
            .run(database, move |database| {
                let outcomes = database.run(&protocol::read_statements(&body)?)?;
                protocol::write_outcomes(&outcomes, format)
                    .map_err(|error| D1Error::Request(format!("writing the results: {error}")))
            })
            .await
    }

    /// A bookmark that sorts after all earlier ones, of earlier processes too, as clients compare them as text.
    fn next_bookmark(&self) -> HeaderValue {
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let now_us = u64::try_from(now_us).unwrap_or(u64::MAX - 1);
        let earlier = self
            .bookmarks
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now_us.max(last + 1)))
            .unwrap_or_else(|last| last);
        let bookmark = now_us.max(earlier + 1);
        let text = format!("{:08x}-{:08x}-00000000-{:032x}", bookmark >> 32, bookmark & 0xffff_ffff, 0);
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

async fn route(State(d1): State<D1>, request: Request) -> Response {
    let named = request.headers().get(DATABASE_HEADER).and_then(|name| name.to_str().ok());
    let Some(database) = named.and_then(DatabaseName::parse) else {
        let error = D1Error::Request(format!("the header {DATABASE_HEADER} must name a database"));
        return answer(StatusCode::BAD_REQUEST, protocol::write_error(&error));
    };
    d1.handle(&database, request).await
}

fn has_bookmark(headers: &HeaderMap) -> bool {
    headers.get(BOOKMARK_HEADER).is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
}

fn answer(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
