//! A script as Cloudflare's services have it: with one environment. And what else clients ask before they delete it.

use axum::extract::State;
use serde_json::json;

use super::view::{DEPLOYED_FROM, current, script_settings, settings_of};
use crate::api_error::ApiError;
use crate::rest::Api;
use crate::rest::envelope::{Reply, success};
use crate::rest::resource::Named;
use crate::rest::times::Iso;

/// Cloudflare's code of a service that there is not.
const NO_SERVICE: u32 = 10_090;
const ENVIRONMENT: &str = "production";

pub async fn show(State(api): State<Api>, Named(script): Named) -> Reply {
    let Some(row) = api.platform.store.script(&script).await? else {
        return Err(ApiError { code: NO_SERVICE, ..ApiError::no_script(&script) }.into());
    };
    let deployment = current(&api, &script).await?;
    let settings = settings_of(&deployment)?;
    let (created_on, modified_on) = (Iso(row.created_at), Iso(row.modified_at));
    let tags = &script_settings(&api, &script).await?["tags"];
    let environment = json!({
        "environment": ENVIRONMENT,
        "created_on": created_on,
        "modified_on": modified_on,
        "script": {
            "id": script.name, "tag": deployment.content_id, "tags": tags, "etag": deployment.content_id,
            "handlers": ["fetch"], "usage_model": "standard", "last_deployed_from": DEPLOYED_FROM,
            "compatibility_date": settings.compatibility_date, "compatibility_flags": settings.compatibility_flags,
            "created_on": created_on, "modified_on": modified_on,
        },
    });
    Ok(success(json!({
        "id": script.name, "created_on": created_on, "modified_on": modified_on,
        "default_environment": environment, "environments": [{ "environment": ENVIRONMENT }],
    })))
}

/// Who is bound to the script: other scripts' services.
pub async fn references(State(api): State<Api>, Named(script): Named) -> Reply {
    current(&api, &script).await?;
    let mut incoming = Vec::new();
    let scripts = api.platform.store.scripts().await?;
    for other in scripts.into_iter().filter(|other| other.name.account == script.account) {
        let settings = settings_of(&current(&api, &other.name).await?)?;
        for binding in &settings.bindings {
            if let crate::script::ScriptBinding::Service { name, service } = binding
                && *service == script.name
            {
                incoming.push(json!({ "service": other.name.name, "environment": ENVIRONMENT, "name": name }));
            }
        }
    }
    Ok(success(json!({ "services": { "incoming": incoming, "outgoing": [] } })))
}

/// Lists of what this server does not have.
pub async fn none() -> Reply {
    Ok(success([(); 0]))
}
