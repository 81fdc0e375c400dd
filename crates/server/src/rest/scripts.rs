//! Paths of scripts: upload, list, delete; versions, releases, secrets and settings each in a module of their own.

mod addresses;
mod content;
mod crons;
mod deletion;
mod releases;
mod secrets;
mod service;
mod settings;
mod versions;
mod view;

use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use stepwell_store::{ScopedName, ScriptRow};

use super::envelope::{Failure, Reply, success};
use super::page_query::PageQuery;
use super::resource::{Account, Named};
use super::route::{Answer, Content, Route};
use super::times::Iso;
use super::{Api, ScriptUpload, public_ids, upload};
use crate::api_error::ApiError;
use crate::auth::Scope;

/// Characters of a script's name (Cloudflare).
const SCRIPT_NAME_CHARS_MAX: usize = 63;

pub fn routes() -> Vec<Route> {
    use Scope::{Deploy, Metadata, Payloads};
    vec![
        Route::get("/workers/scripts", Metadata, list).says("Lists Workers").gives::<Vec<ScriptView>>(),
        Route::put("/workers/scripts/{script}", Deploy, upload)
            .says("Uploads a Worker and makes it the newest deployment")
            .takes_content(Content::Multipart(upload::METADATA))
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}", Payloads, content::show)
            .says("Gives the modules of a Worker, as a multipart body")
            .asks::<content::Params>()
            .gives_answer(Answer::Plain("multipart/form-data")),
        Route::delete("/workers/scripts/{script}", Deploy, deletion::delete_script)
            .says("Deletes a Worker; by force, with its workflows and their instances")
            .asks::<deletion::Params>()
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/versions", Metadata, versions::list)
            .says("Lists the deployments of a Worker")
            .asks::<PageQuery>()
            .gives_page::<Value>(),
        Route::post("/workers/scripts/{script}/versions", Deploy, versions::upload)
            .says("Uploads a version of a Worker without deploying it")
            .takes_content(Content::Multipart(upload::METADATA))
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/versions/{version}", Metadata, versions::show)
            .says("Shows a version")
            .gives::<Value>(),
        Route::delete("/workers/scripts/{script}/versions/{version}", Deploy, deletion::delete)
            .says("Deletes a version that no unfinished instance needs")
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/content/v2", Payloads, content::show)
            .says("Gives the modules of a version, as a multipart body")
            .asks::<content::Params>()
            .gives_answer(Answer::Plain("multipart/form-data")),
        Route::get("/workers/scripts/{script}/deployments", Metadata, releases::list)
            .says("Lists which version was current when")
            .asks::<PageQuery>()
            .gives_page::<Value>(),
        Route::post("/workers/scripts/{script}/deployments", Deploy, releases::create)
            .says("Makes a version current")
            .takes::<releases::NewDeployment>()
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/deployments/{deployment}", Metadata, releases::show)
            .says("Shows which version became current once")
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/secrets", Metadata, secrets::list)
            .says("Lists the names of a Worker's secrets")
            .gives::<Value>(),
        Route::put("/workers/scripts/{script}/secrets", Deploy, secrets::put)
            .says("Sets a secret")
            .takes::<secrets::NewSecret>()
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/secrets/{secret}", Metadata, secrets::show)
            .says("Tells whether a Worker has a secret, by its name")
            .gives::<Value>(),
        Route::delete("/workers/scripts/{script}/secrets/{secret}", Deploy, secrets::delete)
            .says("Removes a secret")
            .gives::<Value>(),
        Route::patch("/workers/scripts/{script}/secrets-bulk", Deploy, secrets::patch_bulk)
            .says("Sets and removes secrets")
            .takes::<secrets::Bulk>()
            .gives::<Value>(),
        Route::patch("/workers/workers/{script}/versions/latest", Deploy, secrets::patch_latest)
            .says("Makes a version whose secrets change when it becomes current")
            .takes::<secrets::Latest>()
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/settings", Metadata, settings::show)
            .says("Shows the settings of a Worker's current version")
            .gives::<Value>(),
        Route::patch("/workers/scripts/{script}/settings", Deploy, secrets::patch_settings)
            .says("Sets secrets, in the words of older clients")
            .takes_content(Content::Multipart("settings"))
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/script-settings", Metadata, settings::show_apart)
            .says("Shows the settings of a Worker that belong to no version")
            .gives::<Value>(),
        Route::patch("/workers/scripts/{script}/script-settings", Deploy, settings::patch_apart)
            .says("Changes the settings of a Worker that belong to no version")
            .takes::<Map<String, Value>>()
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/schedules", Metadata, crons::show)
            .says("Lists cron triggers, of which this server has none")
            .gives::<crons::Crons>(),
        Route::put("/workers/scripts/{script}/schedules", Deploy, crons::put)
            .says("Takes an empty list of cron triggers")
            .takes::<Vec<crons::Cron>>()
            .gives::<crons::Crons>(),
        Route::get("/workers/subdomain", Metadata, addresses::account)
            .says("Shows the name under which clients print addresses")
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/subdomain", Metadata, addresses::script)
            .says("Shows where a Worker is reached")
            .gives::<Value>(),
        Route::post("/workers/scripts/{script}/subdomain", Deploy, addresses::script)
            .says("Shows where a Worker is reached")
            .gives::<Value>(),
        Route::delete("/workers/scripts/{script}/subdomain", Deploy, addresses::script)
            .says("Shows where a Worker is reached, which it is always")
            .gives::<Value>(),
        Route::get("/workers/workers/{script}", Metadata, addresses::worker)
            .says("Shows a Worker with its address")
            .gives::<Value>(),
        Route::get("/workers/services/{script}", Metadata, service::show)
            .says("Shows a Worker as a service with one environment")
            .gives::<Value>(),
        Route::delete("/workers/services/{script}", Deploy, deletion::delete_script)
            .says("Deletes a Worker; by force, with its workflows and their instances")
            .asks::<deletion::Params>()
            .gives::<Value>(),
        Route::get("/workers/scripts/{script}/references", Metadata, service::references)
            .says("Lists the Workers that are bound to a Worker")
            .gives::<Value>(),
        Route::get("/workers/tails/by-consumer/{script}", Metadata, service::none)
            .says("Lists nothing: this server has none")
            .gives::<Value>(),
        Route::get("/workers/durable_objects/namespaces", Metadata, service::none)
            .says("Lists nothing: this server has none")
            .gives::<Value>(),
        Route::get("/storage/kv/namespaces", Metadata, service::none)
            .says("Lists nothing: this server has none")
            .gives::<Value>(),
    ]
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Script")]
struct ScriptView {
    id: String,
    created_on: Iso,
    modified_on: Iso,
    deployment: u32,
}

