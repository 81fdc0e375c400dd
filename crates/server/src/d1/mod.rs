//! D1: the databases of this server, each one SQLite file, for the Workers that bind them and for whoever manages them.
//!
//! workerd's own D1 client runs inside the Worker and talks HTTP (`POST /query`, `POST /execute`) to
//! [`D1::router`]; the generated configuration names the database in the header [`DATABASE_HEADER`].
//! Left out: read replicas (a session's bookmark is answered, never waited for), time travel, and
//! the client's `d1_binding_jsrpc` flag, under which it calls RPC methods instead of HTTP. The API for managing databases
//! is the REST face's.

mod catalogue;
mod database;
pub mod database_text;
mod dump;
mod error;
mod guard;
mod import;
pub mod limits;
pub mod names;
mod pool;
mod protocol;
mod statements;
mod transfers;
mod usage;
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

pub use catalogue::{Catalogue, CreateError, Creation};
pub use database::{Meta, Outcome, Place, Statement};
pub use dump::DumpOptions;
pub use error::D1Error;
pub use import::Imported;
use pool::Pool;
pub use protocol::{Answers, MetaJson, ResultsFormat, read_params};
pub use statements::{ScriptStatement, Statements};
use stepwell_store::{DatabaseKey, Store};
pub use transfers::{Export, ExportStage, Exports, Import, ImportStage, Imports, TransferError, Upload};
pub use usage::{Hour, Usage};
pub use value::Value;

use crate::clock::now_ms;

/// The request header in which the generated configuration names the database.
pub const DATABASE_HEADER: &str = "x-stepwell-d1";
/// The header in which a client's session sends its bookmark or constraint and receives a newer one.
pub const BOOKMARK_HEADER: &str = "x-cf-d1-session-commit-token";

/// All D1 databases of a server. Clones share them.
#[derive(Clone)]
pub struct D1 {
    /// Which there are.
    pub catalogue: Catalogue,
    /// Scripts on their way into databases.
    pub imports: Arc<Imports>,
    /// Databases on their way out, as scripts.
    pub exports: Arc<Exports>,
    /// How much they are used.
    pub usage: Usage,
    pool: Arc<Pool>,
    bookmarks: Arc<AtomicU64>,
}

/// How large a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Tables that users made.
    pub tables: u64,
    /// Of the database, not counting what is not yet copied into its file.
    pub bytes: u64,
}

impl D1 {
    /// Keeps databases in `directory`, which is created when the first database is, and their names in `store`. What an
    /// earlier server left of imports and exports is removed.
    pub fn open(directory: impl Into<PathBuf>, store: Store) -> Self {
        let (directory, catalogue) = (directory.into(), Catalogue::new(store));
        transfers::clear(&directory);
        let files = directory.join(transfers::DIRECTORY);
        let pool = Arc::new(Pool::new(directory, catalogue.clone()));
        let usage = Usage::default();
        let imports = Arc::new(Imports::new(Arc::clone(&pool), usage.clone(), files.clone()));
        let exports = Arc::new(Exports::new(Arc::clone(&pool), files));
        Self { catalogue, imports, exports, usage, pool, bookmarks: Arc::default() }
    }

    /// Runs statements in order in one transaction and answers one outcome each, texts without any
    /// statement left out. What they changed is durable when this returns; a dropped future does not stop them.
    ///
    /// # Errors
    /// The first statement that fails; then nothing of the call is kept.
    pub async fn query(&self, key: &DatabaseKey, statements: Vec<Statement>) -> Result<Vec<Outcome>, D1Error> {
        let outcomes = self.pool.run(key, move |database| database.run(&statements)).await?;
        self.usage.count(key, outcomes.iter().map(|outcome| &outcome.meta), now_ms());
        Ok(outcomes)
    }

    /// Runs a script in one transaction if the database has no tables yet, and says whether it did.
    ///
    /// # Errors
    /// The first statement that fails; then nothing of the script is kept.
    pub async fn seed(&self, key: &DatabaseKey, script: String) -> Result<bool, D1Error> {
        self.pool.run(key, move |database| database.seed(&script)).await
    }

