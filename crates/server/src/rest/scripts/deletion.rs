//! The end of a script, and of a version that nobody needs, asked for by hand. (What retires old versions by itself is
//! [`crate::retirement`].)

use axum::extract::{Query, State};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use stepwell_store::{ChangeError, DeploymentRow, InstanceRow, WorkflowRow};

use super::versions;
use crate::api_error::ApiError;
use crate::platform::Platform;
use crate::rest::envelope::{Reply, success};
use crate::rest::resource::{Named, Part};
use crate::rest::{Api, public_ids, sweep};

/// Instances that a refusal names.
const NAMED_MAX: usize = 10;

#[derive(Deserialize, JsonSchema)]
pub struct Params {
    /// With whatever needs it.
    #[serde(default)]
    force: bool,
}

/// Deletes a script with its workflows, where these have no instances, or by force.
pub async fn delete_script(State(api): State<Api>, Named(script): Named, Query(params): Query<Params>) -> Reply {
    let mut workflows = api.platform.store.workflows().await?;
    workflows.retain(|workflow| workflow.script == script);
    if !params.force {
        for workflow in &workflows {
            refuse_instances(&api.platform, workflow).await?;
        }
    }
    for workflow in &workflows {
        // First of all, so that no schedule creates what is being deleted.
        api.registry.removed(workflow.id).await;
        sweep::delete_workflow(&api.platform, workflow).await?;
    }
    if api.platform.store.delete_script(&script).await? {
        Ok(success(json!({ "id": script.name })))
    } else {
        Err(ApiError::no_script(&script).into())
    }
}

async fn refuse_instances(platform: &Platform, workflow: &WorkflowRow) -> Result<(), ApiError> {
    let instances: u64 = platform.store.counters(workflow.id).await?.iter().sum();
    if instances == 0 {
        return Ok(());
    }
    let (script, name) = (&workflow.script.name, &workflow.name.name);
    let message = format!(
        "Worker {script:?} has workflow {name:?} with {instances} instance(s): delete them with `stepwell workflows delete {name}`, \
         or everything with `stepwell delete --force`"
    );
    Err(ApiError::new(409, 20_409, message))
}

/// Deletes a version, named by its id.
pub async fn delete(State(api): State<Api>, Part(script, version): Part) -> Reply {
    let row = versions::find(&api, &script, &version).await?;
    match api.platform.store.delete_deployment(row.id).await {
        Ok(_) => Ok(success(json!({ "id": public_ids::version(row.id) }))),
        Err(ChangeError::DeploymentNeeded { instances, .. }) => {
            Err(needed(&api.platform, &row, instances).await?.into())
        }
        Err(other) => Err(ApiError::from(other).into()),
    }
}

/// Says who needs a version.
async fn needed(platform: &Platform, row: &DeploymentRow, instances: u64) -> Result<ApiError, ApiError> {
    let pinned = platform.store.pinned_instances(row.id, NAMED_MAX).await?;
    let workflows = platform.store.workflows().await?;
    let name_of = |instance: &InstanceRow| {
        let workflow = workflows.iter().find(|workflow| workflow.id == instance.workflow);
        format!("{}/{}", workflow.map_or("?", |workflow| workflow.name.name.as_str()), instance.id)
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
