//! Workflows, D1 databases and services of a Worker, read from `workflows`, `d1_databases` and `services`, and the rules
//! about names that hold between them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stepwell_engine::limits::STEPS_MAX;
use stepwell_engine::{Cron, names};

use super::diagnostics::Diagnostics;
use super::document::Value;
use super::environment::Environment;
use super::section::Section;
use crate::d1::names as d1;
use crate::rest::RetentionOptions;
use crate::script::{BINDING_NAME_RULE, is_binding_name};

/// One entry of `workflows`, or one of `exports` of type `workflow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowConfig {
    /// The name in `env`; none where only its class is declared.
    pub binding: Option<String>,
    /// It stands in `ctx.exports`.
    pub is_export: bool,
    /// Unique among all Workers of a server.
    pub name: String,
    pub class_name: String,
    /// Set when the class is in another Worker; then none of the settings below are set.
    pub script_name: Option<String>,
    pub steps_max: Option<u32>,
    pub concurrency_max: Option<u32>,
    /// Cron expressions.
    pub schedules: Vec<String>,
    /// Durations in Cloudflare's grammar, unchecked; a number is milliseconds.
    pub success_retention: Option<String>,
    pub error_retention: Option<String>,
    pub jurisdiction: Option<String>,
}

/// One entry of `d1_databases`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct D1Config {
    /// The name in `env`.
    pub binding: String,
    pub database_name: Option<String>,
    /// As configured, else the database's name, else the binding: Workers that say the same id share a database.
    pub database_id: String,
    /// Absolute; `migrations` beside the configuration file unless set.
    pub migrations_dir: PathBuf,
    pub migrations_table: Option<String>,
}

/// One entry of `services`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The name in `env`.
    pub binding: String,
    /// The script that answers.
    pub service: String,
    pub entrypoint: Option<String>,
}

impl WorkflowConfig {
    /// With nothing set.
    pub(super) fn new(name: String, class_name: String) -> Self {
        Self {
            binding: None,
            is_export: false,
            name,
            class_name,
            script_name: None,
            steps_max: None,
            concurrency_max: None,
            schedules: Vec::new(),
            success_retention: None,
            error_retention: None,
            jurisdiction: None,
        }
    }
}

const WORKFLOW_KEYS: &[&str] = &[
    "binding",
    "name",
    "class_name",
    "script_name",
    "remote",
    "limits",
    "concurrency",
    "schedules",
    "default_retention",
    "jurisdiction",
];
/// What only the Worker that holds the class may configure.
const WORKFLOW_SETTINGS: &[&str] = &["limits", "concurrency", "schedules", "default_retention", "jurisdiction"];
const D1_KEYS: &[&str] = &[
    "binding",
    "database_id",
    "database_internal_env",
    "database_name",
    "migrations_dir",
    "migrations_table",
    "preview_database_id",
    "remote",
];
const SERVICE_KEYS: &[&str] = &["binding", "service", "environment", "entrypoint", "props", "remote"];

