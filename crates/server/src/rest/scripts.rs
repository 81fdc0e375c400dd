//! Paths of scripts: upload, list, delete; versions, releases, secrets and settings each in a module of their own.

mod addresses;
mod content;
mod deletion;
mod releases;
mod secrets;
mod service;
mod settings;
mod versions;
mod view;

use axum::Router;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, Path, State};
use axum::routing::{delete as delete_at, get, patch};
use serde::Serialize;
use serde_json::json;
use stepwell_store::ScriptRow;

use super::envelope::{Failure, Reply, success};
use super::times::Iso;
use super::{Api, ScriptUpload, public_ids, upload};
use crate::api_error::ApiError;

/// Characters of a script's name (Cloudflare).
const SCRIPT_NAME_CHARS_MAX: usize = 63;

/// Routes of one script, but for the script itself.
pub fn routes() -> Router<Api> {
    Router::new()
        .route("/workers/scripts/{script}/versions", get(versions::list).post(versions::upload))
        .route("/workers/scripts/{script}/versions/{version}", get(versions::show).delete(deletion::delete))
        .route("/workers/scripts/{script}/content/v2", get(content::show))
        .route("/workers/scripts/{script}/deployments", get(releases::list).post(releases::create))
        .route("/workers/scripts/{script}/secrets", get(secrets::list).put(secrets::put))
        .route("/workers/scripts/{script}/secrets/{secret}", delete_at(secrets::delete))
        .route("/workers/scripts/{script}/secrets-bulk", patch(secrets::patch_bulk))
        .route("/workers/workers/{script}/versions/latest", patch(secrets::patch_latest))
        .route("/workers/scripts/{script}/settings", get(settings::show).patch(secrets::patch_settings))
        .route("/workers/scripts/{script}/script-settings", get(settings::show_apart).patch(settings::patch_apart))
        .route("/workers/subdomain", get(addresses::account))
        .route("/workers/scripts/{script}/subdomain", get(addresses::script).post(addresses::script))
        .route("/workers/workers/{script}", get(addresses::worker))
        .route("/workers/services/{script}", get(service::show).delete(delete))
        .route("/workers/scripts/{script}/references", get(service::references))
        .route("/workers/tails/by-consumer/{script}", get(service::none))
        .route("/workers/durable_objects/namespaces", get(service::none))
        .route("/storage/kv/namespaces", get(service::none))
}

#[derive(Serialize)]
struct ScriptView {
    id: String,
    created_on: Iso,
    modified_on: Iso,
    deployment: u32,
}

impl From<ScriptRow> for ScriptView {
    fn from(row: ScriptRow) -> Self {
        let (created_on, modified_on) = (Iso(row.created_at), Iso(row.modified_at));
        Self { id: row.name, created_on, modified_on, deployment: row.current.0 }
    }
}

pub async fn list(State(api): State<Api>) -> Reply {
    let scripts = api.platform.store.scripts().await?;
    Ok(success(scripts.into_iter().map(ScriptView::from).collect::<Vec<_>>()))
}

pub async fn upload(
    State(api): State<Api>,
    Path((_, script)): Path<(String, String)>,
    parts: Result<Multipart, MultipartRejection>,
) -> Reply {
    let row = api.deploy.deploy(received(script, parts).await?).await?;
    let version = public_ids::version(row.id);
    Ok(success(json!({
        "id": row.script,
        "etag": row.content_id,
        "pipeline_hash": row.content_id,
        "mutable_pipeline_id": row.content_id,
        "deployment_id": version.replace('-', ""),
        "startup_time_ms": 0,
        "created_on": Iso(row.created_at).to_string(),
        "modified_on": Iso(row.created_at).to_string(),
        "deployment": row.id.0,
    })))
}

pub async fn delete(State(api): State<Api>, Path((_, script)): Path<(String, String)>) -> Reply {
    if api.platform.store.delete_script(&script).await? {
        Ok(success(json!({ "id": script })))
    } else {
        Err(ApiError::no_script(&script).into())
    }
}

/// An upload of a script.
async fn received(script: String, parts: Result<Multipart, MultipartRejection>) -> Result<ScriptUpload, Failure> {
    check_name(&script)?;
    let parts = parts.map_err(|refused| Failure(ApiError::bad_request(refused.body_text())))?;
    Ok(upload::read(script, parts).await?)
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.len() <= SCRIPT_NAME_CHARS_MAX && name.bytes().all(is_legal) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "{name:?} cannot name a script: use 1 to {SCRIPT_NAME_CHARS_MAX} lower-case letters, digits, hyphens and underscores"
    )))
}
