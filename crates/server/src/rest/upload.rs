//! An upload of a script: a multipart body of `metadata` and one part for each module, as wrangler sends it.
//!
//! Here it is only taken apart; what it means, and whether it can run, is the deployment's business ([`Deploy`]).

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;
use stepwell_engine::names;
use stepwell_store::{DeploymentRow, ScopedName};

use super::limits::{SCRIPT_BYTES_MAX, UPLOAD_BYTES_MAX, UPLOAD_MODULES_MAX};
use super::objects;
use crate::api_error::ApiError;
use crate::d1::names as d1;
use crate::script::{BINDING_NAME_RULE, ScriptModule, ScriptModuleKind, is_binding_name};
use crate::secrets::{TEXT_BYTES_MAX, TextChange};

/// Cloudflare's code of a script that cannot be.
const SCRIPT_INVALID: u32 = 10_021;
/// Cloudflare's code of a script that is too large.
const SCRIPT_TOO_LARGE: u32 = 10_027;
/// The part of an upload that says what the others are.
pub const METADATA: &str = "metadata";

/// Takes uploads and makes deployments of them.
pub trait Deploy: Send + Sync {
    /// Makes the upload the current deployment of its script. Durable when it returns.
    ///
    /// # Errors
    /// Where the script cannot run here, saying why.
    fn deploy(&self, upload: ScriptUpload) -> BoxFuture<'_, Result<DeploymentRow, ApiError>>;
    /// Keeps the upload as a version of a script that there is, without making it current. Durable when it returns.
    ///
    /// # Errors
    /// Where the script does not exist or cannot run here, saying why.
    fn upload_version(&self, upload: ScriptUpload) -> BoxFuture<'_, Result<DeploymentRow, ApiError>>;
    /// Makes a version current, with the secrets that change with it. `note` is JSON text. Durable when it returns.
    ///
    /// # Errors
    /// Where there is no such version.
    fn release(&self, version: DeploymentRow, note: String) -> BoxFuture<'_, Result<(), ApiError>>;
    /// Changes secrets; what runs from then on sees them. Durable when it returns.
    ///
    /// # Errors
    /// Where they cannot be made durable.
    fn change_secrets(&self, script: ScopedName, changes: Vec<TextChange>) -> BoxFuture<'_, Result<(), ApiError>>;
    /// Keeps the newest version once more, as one whose secrets change when it becomes current.
    ///
    /// # Errors
    /// As [`Deploy::upload_version`].
    fn version_with_secrets(
        &self,
        script: ScopedName,
        changes: Vec<TextChange>,
        annotations: BTreeMap<String, String>,
    ) -> BoxFuture<'_, Result<DeploymentRow, ApiError>>;
}

/// A script as it was uploaded.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptUpload {
    /// Name of the script.
    pub name: ScopedName,
    /// Name of the module with the exports; it is among the modules.
    pub main_module: String,
    /// In the order of the upload.
    pub modules: Vec<ScriptModule>,
    /// `YYYY-MM-DD`; empty where the upload has none.
    pub compatibility_date: String,
    /// As the user wrote them.
    pub compatibility_flags: Vec<String>,
    /// Members of `env`.
    pub bindings: Vec<UploadBinding>,
    /// All of it, for what is not taken apart here.
    pub metadata: Value,
}

/// A member of `env`, as far as this server has such members.
#[derive(Debug, Clone, PartialEq)]
pub enum UploadBinding {
    /// A string.
    PlainText { name: String, text: String },
    /// A JSON value.
    Json { name: String, json: Value },
    /// A secret.
    Secret { name: String, text: String },
    /// A workflow; `script_name` where its class is in another script.
    Workflow { name: String, workflow_name: String, class_name: Option<String>, script_name: Option<String> },
    /// A D1 database, and its name where the configuration tells one.
    D1 { name: String, id: String, database_name: Option<String> },
    /// Another script.
    Service { name: String, service: String, entrypoint: Option<String> },
    /// The member of that name of the deployment before.
    Inherit { name: String },
    /// What this server does not have.
    Other { name: String, kind: String },
}

#[derive(Deserialize)]
struct Metadata {
    main_module: Option<String>,
    body_part: Option<String>,
    #[serde(default)]
    bindings: Vec<Value>,
    compatibility_date: Option<String>,
    #[serde(default)]
    compatibility_flags: Vec<String>,
}