pub(super) fn workflows(
    environment: &Environment<'_>,
    script: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<WorkflowConfig> {
    let mut workflows: Vec<WorkflowConfig> = Vec::new();
    for section in environment.sections("workflows", diagnostics) {
        let Some(workflow) = workflow(&section, script, diagnostics) else { continue };
        if workflows.iter().any(|other| other.name == workflow.name) {
            let message = format!("a second workflow named \"{}\"; names must be unique", workflow.name);
            diagnostics.error(section.line_of("name"), section.key("name"), message);
        }
        workflows.push(workflow);
    }
    workflows
}

fn workflow(section: &Section<'_>, script: &str, diagnostics: &mut Diagnostics) -> Option<WorkflowConfig> {
    section.warn_of_unknown(WORKFLOW_KEYS, diagnostics);
    warn_of_remote(section, diagnostics);
    let binding = binding(section, diagnostics);
    let name = section.required_text("name", "the name under which instances are created", diagnostics);
    let class_name = section.required_text("class_name", "the exported class of the workflow", diagnostics);
    if let Some(name) = &name {
        check_workflow_name(section, name, diagnostics);
    }
    if let Some(class) = class_name.as_ref().filter(|class| !is_identifier(class)) {
        diagnostics.error(
            section.line_of("class_name"),
            section.key("class_name"),
            format!("\"{class}\" cannot be the name of an exported class"),
        );
    }
    let script_name = section.text("script_name", diagnostics).filter(|other| other != script);
    let mut workflow =
        WorkflowConfig { binding: Some(binding?), script_name, ..WorkflowConfig::new(name?, class_name?) };
    match workflow.script_name.clone() {
        Some(other) => refuse_settings(section, &other, diagnostics),
        None => read_settings(&mut workflow, section, diagnostics),
    }
    Some(workflow)
}

pub(super) fn check_workflow_name(section: &Section<'_>, name: &str, diagnostics: &mut Diagnostics) {
    if !names::is_workflow_name(name) {
        let message = format!("\"{name}\" is not a workflow name; use {}", names::WORKFLOW_NAME_RULE);
        diagnostics.error(section.line_of("name"), section.key("name"), message);
    }
}

fn refuse_settings(section: &Section<'_>, script: &str, diagnostics: &mut Diagnostics) {
    for key in WORKFLOW_SETTINGS.iter().filter(|key| section.table.get(key).is_some()) {
        let message =
            format!("the workflow's class is in script \"{script}\"; set \"{key}\" in that Worker's configuration");
        diagnostics.error(section.line_of(key), section.key(key), message);
    }
}

pub(super) fn read_settings(workflow: &mut WorkflowConfig, section: &Section<'_>, diagnostics: &mut Diagnostics) {
    if let Some(limits) = section.section("limits", diagnostics) {
        limits.warn_of_unknown(&["steps"], diagnostics);
        workflow.steps_max = limits.positive_integer("steps", diagnostics);
        if let Some(steps) = workflow.steps_max.filter(|steps| *steps > STEPS_MAX) {
            let message = format!("{steps} steps are more than the {STEPS_MAX} that an instance may have at most");
            diagnostics.error(limits.line_of("steps"), limits.key("steps"), message);
        }
    }
    if let Some(concurrency) = section.section("concurrency", diagnostics) {
        concurrency.warn_of_unknown(&["limit"], diagnostics);
        workflow.concurrency_max = concurrency.positive_integer("limit", diagnostics);
    }
    if let Some(retention) = section.section("default_retention", diagnostics) {
        retention.warn_of_unknown(&["success_retention", "error_retention"], diagnostics);
        workflow.success_retention = duration(&retention, "success_retention", diagnostics);
        workflow.error_retention = duration(&retention, "error_retention", diagnostics);
        check_retention(workflow, &retention, diagnostics);
    }
    workflow.schedules = schedules(section, diagnostics);
    workflow.jurisdiction = jurisdiction(section, diagnostics);
}

fn check_retention(workflow: &WorkflowConfig, section: &Section<'_>, diagnostics: &mut Diagnostics) {
    let value = |text: &Option<String>| text.clone().map(serde_json::Value::from);
    let options = RetentionOptions {
        success_retention: value(&workflow.success_retention),
        error_retention: value(&workflow.error_retention),
    };
    if let Err(error) = options.read() {
        diagnostics.error(None, section.key("").trim_end_matches('.'), error.to_string());
    }
}

fn schedules(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Vec<String> {
    let schedules = match section.table.get("schedules").map(|node| &node.value) {
        Some(Value::Text(cron)) => vec![cron.clone()],
        Some(_) => section.texts("schedules", diagnostics).unwrap_or_default(),
        None => Vec::new(),
    };
    for cron in &schedules {
        if let Err(error) = Cron::parse(cron) {
            diagnostics.error(section.line_of("schedules"), section.key("schedules"), error.to_string());
        }
    }
    schedules
}

fn duration(section: &Section<'_>, key: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    match &section.table.get(key)?.value {
        Value::Number(ms) => Some(ms.to_string()),
        _ => section.text(key, diagnostics),
    }
}

fn jurisdiction(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = section.text("jurisdiction", diagnostics)?;
    if !["eu", "fedramp", "us"].contains(&text.as_str()) {
        let message = format!("\"{text}\" is not one of eu, fedramp, us");
        diagnostics.error(section.line_of("jurisdiction"), section.key("jurisdiction"), message);
    }
    Some(text)
}

pub(super) fn d1_databases(environment: &Environment<'_>, root: &Path, diagnostics: &mut Diagnostics) -> Vec<D1Config> {
    let sections = environment.sections("d1_databases", diagnostics);
    sections.iter().filter_map(|section| d1_database(section, root, diagnostics)).collect()
}

fn d1_database(section: &Section<'_>, root: &Path, diagnostics: &mut Diagnostics) -> Option<D1Config> {
    section.warn_of_unknown(D1_KEYS, diagnostics);
    warn_of_remote(section, diagnostics);
    let mut text = |key, is_legal: fn(&str) -> bool, rule: &str| {
        let text = section.text(key, diagnostics).filter(|text| !text.is_empty())?;
        if !is_legal(&text) {
            diagnostics.error(section.line_of(key), section.key(key), format!("{text:?} cannot be that; use {rule}"));
        }
        Some(text)
    };
    let database_name = text("database_name", d1::is_name, d1::NAME_RULE);
    let database_id = text("database_id", d1::is_id, d1::ID_RULE);
    let migrations_dir = section.text("migrations_dir", diagnostics).unwrap_or_else(|| "migrations".to_owned());
    let migrations_table = section.text("migrations_table", diagnostics);
    let binding = binding(section, diagnostics)?;
    let database_id = database_id.or_else(|| database_name.clone()).unwrap_or_else(|| binding.clone());
    let migrations_dir = root.join(migrations_dir);
    Some(D1Config { binding, database_name, database_id, migrations_dir, migrations_table })
}

pub(super) fn services(environment: &Environment<'_>, diagnostics: &mut Diagnostics) -> Vec<ServiceConfig> {
    let sections = environment.sections("services", diagnostics);
    sections.iter().filter_map(|section| service(section, diagnostics)).collect()
}

fn service(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Option<ServiceConfig> {
    section.warn_of_unknown(SERVICE_KEYS, diagnostics);
    warn_of_remote(section, diagnostics);
    let binding = binding(section, diagnostics);
    let service = section.required_text("service", "the script that answers", diagnostics);
    let entrypoint = section.text("entrypoint", diagnostics);
    Some(ServiceConfig { binding: binding?, service: service?, entrypoint })
}

fn binding(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = section.required_text("binding", "the name in `env`", diagnostics)?;
    check_binding_name(&name, section.line_of("binding"), section.key("binding"), diagnostics);
    Some(name)
}

pub(super) fn check_binding_name(name: &str, line: u32, key: String, diagnostics: &mut Diagnostics) {
    if !is_binding_name(name) {
        diagnostics.error(line, key, format!("{name:?} cannot stand in `env`; use {BINDING_NAME_RULE}"));
    }
}

fn warn_of_remote(section: &Section<'_>, diagnostics: &mut Diagnostics) {
    if section.boolean("remote", diagnostics) == Some(true) {
        let message = "ignored: nothing is reached on Cloudflare, the binding is served here";
        diagnostics.warn(section.line_of("remote"), section.key("remote"), message);
    }
}

/// Bindings and vars share one `env`; `names` are pairs of name and kind.
pub(super) fn refuse_duplicates(names: &[(String, &'static str)], diagnostics: &mut Diagnostics) {
    let mut kinds_by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, kind) in names {
        kinds_by_name.entry(name).or_default().push(kind);
    }
    for (name, kinds) in kinds_by_name.iter().filter(|(_, kinds)| kinds.len() > 1) {
        let message = format!("\"{name}\" is the name of several bindings ({}); each needs its own", kinds.join(", "));
        diagnostics.error(None, "", message);
    }
}

fn is_identifier(name: &str) -> bool {
    let start = |c: char| c.is_alphabetic() || c == '_' || c == '$';
    name.starts_with(start) && name.chars().all(|c| start(c) || c.is_alphanumeric())
}
