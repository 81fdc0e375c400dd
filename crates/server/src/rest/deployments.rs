//! Paths of a script's deployments, each of which is one version: list, and delete one that nobody needs.

use axum::extract::{Path, State};
use serde_json::{Value, json};
use stepwell_store::{ChangeError, DeploymentRow, InstanceRow};

use super::envelope::{Reply, success};
use super::times::Iso;
use super::{Api, public_ids};
use crate::api_error::ApiError;
use crate::platform::Platform;

/// Instances that a refusal names.
const NAMED_MAX: usize = 10;

/// The current deployment first, then the others, newest first.
pub async fn list(State(api): State<Api>, Path((_, script)): Path<(String, String)>) -> Reply {
    let rows = rows(&api, &script).await?;
    Ok(success(json!({ "deployments": rows.iter().map(deployment_view).collect::<Vec<_>>() })))
}

/// As versions, newest first.
pub async fn versions(State(api): State<Api>, Path((_, script)): Path<(String, String)>) -> Reply {
    let mut rows = rows(&api, &script).await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    Ok(success(json!({ "items": rows.iter().map(version_view).collect::<Vec<_>>() })))
}

/// Deletes a deployment, named by its id or its number.
pub async fn delete(State(api): State<Api>, Path((_, script, id)): Path<(String, String, String)>) -> Reply {
    let number = id.parse().ok();
    let wanted = public_ids::deployment(&id).or(number.map(stepwell_engine::DeploymentId));
    let rows = rows(&api, &script).await?;
    let row = rows
        .iter()
        .find(|row| Some(row.id) == wanted)
        .ok_or_else(|| ApiError::new(404, 10_007, format!("script {script:?} has no deployment {id:?}")))?;
    match api.platform.store.delete_deployment(row.id).await {
        Ok(_) => Ok(success(json!({ "id": public_ids::version(row.id) }))),
        Err(ChangeError::DeploymentNeeded { instances, .. }) => {
            Err(needed(&api.platform, row, instances).await?.into())
        }
        Err(other) => Err(ApiError::from(other).into()),
    }
}

async fn rows(api: &Api, script: &str) -> Result<Vec<DeploymentRow>, ApiError> {
    let mut rows = api.platform.store.deployments(script).await?;
    if rows.is_empty() {
        return Err(ApiError::no_script(script));
    }
    rows.sort_by_key(|row| (!row.is_current, std::cmp::Reverse(row.id)));
    Ok(rows)
}

fn deployment_view(row: &DeploymentRow) -> Value {
    let id = public_ids::version(row.id);
    json!({
        "id": id,
        "source": "api",
        "strategy": "percentage",
        "author_email": "",
        "annotations": {},
        "created_on": Iso(row.created_at),
        "versions": [{ "version_id": id, "percentage": 100 }],
        "deployment": row.id.0,
        "is_current": row.is_current,
        "live_instances": row.live_instances,
    })
}

fn version_view(row: &DeploymentRow) -> Value {
    let at = Iso(row.created_at);
    json!({
        "id": public_ids::version(row.id),
        "number": row.id.0,
        "metadata": { "author_email": "", "author_id": "", "created_on": at, "modified_on": at, "source": "api" },
        "annotations": {},
        "is_current": row.is_current,
        "live_instances": row.live_instances,
    })
}

/// Says who needs a deployment.
async fn needed(platform: &Platform, row: &DeploymentRow, instances: u64) -> Result<ApiError, ApiError> {
    let pinned = platform.store.pinned_instances(row.id, NAMED_MAX).await?;
    let workflows = platform.store.workflows().await?;
    let name_of = |instance: &InstanceRow| {
        let workflow = workflows.iter().find(|workflow| workflow.id == instance.workflow);
        format!("{}/{}", workflow.map_or("?", |workflow| workflow.name.as_str()), instance.id)
    };
    let names = pinned.iter().map(name_of).collect::<Vec<_>>().join(", ");
    let others = instances.saturating_sub(pinned.len() as u64);
    let more = if others > 0 { format!(" and {others} more") } else { String::new() };
    let message = format!(
        "deployment {} is needed by {instances} unfinished instance(s): {names}{more}; let them end or terminate them first",
        row.id
    );
    Ok(ApiError::new(409, 20_409, message))
}