/// The shapes of bindings on the wire.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum KnownBinding {
    PlainText {
        name: String,
        text: String,
    },
    Json {
        name: String,
        json: Value,
    },
    SecretText {
        name: String,
        text: String,
    },
    Workflow {
        name: String,
        workflow_name: String,
        class_name: Option<String>,
        script_name: Option<String>,
    },
    D1 {
        name: String,
        #[serde(alias = "database_id")]
        id: String,
        database_name: Option<String>,
    },
    Service {
        name: String,
        service: String,
        entrypoint: Option<String>,
    },
    Inherit {
        name: String,
    },
}

#[derive(Deserialize)]
struct AnyBinding {
    #[serde(rename = "type")]
    kind: String,
    name: String,
}

/// Takes an upload apart.
///
/// # Errors
/// 400 naming the part that is wrong, 413 for one that is too large.
pub async fn read(name: ScopedName, mut parts: Multipart) -> Result<ScriptUpload, ApiError> {
    let (mut metadata, mut modules) = (None, Vec::new());
    while let Some(part) = parts.next_field().await.map_err(multipart_error)? {
        if part.name() == Some(METADATA) && metadata.is_none() {
            metadata = Some(part.bytes().await.map_err(multipart_error)?);
        } else {
            modules.push(read_module(part).await?);
        }
        if modules.len() > UPLOAD_MODULES_MAX {
            return Err(ApiError::bad_request(format!("an upload has at most {UPLOAD_MODULES_MAX} modules")));
        }
    }
    let Some(metadata) = metadata else {
        return Err(ApiError::bad_request("the upload has no part named \"metadata\""));
    };
    assemble(name, &metadata, modules)
}

async fn read_module(part: Field<'_>) -> Result<ScriptModule, ApiError> {
    let name = part.file_name().or(part.name()).unwrap_or_default().to_owned();
    let content_type = part.content_type().unwrap_or_default().to_owned();
    let Some(kind) = ScriptModuleKind::of_content_type(&content_type) else {
        let message = format!(
            "module {name:?} is of type {content_type:?}, which does not run here: JavaScript, WebAssembly, JSON, text and data do"
        );
        return Err(ApiError::new(400, SCRIPT_INVALID, message));
    };
    Ok(ScriptModule { name, kind, bytes: part.bytes().await.map_err(multipart_error)?.into() })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn multipart_error(error: MultipartError) -> ApiError {
    match error.status().as_u16() {
        413 => too_large("the upload", UPLOAD_BYTES_MAX),
        status => ApiError::new(status, 10_001, format!("the upload: {}", error.body_text())),
    }
}

/// A request that is no upload.
///
/// # Errors
/// Always, in words of ours.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub fn no_multipart(refused: MultipartRejection) -> ApiError {
    let message = format!(
        "{}: send `multipart/form-data` with a part {METADATA:?} (JSON) and one part for each module",
        refused.body_text()
    );
    ApiError::new(415, 10_001, message)
}

fn too_large(what: &str, bytes_max: usize) -> ApiError {
    let mib_max = bytes_max >> 20;
    let message = format!("{what} is larger than {mib_max} MiB: leave out what it does not need, or minify it");
    ApiError::new(413, SCRIPT_TOO_LARGE, message)
}

fn check_modules(modules: &[ScriptModule]) -> Result<(), ApiError> {
    let mut names = BTreeSet::new();
    if let Some(twice) = modules.iter().find(|module| !names.insert(module.name.as_str())) {
        return Err(ApiError::new(400, SCRIPT_INVALID, format!("module {:?} is there twice", twice.name)));
    }
    let code = modules.iter().filter(|module| module.kind != ScriptModuleKind::SourceMap);
    let bytes: usize = code.map(|module| module.bytes.len()).sum();
    if bytes > SCRIPT_BYTES_MAX {
        return Err(too_large("the script", SCRIPT_BYTES_MAX));
    }
    Ok(())
}

