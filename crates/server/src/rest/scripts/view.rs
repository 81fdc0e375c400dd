//! What a script looks like from outside: its bindings and its settings in Cloudflare's words.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stepwell_store::{DeploymentRow, ScopedName};

use crate::api_error::ApiError;
use crate::rest::Api;
use crate::script::{ScriptBinding, ScriptSettings};
use crate::secrets::SECRET_TEXT;

/// Who deploys, as far as clients ask: anything else makes wrangler warn that it overwrites another's work.
pub const DEPLOYED_FROM: &str = "wrangler";
const USAGE_MODEL: &str = "standard";

/// The settings of a deployment.
///
/// # Errors
/// Where a newer version of the server wrote them.
pub fn settings_of(row: &DeploymentRow) -> Result<ScriptSettings, ApiError> {
    serde_json::from_str(&row.settings).map_err(ApiError::internal)
}

/// The current deployment of a script.
///
/// # Errors
/// 404 where there is no such script.
pub async fn current(api: &Api, script: &ScopedName) -> Result<DeploymentRow, ApiError> {
    api.platform.store.current_deployment(script).await?.ok_or_else(|| ApiError::no_script(script))
}

/// Members of `env`, secrets by name only.
pub async fn bindings(api: &Api, row: &DeploymentRow, settings: &ScriptSettings) -> Result<Vec<Value>, ApiError> {
    let secrets = secret_names(api, row, settings).await?;
    let secrets = secrets.into_iter().map(|name| json!({ "type": SECRET_TEXT, "name": name }));
    Ok(settings.bindings.iter().map(|one| binding(one, settings)).chain(secrets).collect())
}

/// Secrets of a version: those of its script, and where it never was current, what it changes of them.
async fn secret_names(api: &Api, row: &DeploymentRow, settings: &ScriptSettings) -> Result<BTreeSet<String>, ApiError> {
    let store = &api.platform.store;
    let mut names = store.secrets(&settings.script).await?.into_iter().map(|secret| secret.name).collect();
    if !settings.secret_changes.is_empty() {
        let releases = store.releases(&settings.script).await?;
        if releases.iter().all(|release| release.deployment != row.id) {
            settings.secret_changes.apply(&mut names);
        }
    }
    Ok(names)
}

fn binding(binding: &ScriptBinding, settings: &ScriptSettings) -> Value {
    match binding {
        ScriptBinding::PlainText { name, text } => json!({ "type": "plain_text", "name": name, "text": text }),
        ScriptBinding::Json { name, json } => json!({ "type": "json", "name": name, "json": json }),
        ScriptBinding::Workflow { name, workflow_name } => {
            let own = settings.workflows.iter().find(|workflow| workflow.name == *workflow_name);
            json!({
                "type": "workflow", "name": name, "workflow_name": workflow_name,
                "class_name": own.map(|workflow| &workflow.class_name),
                "script_name": own.map(|_| &settings.script.name),
            })
        }
        ScriptBinding::D1 { name, id, .. } => json!({ "type": "d1", "name": name, "id": id, "database_id": id }),
        ScriptBinding::Service { name, service } => json!({ "type": "service", "name": name, "service": service }),
    }
}

/// What a version is made of.
pub async fn resources(api: &Api, row: &DeploymentRow) -> Result<Value, ApiError> {
    let settings = settings_of(row)?;
    Ok(json!({
        "bindings": bindings(api, row, &settings).await?,
        "script": { "etag": row.content_id, "handlers": ["fetch"], "last_deployed_from": DEPLOYED_FROM },
        "script_runtime": {
            "compatibility_date": settings.compatibility_date,
            "compatibility_flags": settings.compatibility_flags,
            "usage_model": USAGE_MODEL,
            "limits": limits(&settings),
        },
    }))
}

/// Settings of the current deployment, and what was set apart from it.
pub async fn settings(api: &Api, script: &ScopedName) -> Result<Value, ApiError> {
    let row = current(api, script).await?;
    let settings = settings_of(&row)?;
    let mut view = json!({
        "bindings": bindings(api, &row, &settings).await?,
        "compatibility_date": settings.compatibility_date,
        "compatibility_flags": settings.compatibility_flags,
        "usage_model": USAGE_MODEL,
        "limits": limits(&settings),
        "annotations": settings.annotations,
        "placement": {},
    });
    merge(&mut view, Value::Object(settings.other));
    merge(&mut view, script_settings(api, script).await?);
    Ok(view)
}

/// What was set for a script and belongs to none of its deployments.
pub async fn script_settings(api: &Api, script: &ScopedName) -> Result<Value, ApiError> {
    let row = api.platform.store.script(script).await?.ok_or_else(|| ApiError::no_script(script))?;
    let mut view = json!({ "logpush": false, "observability": null, "tags": [], "tail_consumers": null });
    merge(&mut view, serde_json::from_str(&row.settings).map_err(ApiError::internal)?);
    Ok(view)
}

/// Members of `other` take the place of those of the same name.
pub fn merge(object: &mut Value, other: Value) {
    if let (Value::Object(object), Value::Object(other)) = (object, other) {
        object.extend(other);
    }
}

fn limits(settings: &ScriptSettings) -> Value {
    settings.cpu_ms.map_or_else(|| json!({}), |cpu_ms| json!({ "cpu_ms": cpu_ms }))
}
