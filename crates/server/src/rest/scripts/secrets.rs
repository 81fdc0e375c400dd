//! Secrets of a script. Their values go in and never come out.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, State};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use stepwell_store::ScopedName;

use super::view;
use crate::api_error::ApiError;
use crate::rest::envelope::{Reply, success};
use crate::rest::resource::{Named, Part};
use crate::rest::{Api, body, public_ids, upload};
use crate::script::{BINDING_NAME_RULE, is_binding_name};
use crate::secrets::{SECRET_TEXT, TEXT_BYTES_MAX, TextChange};

/// Cloudflare's code of a name that another binding has.
const NAME_TAKEN: u32 = 10_053;
/// Cloudflare's code of a secret that there is not.
const NO_SECRET: u32 = 10_056;

/// A secret.
#[derive(Deserialize, JsonSchema)]
pub struct NewSecret {
    name: String,
    text: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SecretText")]
struct Text {
    text: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Secrets by name; `null` removes one.
#[derive(Deserialize, JsonSchema)]
pub struct Bulk {
    secrets: BTreeMap<String, Option<Text>>,
}

/// Secrets by name; `null` removes one.
#[derive(Deserialize, JsonSchema)]
pub struct Latest {
    env: BTreeMap<String, Option<Text>>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    bindings: Vec<Value>,
}

/// Their names.
pub async fn list(State(api): State<Api>, Named(script): Named) -> Reply {
    view::current(&api, &script).await?;
    let secrets = api.platform.store.secrets(&script).await?;
    Ok(success(secrets.into_iter().map(|secret| shown(&secret.name)).collect::<Vec<_>>()))
}

/// Sets one.
pub async fn put(State(api): State<Api>, Named(script): Named, bytes: Bytes) -> Reply {
    let NewSecret { name, text, kind } = body::parse(&bytes)?;
    let change = checked(name.clone(), Some(Text { text, kind }))?;
    apply(&api, &script, vec![change]).await?;
    Ok(success(shown(&name)))
}

/// That there is one.
pub async fn show(State(api): State<Api>, Part(script, name): Part) -> Reply {
    check_known(&api, &script, &name).await?;
    Ok(success(shown(&name)))
}

/// Removes one.
pub async fn delete(State(api): State<Api>, Part(script, name): Part) -> Reply {
    check_known(&api, &script, &name).await?;
    api.deploy.change_secrets(script, vec![(name, None)]).await?;
    Ok(success(Value::Null))
}

/// Sets and removes many at once.
pub async fn patch_bulk(State(api): State<Api>, Named(script): Named, bytes: Bytes) -> Reply {
    let Bulk { secrets } = body::parse(&bytes)?;
    apply(&api, &script, checked_all(secrets)?).await?;
    Ok(success(json!({ "name": script.name })))
}

/// With a version that is made for them, and is not current yet.
pub async fn patch_latest(State(api): State<Api>, Named(script): Named, bytes: Bytes) -> Reply {
    let Latest { env, annotations } = body::parse(&bytes)?;
    let changes = checked_all(env)?;
    refuse_taken_names(&api, &script, &changes).await?;
    let row = api.deploy.version_with_secrets(script, changes, annotations).await?;
    Ok(success(json!({ "id": public_ids::version(row.id), "number": row.id.0 })))
}

/// At once, as older clients say it: all bindings, of which only secrets may be new.
pub async fn patch_settings(
    State(api): State<Api>,
    Named(script): Named,
    parts: Result<Multipart, MultipartRejection>,
) -> Reply {
    let mut parts = parts.map_err(upload::no_multipart)?;
    let mut settings = Settings { bindings: Vec::new() };
    while let Some(part) = parts.next_field().await.map_err(|error| ApiError::bad_request(error.body_text()))? {
        if part.name() == Some("settings") {
            let bytes = part.bytes().await.map_err(|error| ApiError::bad_request(error.body_text()))?;
            settings = body::parse(&bytes)?;
        }
    }
    let row = view::current(&api, &script).await?;
    let known = view::bindings(&api, &row, &view::settings_of(&row)?).await?;
    let changes = settings.bindings.iter().filter_map(|binding| secret_of(binding, &known).transpose());
    let changes = changes.collect::<Result<Vec<_>, _>>()?;
    apply(&api, &script, changes).await?;
    Ok(success(view::settings(&api, &script).await?))
}

/// The secret that a binding sets; `None` where it only says what is there already.
fn secret_of(binding: &Value, known: &[Value]) -> Result<Option<TextChange>, ApiError> {
    let name = binding["name"].as_str().unwrap_or_default();
    if binding["type"] == SECRET_TEXT {
        let Some(text) = binding["text"].as_str() else { return Ok(None) };
        return checked(name.to_owned(), Some(Text { text: text.to_owned(), kind: None })).map(Some);
    }
    let is_there = known.iter().any(|other| other["name"] == binding["name"]);
    if is_there {
        Ok(None)
    } else {
        Err(ApiError::bad_request(format!("binding {name:?} is new: deploy the Worker to add it")))
    }
}

fn checked_all(secrets: BTreeMap<String, Option<Text>>) -> Result<Vec<TextChange>, ApiError> {
    secrets.into_iter().map(|(name, text)| checked(name, text)).collect()
}

fn checked(name: String, text: Option<Text>) -> Result<TextChange, ApiError> {
    let Some(Text { text, kind }) = text else { return Ok((name, None)) };
    if !is_binding_name(&name) {
        return Err(ApiError::bad_request(format!("{name:?} cannot name a secret: {BINDING_NAME_RULE}")));
    }
    if let Some(kind) = kind.filter(|kind| kind != SECRET_TEXT) {
        return Err(ApiError::bad_request(format!(
            "secret {name:?} is of type {kind:?}; this server keeps {SECRET_TEXT:?}"
        )));
    }
    if text.len() > TEXT_BYTES_MAX {
        let bytes = text.len();
        let message = format!("secret {name:?} has {bytes} bytes; the maximum is {TEXT_BYTES_MAX}");
        return Err(ApiError::new(413, 10_413, message));
    }
    Ok((name, Some(text)))
}

async fn check_known(api: &Api, script: &ScopedName, name: &str) -> Result<(), ApiError> {
    view::current(api, script).await?;
    let known = api.platform.store.secrets(script).await?;
    if known.iter().any(|secret| secret.name == name) {
        return Ok(());
    }
    let message = format!("Worker {:?} has no secret {name:?}; `stepwell secret list` shows those it has", script.name);
    Err(ApiError::new(404, NO_SECRET, message))
}

async fn apply(api: &Api, script: &ScopedName, changes: Vec<TextChange>) -> Result<(), ApiError> {
    refuse_taken_names(api, script, &changes).await?;
    api.deploy.change_secrets(script.clone(), changes).await
}

/// A secret cannot have the name of another member of `env`.
async fn refuse_taken_names(api: &Api, script: &ScopedName, changes: &[TextChange]) -> Result<(), ApiError> {
    let settings = view::settings_of(&view::current(api, script).await?)?;
    let is_set = |name: &str| changes.iter().any(|(other, text)| other == name && text.is_some());
    match settings.bindings.iter().find(|binding| is_set(binding.name())) {
        Some(taken) => {
            let (name, kind) = (taken.name(), taken.kind());
            let message = format!(
                "Binding name {name:?} already in use, by one of type {kind}. Remove that from the Worker's configuration and deploy, or use another name."
            );
            Err(ApiError::new(400, NAME_TAKEN, message))
        }
        None => Ok(()),
    }
}

fn shown(name: &str) -> Value {
    json!({ "name": name, "type": SECRET_TEXT })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_secrets_may_be_new_in_settings() {
        let known = [json!({ "type": "plain_text", "name": "VAR", "text": "1" })];
        let secret = json!({ "type": SECRET_TEXT, "name": "KEY", "text": "hidden" });
        assert_eq!(secret_of(&secret, &known), Ok(Some(("KEY".to_owned(), Some("hidden".to_owned())))));
        assert_eq!(secret_of(&json!({ "type": SECRET_TEXT, "name": "OLD" }), &known), Ok(None));
        assert_eq!(secret_of(&json!({ "type": "plain_text", "name": "VAR" }), &known), Ok(None));
        let error = secret_of(&json!({ "type": "plain_text", "name": "NEW", "text": "" }), &known).expect_err("new");
        assert!(error.message.contains("NEW"), "{}", error.message);
    }

    #[test]
    fn a_bad_secret_is_refused_by_name() {
        let text = |text: &str, kind: Option<&str>| Text { text: text.to_owned(), kind: kind.map(str::to_owned) };
        for (name, given) in
            [("", text("a", None)), ("K", text("a", Some("key"))), ("K", text(&"a".repeat(6_000), None))]
        {
            let error = checked(name.to_owned(), Some(given)).expect_err(name);
            assert!(name.is_empty() || error.message.contains("\"K\""), "{}", error.message);
        }
    }
}