    /// How large a database is.
    ///
    /// # Errors
    /// Where it cannot be opened or read.
    pub async fn size(&self, key: &DatabaseKey) -> Result<Size, D1Error> {
        self.pool.run(key, |database| database.size()).await
    }

    /// Deletes a database with all that is in it, after the calls that wait for it. Whether it was there. A dropped future
    /// does not stop it.
    ///
    /// # Errors
    /// Where the catalogue cannot be changed.
    pub async fn delete(&self, key: &DatabaseKey) -> Result<bool, D1Error> {
        self.usage.forget(key);
        let (pool, key) = (Arc::clone(&self.pool), key.clone());
        let deletion = tokio::spawn(async move { pool.delete(&key).await });
        deletion.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
    }

    /// Removes what a server left that ended while it deleted a database.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    pub async fn remove_deleted(&self) -> Result<(), D1Error> {
        self.pool.remove_deleted().await
    }

    /// Closes databases that have not been used for a while and forgets imports and exports whose time is over; to be
    /// called now and then.
    pub async fn tidy(&self) {
        self.imports.sweep();
        self.exports.sweep();
        self.pool.close_idle().await;
    }

    /// Answers D1's client. The body is read in full; the status is 200 for SQL errors too, as the client wants.
    pub async fn handle(&self, key: &DatabaseKey, request: Request) -> Response {
        let is_call = request.method() == Method::POST && matches!(request.uri().path(), "/query" | "/execute");
        if !is_call {
            let error = D1Error::Request(format!("{} {} is not part of D1", request.method(), request.uri().path()));
            return answer(StatusCode::NOT_FOUND, protocol::write_error(&error));
        }
        let wants_bookmark = has_bookmark(request.headers());
        let mut response = match self.call(key, request).await {
            Ok(body) => answer(StatusCode::OK, body),
            Err(error) => answer(StatusCode::OK, protocol::write_error(&error)),
        };
        if wants_bookmark && let Ok(bookmark) = HeaderValue::try_from(self.next_bookmark()) {
            response.headers_mut().insert(BOOKMARK_HEADER, bookmark);
        }
        response
    }

    /// Routes every path by [`DATABASE_HEADER`]; a request without it gets 400.
    pub fn router(&self) -> Router {
        Router::new().fallback(route).with_state(self.clone())
    }

    async fn call(&self, key: &DatabaseKey, request: Request) -> Result<Vec<u8>, D1Error> {
        let format = ResultsFormat::from_query(request.uri().query());
        let body = to_bytes(request.into_body(), limits::BODY_BYTES_MAX).await.map_err(|error| {
            D1Error::Request(format!("reading the request (at most {} bytes): {error}", limits::BODY_BYTES_MAX))
        })?;
        let (usage, counted) = (self.usage.clone(), key.clone());
        self.pool
            .run(key, move |database| {
                let outcomes = database.run(&protocol::read_statements(&body)?)?;
                usage.count(&counted, outcomes.iter().map(|outcome| &outcome.meta), now_ms());
                protocol::write_outcomes(&outcomes, format)
                    .map_err(|error| D1Error::Request(format!("writing the results: {error}")))
            })
            .await
    }

    /// A bookmark that sorts after all earlier ones, of earlier processes too, as clients compare them as text.
    #[must_use]
    pub fn next_bookmark(&self) -> String {
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let now_us = u64::try_from(now_us).unwrap_or(u64::MAX - 1);
        let earlier = self
            .bookmarks
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now_us.max(last + 1)))
            .unwrap_or_else(|last| last);
        let bookmark = now_us.max(earlier + 1);
        format!("{:08x}-{:08x}-00000000-{:032x}", bookmark >> 32, bookmark & 0xffff_ffff, 0)
    }
}

async fn route(State(d1): State<D1>, request: Request) -> Response {
    let text = request.headers().get(DATABASE_HEADER).and_then(|text| text.to_str().ok());
    let Some(key) = text.and_then(database_text::read) else {
        let error = D1Error::Request(format!("the header {DATABASE_HEADER} must name a database"));
        return answer(StatusCode::BAD_REQUEST, protocol::write_error(&error));
    };
    d1.handle(&key, request).await
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