fn assemble(name: ScopedName, metadata: &[u8], modules: Vec<ScriptModule>) -> Result<ScriptUpload, ApiError> {
    let whole: Value = serde_json::from_slice(metadata).map_err(metadata_error)?;
    let read: Metadata = objects::read(metadata).map_err(metadata_error)?;
    if read.body_part.is_some() {
        let message = "service-worker syntax has no classes and so no workflows: export them from an ES module";
        return Err(ApiError::new(400, SCRIPT_INVALID, message));
    }
    let Some(main_module) = read.main_module else {
        return Err(ApiError::new(400, SCRIPT_INVALID, "metadata: main_module is missing"));
    };
    check_modules(&modules)?;
    if !modules.iter().any(|module| module.name == main_module) {
        let message = format!("main_module {main_module:?} is not among the uploaded modules");
        return Err(ApiError::new(400, SCRIPT_INVALID, message));
    }
    Ok(ScriptUpload {
        name,
        main_module,
        modules,
        compatibility_date: read.compatibility_date.unwrap_or_default(),
        compatibility_flags: read.compatibility_flags,
        bindings: read.bindings.into_iter().map(binding).collect::<Result<_, _>>()?,
        metadata: whole,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn metadata_error(error: serde_json::Error) -> ApiError {
    ApiError::bad_request(format!("metadata: {error}"))
}

fn binding(value: Value) -> Result<UploadBinding, ApiError> {
    let AnyBinding { kind, name } = objects::read_value(&value).map_err(metadata_error)?;
    let is_known =
        ["plain_text", "json", "secret_text", "workflow", "d1", "service", "inherit"].contains(&kind.as_str());
    if !is_known {
        return Ok(UploadBinding::Other { name, kind });
    }
    let known = serde_json::from_value(value)
        .map_err(|error| ApiError::bad_request(format!("metadata: binding {name:?} of type {kind}: {error}")))?;
    let binding = match known {
        KnownBinding::PlainText { name, text } => UploadBinding::PlainText { name, text },
        KnownBinding::Json { name, json } => UploadBinding::Json { name, json },
        KnownBinding::SecretText { name, text } => UploadBinding::Secret { name, text },
        KnownBinding::Workflow { name, workflow_name, class_name, script_name } => {
            UploadBinding::Workflow { name, workflow_name, class_name, script_name }
        }
        KnownBinding::D1 { name, id, database_name } => UploadBinding::D1 { name, id, database_name },
        KnownBinding::Service { name, service, entrypoint } => UploadBinding::Service { name, service, entrypoint },
        KnownBinding::Inherit { name } => UploadBinding::Inherit { name },
    };
    check(&name, &binding).map_err(|wrong| {
        ApiError::new(400, SCRIPT_INVALID, format!("metadata: binding {name:?} of type {kind}: {wrong}"))
    })?;
    Ok(binding)
}

/// Holds a member of `env` to what other ways to make the same hold it to; says what is wrong and what is allowed.
fn check(name: &str, binding: &UploadBinding) -> Result<(), String> {
    if !is_binding_name(name) {
        return Err(format!("its name cannot stand in `env`: use {BINDING_NAME_RULE}"));
    }
    match binding {
        UploadBinding::Secret { text, .. } if text.len() > TEXT_BYTES_MAX => {
            Err(format!("its text has {} bytes; the maximum is {TEXT_BYTES_MAX}", text.len()))
        }
        UploadBinding::Workflow { workflow_name, .. } if !names::is_workflow_name(workflow_name) => {
            Err(format!("workflow_name {workflow_name:?} is not the name of a workflow: {}", names::WORKFLOW_NAME_RULE))
        }
        UploadBinding::D1 { id, .. } if !d1::is_id(id) => {
            Err(format!("id {id:?} is not the id of a database: {}", d1::ID_RULE))
        }
        UploadBinding::D1 { database_name: Some(name), .. } if !d1::is_name(name) => {
            Err(format!("database_name {name:?} is not the name of a database: {}", d1::NAME_RULE))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn module() -> ScriptModule {
        ScriptModule { name: "index.js".to_owned(), kind: ScriptModuleKind::EsModule, bytes: b"export {}".to_vec() }
    }

    #[test]
    fn what_is_too_large_or_there_twice_is_refused() {
        let large = |kind| ScriptModule { kind, bytes: vec![0; SCRIPT_BYTES_MAX], ..module() };
        let map = ScriptModule { name: "index.js.map".to_owned(), ..large(ScriptModuleKind::SourceMap) };
        assert_eq!(check_modules(&[module(), map]), Ok(()));
        let data = ScriptModule { name: "data".to_owned(), ..large(ScriptModuleKind::Data) };
        let error = check_modules(&[module(), data]).expect_err("too large");
        assert_eq!((error.status, error.code), (413, SCRIPT_TOO_LARGE));
        assert!(error.message.contains("64 MiB"), "{}", error.message);
        let error = check_modules(&[module(), module()]).expect_err("twice");
        assert!(error.message.contains("\"index.js\" is there twice"), "{}", error.message);
    }

    fn refused(metadata: &str) -> String {
        assemble(ScopedName::in_default("s"), metadata.as_bytes(), vec![module()]).expect_err(metadata).message
    }

    #[test]
    fn metadata_becomes_an_upload_and_is_kept_whole() {
        let metadata = r#"{"main_module":"index.js","compatibility_date":"2026-01-01","compatibility_flags":["nodejs_compat"],
            "bindings":[{"type":"workflow","name":"W","workflow_name":"w","class_name":"C"},{"type":"d1","name":"DB","id":"x"},
            {"type":"kv_namespace","name":"KV","namespace_id":"n"}],"observability":{"enabled":true}}"#;
        let upload = assemble(ScopedName::in_default("s"), metadata.as_bytes(), vec![module()]).expect("an upload");
        let workflow = UploadBinding::Workflow {
            name: "W".to_owned(),
            workflow_name: "w".to_owned(),
            class_name: Some("C".to_owned()),
            script_name: None,
        };
        let d1 = UploadBinding::D1 { name: "DB".to_owned(), id: "x".to_owned(), database_name: None };
        let kv = UploadBinding::Other { name: "KV".to_owned(), kind: "kv_namespace".to_owned() };
        assert_eq!(upload.bindings, [workflow, d1, kv]);
        assert_eq!(upload.metadata["observability"]["enabled"], true);
        assert_eq!((upload.compatibility_date.as_str(), upload.compatibility_flags.len()), ("2026-01-01", 1));
        let undated = br#"{"main_module":"index.js","compatibility_date":null}"#;
        let upload = assemble(ScopedName::in_default("s"), undated, vec![module()]).expect("an upload");
        assert_eq!(upload.compatibility_date, "");
    }

    #[test]
    fn a_member_of_env_is_held_to_what_other_ways_hold_it_to() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        for (name, kind, members, allowed) in [
            ("D", "d1", json!({ "id": "" }), "1 to 128"),
            ("D", "d1", json!({ "id": "a b" }), "1 to 128"),
            ("D", "d1", json!({ "id": "x", "database_name": "" }), "1 to 64"),
            ("W", "workflow", json!({ "workflow_name": "", "class_name": "C" }), "1 to 64"),
            ("W", "workflow", json!({ "workflow_name": "a b", "script_name": "other" }), "1 to 64"),
            ("S", "secret_text", json!({ "text": long }), "5120"),
            ("", "plain_text", json!({ "text": "x" }), "1 to 255"),
            ("a b\n\"", "json", json!({ "json": 1 }), "1 to 255"),
            ("__proto__", "secret_text", json!({ "text": "x" }), "`__proto__`"),
            ("__proto__", "service", json!({ "service": "other" }), "`__proto__`"),
        ] {
            let mut whole = json!({ "name": name, "type": kind });
            whole.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
            let metadata = json!({ "main_module": "index.js", "bindings": [whole] }).to_string();
            let error =
                assemble(ScopedName::in_default("s"), metadata.as_bytes(), vec![module()]).expect_err(&metadata);
            assert_eq!((error.status, error.code), (400, SCRIPT_INVALID), "{metadata}");
            let is_told = error.message.contains(&format!("binding {name:?}")) && error.message.contains(allowed);
            assert!(is_told, "{metadata}: {}", error.message);
        }
    }

    #[test]
    fn what_is_wrong_with_an_upload_is_named() {
        for (metadata, named) in [
            ("{", "line 1"),
            ("{}", "main_module"),
            (r#"{"main_module":"other.js"}"#, "other.js"),
            (r#"{"body_part":"index.js"}"#, "service-worker"),
            (r#"["index.js",null,[],null,[]]"#, "an object"),
            (r#"{"main_module":"index.js","bindings":[["d1","DB"]]}"#, "an object"),
            (r#"{"main_module":"index.js","bindings":[{"type":"d1","name":"DB"}]}"#, "\"DB\" of type d1"),
        ] {
            let message = refused(metadata);
            assert!(message.contains(named), "{metadata}: {message}");
        }
    }
}
