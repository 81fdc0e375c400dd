//! Versions of a script: uploads, current or not. A version is what the rest of this server calls a deployment.

use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, Query, State};
use serde_json::{Value, json};
use stepwell_store::{DeploymentRow, ScopedName};

use super::received;
use super::view::{DEPLOYED_FROM, resources, settings_of};
use crate::api_error::ApiError;
use crate::rest::envelope::{Reply, page, success};
use crate::rest::page_query::PageQuery;
use crate::rest::resource::{Named, Part};
use crate::rest::times::Iso;
use crate::rest::{Api, public_ids};

/// Cloudflare's code of a version that there is not.
const NO_VERSION: u32 = 10_188;

/// Keeps an upload without making it current.
pub async fn upload(
    State(api): State<Api>,
    Named(script): Named,
    parts: Result<Multipart, MultipartRejection>,
) -> Reply {
    let row = api.deploy.upload_version(received(script, parts).await?).await?;
    Ok(success(detail(&api, &row).await?))
}

/// Those of a script, newest first.
pub async fn list(State(api): State<Api>, Named(script): Named, Query(query): Query<PageQuery>) -> Reply {
    let rows = api.platform.store.deployments(&script).await?;
    if rows.is_empty() {
        return Err(ApiError::no_script(&script).into());
    }
    let (rows, info) = query.slice_or_all(rows)?;
    let items = rows.iter().map(summary).collect::<Result<Vec<_>, _>>()?;
    Ok(page(json!({ "items": items }), info))
}

/// One of them.
pub async fn show(State(api): State<Api>, Part(script, version): Part) -> Reply {
    let row = find(&api, &script, &version).await?;
    Ok(success(detail(&api, &row).await?))
}

/// The version of that id.
///
/// # Errors
/// 404 where the script has none such.
pub async fn find(api: &Api, script: &ScopedName, version: &str) -> Result<DeploymentRow, ApiError> {
    let id = public_ids::deployment(version);
    let rows = api.platform.store.deployments(script).await?;
    if rows.is_empty() {
        return Err(ApiError::no_script(script));
    }
    rows.into_iter().find(|row| Some(row.id) == id).ok_or_else(|| {
        let message =
            format!("Worker {:?} has no version {version:?}; `stepwell versions list` shows those it has", script.name);
        ApiError::new(404, NO_VERSION, message)
    })
}

fn summary(row: &DeploymentRow) -> Result<Value, ApiError> {
    let created_on = Iso(row.created_at);
    Ok(json!({
        "id": public_ids::version(row.id),
        "number": row.id.0,
        "annotations": settings_of(row)?.annotations,
        "metadata": {
            "author_email": "", "author_id": "", "source": DEPLOYED_FROM, "hasPreview": false,
            "created_on": created_on, "modified_on": created_on,
        },
        "is_current": row.is_current,
        "live_instances": row.live_instances,
    }))
}

async fn detail(api: &Api, row: &DeploymentRow) -> Result<Value, ApiError> {
    let mut view = summary(row)?;
    view["resources"] = resources(api, row).await?;
    view["startup_time_ms"] = json!(0);
    Ok(view)
}
