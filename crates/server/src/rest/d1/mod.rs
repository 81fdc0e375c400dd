//! Paths of D1: databases, what is in them, and their way in and out as SQL scripts.
//!
//! Shapes are Cloudflare's. Time travel and backups are absent, and say so. What is uploaded and downloaded goes by
//! addresses of its own, which hold a secret instead of wanting a token: clients send none to them.

mod databases;
mod export;
mod import;
mod query;
mod transfers;
mod usage;

use axum::body::Body;
use axum::http::HeaderMap;
use serde::de::DeserializeOwned;
use stepwell_store::{DatabaseRow, ScopedName};

use super::Api;
use super::body;
use super::envelope::{Failure, Reply};
use super::objects;
use super::resource::{Account, Named};
use super::route::Route;
use crate::api_error::ApiError;
use crate::auth::Scope;
use crate::d1::{CreateError, TransferError};
use crate::rest::limits::D1_BODY_BYTES_MAX;

/// The request makes no sense (Cloudflare's code for D1).
const MALFORMED: u32 = 7_400;
const NOT_FOUND: u32 = 7_404;
const TOO_MANY_DATABASES: u32 = 7_406;
const EXISTS: u32 = 7_502;
/// Where transfers are, below `/client/v4`.
const TRANSFERS: &str = "/d1";

/// Below an account. What reads and writes at once wants the scope of deploying, and looks for that of payloads itself.
pub fn routes() -> Vec<Route> {
    [databases::routes(), query::routes(), import::routes(), export::routes(), absent()].into_iter().flatten().collect()
}

/// Below no account.
pub fn routes_of_all() -> Vec<Route> {
    [transfers::routes(), usage::routes()].into_iter().flatten().collect()
}

/// What Cloudflare has and is not here.
fn absent() -> Vec<Route> {
    vec![
        Route::get("/d1/database/{database}/time_travel/bookmark", Scope::Metadata, no_time_travel),
        Route::post("/d1/database/{database}/time_travel/restore", Scope::Deploy, no_time_travel),
        Route::get("/d1/database/{database}/backup", Scope::Metadata, no_time_travel),
        Route::post("/d1/database/{database}/backup", Scope::Deploy, no_time_travel),
    ]
    .into_iter()
    .map(|route| route.says("Refused: there is no time travel").gives::<()>())
    .collect()
}

async fn no_time_travel() -> Failure {
    let message = "this server keeps no earlier states of a D1 database: there is no time travel and there are no \
        backups to restore. Export it now and then (`stepwell d1 export`, `wrangler d1 export`), or copy the data \
        directory";
    Failure(ApiError::new(400, 20_501, message))
}

/// The database of that id or name.
async fn found(api: &Api, database: &ScopedName) -> Result<DatabaseRow, ApiError> {
    let ScopedName { account, name: id_or_name } = database;
    if let Some(row) = api.d1.catalogue.find(*account, id_or_name).await? {
        return Ok(row);
    }
    if let Some(gone) = api.d1.catalogue.gone(*account, id_or_name).await? {
        return Err(gone.into());
    }
    let message = format!(
        "The database {id_or_name} could not be found: `stepwell d1 list` shows those that are there. `stepwell d1 create` \
         makes one, with the id that a configuration has already if need be, and so does the deploy of a Worker that binds it"
    );
    Err(ApiError::new(404, NOT_FOUND, message))
}

/// A body of a known shape.
async fn read<T: DeserializeOwned>(request: Body) -> Result<T, ApiError> {
    let bytes = body::read(request, D1_BODY_BYTES_MAX).await?;
    objects::read(&bytes).map_err(malformed)
}

fn malformed(message: impl std::fmt::Display) -> ApiError {
    ApiError::new(400, MALFORMED, format!("The request is malformed: {message}"))
}

/// The server's address, as this client sees it.
fn address(headers: &HeaderMap) -> Result<String, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").ok_or_else(|| malformed("it has no Host header"))?;
    let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    Ok(format!("{scheme}://{host}/client/v4{TRANSFERS}"))
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
            TransferError::Uploading => Self::new(409, 20_409, error.to_string()),
            TransferError::TooLarge => Self::new(413, 10_413, error.to_string()),
            TransferError::OtherFile { .. } | TransferError::BrokenOff(_) => {
                Self::new(400, MALFORMED, error.to_string())
            }
            TransferError::Disk(cause) if cause.kind() == std::io::ErrorKind::StorageFull => Self::disk_full(),
            TransferError::Disk(_) => Self::internal(error),
        }
    }
}
