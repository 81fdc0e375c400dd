//! `stepwell deploy`: a project, bundled and uploaded as wrangler would upload it.

use std::path::PathBuf;

use clap::Args;
use hyper::Method;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::address::ServerAddress;
use super::client::{Ask, Body, Client};
use super::screen::{Screen, Tone};
use super::setup::ensure_tools;
use super::{CliError, ExitCode, error};
use crate::multipart::Multipart;
use crate::project::bundle::{Bundle, Purpose, bundle};
use crate::project::{ModuleKind, ProjectConfig, Var, WorkflowConfig};

const SOURCE_MAP_TYPE: &str = "application/source-map";

/// Bundle a Workers project and deploy it to a server
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// Directory with a wrangler configuration, or the configuration itself
    #[arg(value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// The environment of the configuration, as in [env.NAME]
    #[arg(long, short, value_name = "NAME")]
    env: Option<String>,
    #[command(flatten)]
    server: ServerAddress,
    /// Print the API's results as JSON: {"script":…,"workflows":[…]}
    #[arg(long)]
    json: bool,
}

impl DeployArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let client = self.server.client()?;
        let project = ProjectConfig::load(&self.project, self.env.as_deref()).map_err(error::told)?;
        warn(&project.warnings);
        let tools = ensure_tools()?;
        let bundle = bundle(&project, &tools.esbuild, Purpose::Production).map_err(error::told)?;
        warn(&bundle.warnings);
        let ask = Ask::new(Method::PUT, &["workers", "scripts", &project.name]);
        let script = client.ask(ask.body(upload(&project, &bundle))).await?.result;
        let workflows = put_workflows(&client, &project).await?;
        if self.json {
            screen.line(&results(&script, &workflows)?)?;
        } else {
            screen.print(&told(&project, &bundle, screen))?;
        }
        Ok(ExitCode::Ok)
    }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

async fn put_workflows(client: &Client, project: &ProjectConfig) -> Result<Vec<Box<RawValue>>, CliError> {
    let mut results = Vec::new();
    for workflow in owned(project) {
        let body = Body::Json(workflow_body(workflow, &project.name).to_string());
        let ask = Ask::new(Method::PUT, &["workflows", &workflow.name]).body(body);
        results.push(client.ask(ask).await?.result);
    }
    Ok(results)
}

/// Workflows whose class is in this script.
fn owned(project: &ProjectConfig) -> impl Iterator<Item = &WorkflowConfig> {
    let is_own =
        |workflow: &&WorkflowConfig| workflow.script_name.as_ref().is_none_or(|script| *script == project.name);
    project.workflows.iter().filter(is_own)
}

fn upload(project: &ProjectConfig, bundle: &Bundle) -> Body {
    let mut parts = Multipart::new();
    parts.field("metadata", metadata(project, bundle).to_string().as_bytes());
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
fn metadata(project: &ProjectConfig, bundle: &Bundle) -> Value {
    let mut metadata = json!({
        "main_module": bundle.main_module,
        "bindings": bindings(project),
        "compatibility_date": project.compatibility_date,
        "compatibility_flags": project.compatibility_flags,
    });
    if project.workflows.iter().any(|workflow| workflow.is_export) {
        metadata["exports"] = exports(project);
    }
    if let Some(cpu_ms) = project.cpu_ms {
        metadata["limits"] = json!({ "cpu_ms": cpu_ms });
    }
    metadata
}

fn bindings(project: &ProjectConfig) -> Vec<Value> {
    let vars = project.vars.iter().map(|(name, var)| match var {
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
    let d1 = project.d1.iter().map(|d1| json!({ "type": "d1", "name": d1.binding, "id": d1.database_id }));
    let services = project.services.iter().map(|service| {
        object([
            ("type", Some("service".into())),
            ("name", Some(service.binding.as_str().into())),
            ("service", Some(service.service.as_str().into())),
            ("entrypoint", service.entrypoint.as_deref().map(Value::from)),
        ])
    });
    vars.chain(workflows).chain(d1).chain(services).collect()
}

/// Declared workflows by their class; what else is set of them follows with each one's own request.
fn exports(project: &ProjectConfig) -> Value {
    let declared = project.workflows.iter().filter(|workflow| workflow.is_export);
    let members = declared
        .map(|workflow| (workflow.class_name.clone(), json!({ "type": "workflow", "name": workflow.name.as_str() })));
    Value::Object(members.collect())
}

fn workflow_body(workflow: &WorkflowConfig, script: &str) -> Value {
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

fn results(script: &RawValue, workflows: &[Box<RawValue>]) -> Result<String, CliError> {
    #[derive(serde::Serialize)]
    struct Results<'a> {
        script: &'a RawValue,
        workflows: &'a [Box<RawValue>],
    }
    Ok(serde_json::to_string(&Results { script, workflows }).map_err(anyhow::Error::from)?)
}

fn told(project: &ProjectConfig, bundle: &Bundle, screen: &Screen) -> String {
    let bytes: usize = bundle.modules.iter().map(|module| module.bytes.len()).sum();
    let modules = match bundle.modules.len() {
        1 => "1 module".to_owned(),
        count => format!("{count} modules"),
    };
    let name = &project.name;
    let mut text = format!("Deployed {name}: {modules}, {} KiB\n", bytes.div_ceil(1024));
    for workflow in owned(project) {
        text += &format!("  workflow {} runs {}\n", workflow.name, workflow.class_name);
    }
    if let Some(first) = owned(project).next() {
        text += &screen.paint(Tone::Dim, &format!("stepwell workflows trigger {}\n", first.name));
    }
    text
}
