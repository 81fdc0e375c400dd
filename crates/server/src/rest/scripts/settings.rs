//! Settings of a script, and those that belong to none of its versions.

use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Map, Value};
use stepwell_store::ScopedName;

use super::view;
use crate::api_error::ApiError;
use crate::rest::envelope::{Reply, success};
use crate::rest::resource::Named;
use crate::rest::upload_script::APART;
use crate::rest::{Api, body};

/// Bytes of what is kept for a script.
const SETTINGS_BYTES_MAX: usize = 64 << 10;

/// Of the current version, with what was set apart from it.
pub async fn show(State(api): State<Api>, Named(script): Named) -> Reply {
    Ok(success(view::settings(&api, &script).await?))
}

/// What was set apart.
pub async fn show_apart(State(api): State<Api>, Named(script): Named) -> Reply {
    Ok(success(view::script_settings(&api, &script).await?))
}

/// Sets some of it; what this server has no use for is kept and shown.
pub async fn patch_apart(State(api): State<Api>, Named(script): Named, bytes: Bytes) -> Reply {
    change_apart(&api, &script, body::parse(&bytes)?).await?;
    Ok(success(view::script_settings(&api, &script).await?))
}

/// What an upload says of the script itself.
pub fn apart_from(metadata: &Value) -> Map<String, Value> {
    let said = APART.iter().filter_map(|name| Some(((*name).to_owned(), metadata.get(name)?.clone())));
    said.collect()
}

/// Sets some of what belongs to no version.
///
/// # Errors
/// 404 where there is no such script, 413 where it is too much.
pub async fn change_apart(api: &Api, script: &ScopedName, changes: Map<String, Value>) -> Result<(), ApiError> {
    if changes.is_empty() {
        return Ok(());
    }
    let row = api.platform.store.script(script).await?.ok_or_else(|| ApiError::no_script(script))?;
    let mut settings: Value = serde_json::from_str(&row.settings).map_err(ApiError::internal)?;
    view::merge(&mut settings, Value::Object(changes));
    let text = settings.to_string();
    if text.len() > SETTINGS_BYTES_MAX {
        return Err(ApiError::new(413, 10_413, format!("the settings have more than {SETTINGS_BYTES_MAX} bytes")));
    }
    api.platform.store.put_script_settings(script, text).await?;
    Ok(())
}