impl From<ScriptRow> for ScriptView {
    fn from(row: ScriptRow) -> Self {
        let (created_on, modified_on) = (Iso(row.created_at), Iso(row.modified_at));
        Self { id: row.name.name, created_on, modified_on, deployment: row.current.0 }
    }
}

pub async fn list(State(api): State<Api>, Account(account): Account) -> Reply {
    let mut scripts = api.platform.store.scripts().await?;
    scripts.retain(|row| row.name.account == account);
    Ok(success(scripts.into_iter().map(ScriptView::from).collect::<Vec<_>>()))
}

pub async fn upload(
    State(api): State<Api>,
    Named(script): Named,
    parts: Result<Multipart, MultipartRejection>,
) -> Reply {
    let upload = received(script, parts).await?;
    let apart = settings::apart_from(&upload.metadata);
    let row = api.deploy.deploy(upload).await?;
    settings::change_apart(&api, &row.script, apart).await?;
    let version = public_ids::version(row.id);
    Ok(success(json!({
        "id": row.script.name,
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

/// An upload of a script.
async fn received(script: ScopedName, parts: Result<Multipart, MultipartRejection>) -> Result<ScriptUpload, Failure> {
    check_name(&script.name)?;
    Ok(upload::read(script, parts.map_err(upload::no_multipart)?).await?)
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
