//! A bundled project as the API takes it: the upload of the script, and what is set of each of its workflows. wrangler sends the
//! same.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Map, Value, json};

use super::client::Body;
use super::version::{MESSAGE, TAG};
use crate::multipart::Multipart;
use crate::project::bundle::Bundle;
use crate::project::{ModuleKind, ProjectConfig, Var, WorkflowConfig};
use crate::secrets::SECRET_TEXT;

const SOURCE_MAP_TYPE: &str = "application/source-map";

/// What is noted with an upload.
#[derive(Debug, Default, Args)]
pub struct Notes {
    /// What this version is for
    #[arg(long)]
    pub message: Option<String>,
    /// A name by which this version can be found
    #[arg(long)]
    pub tag: Option<String>,
}

impl Notes {
    /// With a message, where none was given.
    #[must_use]
    pub fn or_message(self, message: impl FnOnce() -> String) -> Self {
        Self { message: self.message.or_else(|| Some(message())), ..self }
    }

    /// As the API takes them.
    #[must_use]
    pub fn annotations(&self) -> Value {
        object([(MESSAGE, self.message.as_deref().map(Value::from)), (TAG, self.tag.as_deref().map(Value::from))])
    }
}

/// Secrets that go along, by name.
pub type Secrets = BTreeMap<String, String>;

/// The multipart body of it.
pub fn body(project: &ProjectConfig, bundle: &Bundle, notes: &Notes, secrets: &Secrets) -> Body {
    let mut parts = Multipart::new();
    parts.field("metadata", metadata(project, bundle, notes, secrets).to_string().as_bytes());
    for module in &bundle.modules {
        parts.file(&module.name, content_type(module.kind), &module.bytes);
    }
    if let Some(map) = &bundle.source_map {
        parts.file(&format!("{}.map", bundle.main_module), SOURCE_MAP_TYPE, map);
    }
    let (content_type, bytes) = parts.finish();
    Body::Multipart { content_type, bytes }
}

/// Local secrets stay at home; those that the server has stay there, because `keep_bindings` is left out.
fn metadata(project: &ProjectConfig, bundle: &Bundle, notes: &Notes, secrets: &Secrets) -> Value {
    let mut metadata = json!({
        "main_module": bundle.main_module,
        "bindings": bindings(project, secrets),
        "compatibility_date": project.compatibility_date,
        "compatibility_flags": project.compatibility_flags,
    });
    if project.workflows.iter().any(|workflow| workflow.is_export) {
        metadata["exports"] = exports(project);
    }
    if let Some(cpu_ms) = project.cpu_ms {
        metadata["limits"] = json!({ "cpu_ms": cpu_ms });
    }
    let annotations = notes.annotations();
    if annotations.as_object().is_some_and(|annotations| !annotations.is_empty()) {
        metadata["annotations"] = annotations;
    }
    metadata
}

/// A secret takes the place of a variable of its name.
fn bindings(project: &ProjectConfig, secrets: &Secrets) -> Vec<Value> {
    let vars = project.vars.iter().filter(|(name, _)| !secrets.contains_key(*name));
    let vars = vars.map(|(name, var)| match var {
        Var::Text(text) => json!({ "type": "plain_text", "name": name, "text": text }),
        Var::Json(value) => json!({ "type": "json", "name": name, "json": value }),
    });
    let workflows = project.workflows.iter().filter(|workflow| workflow.binding.is_some()).map(|workflow| {
        object([
            ("type", Some("workflow".into())),
            ("name", workflow.binding.as_deref().map(Value::from)),
            ("workflow_name", Some(workflow.name.as_str().into())),
            ("class_name", Some(workflow.class_name.as_str().into())),
            ("script_name", workflow.script_name.as_deref().map(Value::from)),
        ])
    });
    let d1 = project.d1.iter().map(|d1| {
        object([
            ("type", Some("d1".into())),
            ("name", Some(d1.binding.as_str().into())),
            ("id", Some(d1.database_id.as_str().into())),
            ("database_name", d1.database_name.as_deref().map(Value::from)),
        ])
    });
    let services = project.services.iter().map(|service| {
        object([
            ("type", Some("service".into())),
            ("name", Some(service.binding.as_str().into())),
            ("service", Some(service.service.as_str().into())),
            ("entrypoint", service.entrypoint.as_deref().map(Value::from)),
        ])
    });
    let secrets = secrets.iter().map(|(name, text)| json!({ "type": SECRET_TEXT, "name": name, "text": text }));
    vars.chain(workflows).chain(d1).chain(services).chain(secrets).collect()
}

/// Declared workflows by their class; what else is set of them follows with each one's own request.
fn exports(project: &ProjectConfig) -> Value {
    let declared = project.workflows.iter().filter(|workflow| workflow.is_export);
    let members = declared
        .map(|workflow| (workflow.class_name.clone(), json!({ "type": "workflow", "name": workflow.name.as_str() })));
    Value::Object(members.collect())
}

/// The body that sets a workflow of `script`.
pub fn workflow_body(workflow: &WorkflowConfig, script: &str) -> Value {
    let crons: Vec<Value> = workflow.schedules.iter().map(|cron| json!({ "cron": cron })).collect();
    let retention = object([
        ("success_retention", workflow.success_retention.as_deref().map(Value::from)),
        ("error_retention", workflow.error_retention.as_deref().map(Value::from)),
    ]);
    let has_retention = retention.as_object().is_some_and(|members| !members.is_empty());
    object([
        ("script_name", Some(script.into())),
        ("class_name", Some(workflow.class_name.as_str().into())),
        ("limits", workflow.steps_max.map(|steps| json!({ "steps": steps }))),
        ("concurrency", workflow.concurrency_max.map(|limit| json!({ "limit": limit }))),
        ("schedules", (!crons.is_empty()).then(|| crons.into())),
        ("default_retention", has_retention.then_some(retention)),
        ("jurisdiction", workflow.jurisdiction.as_deref().map(Value::from)),
    ])
}

/// An object of the members that have a value.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn content_type(kind: ModuleKind) -> &'static str {
    match kind {
        ModuleKind::EsModule => "application/javascript+module",
        ModuleKind::CommonJs => "application/javascript",
        ModuleKind::Text => "text/plain",
        ModuleKind::Data => "application/octet-stream",
        ModuleKind::Wasm => "application/wasm",
    }
}
