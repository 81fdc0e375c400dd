//! The end of a version that nobody needs, asked for by hand. (What retires old ones by itself is [`crate::retirement`].)

use axum::extract::State;
use serde_json::json;
use stepwell_store::{ChangeError, DeploymentRow, InstanceRow};

use super::versions;
use crate::api_error::ApiError;
use crate::platform::Platform;
use crate::rest::envelope::{Reply, success};
use crate::rest::resource::Part;
use crate::rest::{Api, public_ids};

/// Instances that a refusal names.
const NAMED_MAX: usize = 10;

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
