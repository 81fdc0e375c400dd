//! Paths of D1: databases, what is in them, and their way in and out as SQL scripts.
//!
//! Shapes are Cloudflare's. Time travel and backups are absent, and say so. What is uploaded and downloaded goes by
//! addresses of its own, which hold a secret instead of wanting a token: clients send none to them.

mod databases;
mod export;
mod import;
mod query;
mod transfers;
pub mod usage;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use stepwell_store::{AccountId, DatabaseRow};

use super::Api;
use super::body;
use super::envelope::{Failure, Reply};
use crate::api_error::ApiError;
use crate::d1::{CreateError, TransferError};
use crate::rest::limits::D1_BODY_BYTES_MAX;
pub use transfers::routes as transfer_routes;

/// The request makes no sense (Cloudflare's code for D1).
const MALFORMED: u32 = 7_400;
const NOT_FOUND: u32 = 7_404;
const TOO_MANY_DATABASES: u32 = 7_406;
const EXISTS: u32 = 7_502;
/// Where transfers are, below the server's address.
const TRANSFERS: &str = "/client/v4/d1";

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/d1/database", get(databases::list).post(databases::create))
        .route(
            "/d1/database/{database}",
            get(databases::show).put(databases::change).patch(databases::change).delete(databases::delete),
        )
        .route("/d1/database/{database}/query", post(query::query))
        .route("/d1/database/{database}/raw", post(query::raw))
        .route("/d1/database/{database}/import", post(import::act))
        .route("/d1/database/{database}/export", post(export::act))
        .route("/d1/database/{database}/time_travel/bookmark", get(no_time_travel))
        .route("/d1/database/{database}/time_travel/restore", post(no_time_travel))
        .route("/d1/database/{database}/backup", get(no_time_travel).post(no_time_travel))
}

async fn no_time_travel() -> Failure {
    let message = "this server keeps no earlier states of a D1 database: there is no time travel and there are no \
        backups to restore. Export it now and then (`stepwell d1 export`, `wrangler d1 export`), or copy the data \
        directory";
    Failure(ApiError::new(501, 20_501, message))
}

/// Whose databases a path is about.
fn account(_: &str) -> AccountId {
    AccountId::DEFAULT
}

/// The database of that id or name.
async fn found(api: &Api, account: AccountId, id_or_name: &str) -> Result<DatabaseRow, ApiError> {
    if let Some(row) = api.d1.catalogue.find(account, id_or_name).await? {
        return Ok(row);
    }
    if let Some(gone) = api.d1.catalogue.gone(account, id_or_name).await? {
        return Err(gone.into());
    }
    let message = format!(
        "The database {id_or_name} could not be found: `stepwell d1 list` shows those that are there. One of this id is \
         made by a deploy of a Worker that binds it, or by `stepwell d1 create NAME --id {id_or_name}`"
    );
    Err(ApiError::new(404, NOT_FOUND, message))
}

/// A body of a known shape.
async fn read<T: DeserializeOwned>(request: Body) -> Result<T, ApiError> {
    let bytes = body::read(request, D1_BODY_BYTES_MAX).await?;
    let malformed = |error| ApiError::new(400, MALFORMED, format!("The request is malformed: {error}"));
    serde_json::from_slice(&bytes).map_err(malformed)
}

fn malformed(message: impl std::fmt::Display) -> ApiError {
    ApiError::new(400, MALFORMED, format!("The request is malformed: {message}"))
}

/// The server's address, as this client sees it.
fn address(headers: &HeaderMap) -> Result<String, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").ok_or_else(|| malformed("it has no Host header"))?;
    let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    Ok(format!("{scheme}://{host}{TRANSFERS}"))
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Exists(_) => Self::new(400, EXISTS, error.to_string()),
            CreateError::TooMany => Self::new(400, TOO_MANY_DATABASES, error.to_string()),
            CreateError::Read(error) => error.into(),
            CreateError::Change(error) => error.into(),
        }
    }
}

impl From<TransferError> for ApiError {
    fn from(error: TransferError) -> Self {
        match &error {
            TransferError::TooMany => Self::new(429, 20_429, error.to_string()),
            TransferError::Unknown(_) => Self::new(404, NOT_FOUND, error.to_string()),
            TransferError::TooLarge => Self::new(413, 10_413, error.to_string()),
            TransferError::OtherFile { .. } | TransferError::BrokenOff(_) => {
                Self::new(400, MALFORMED, error.to_string())
            }
            TransferError::Disk(cause) if cause.kind() == std::io::ErrorKind::StorageFull => Self::disk_full(),
            TransferError::Disk(_) => Self::internal(error),
        }
    }
}
