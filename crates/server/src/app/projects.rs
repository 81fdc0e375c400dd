//! Projects on disk, as `dev` and `deploy` need them: read, bundled, and turned into something to deploy.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use stepwell_store::ScopedName;

use crate::project::bundle::{Bundle, Purpose, bundle};
use crate::project::{ModuleKind, OutboundTarget, ProjectConfig, Var};
use crate::rest::{RetentionOptions, Schedule};
use crate::script::{
    Extra, Script, ScriptBinding, ScriptModule, ScriptModuleKind, ScriptSettings, ScriptWorkflow, SecretChanges,
};

/// A project that has been read and bundled.
pub struct Built {
    /// Its configuration.
    pub config: ProjectConfig,
    /// What to deploy.
    pub script: Script,
    /// Files whose change makes a new bundle.
    pub inputs: Vec<PathBuf>,
    /// For the developer.
    pub warnings: Vec<String>,
}

/// Reads and bundles a project. Blocks.
///
/// # Errors
/// What is wrong in the configuration or the code, with its place.
pub fn build(directory: &Path, environment: Option<&str>, esbuild: &Path) -> anyhow::Result<Built> {
    let config = ProjectConfig::load(directory, environment)?;
    let bundle = bundle(&config, esbuild, Purpose::Development)
        .with_context(|| format!("{} cannot be bundled", config.path.display()))?;
    let mut warnings = config.warnings.clone();
    warnings.extend(bundle.warnings.iter().cloned());
    let mut inputs = bundle.inputs.clone();
    inputs.extend(config.inputs.iter().cloned());
    Ok(Built { script: script(&config, bundle), config, inputs, warnings })
}

/// What processes of the project get beside its deployment. `stubs` are the scripts of directories in `[dev.outbound]`.
pub fn extra(config: &ProjectConfig, stubs: &[(PathBuf, String)]) -> Extra {
    let script_of = |target: &OutboundTarget| match target {
        OutboundTarget::Script(script) => Some(script.clone()),
        OutboundTarget::Directory(directory) => {
            stubs.iter().find(|(other, _)| other == directory).map(|(_, script)| script.clone())
        }
    };
    let outbound = config.dev.outbound.iter();
    Extra {
        secrets: config.secrets.clone().into_iter().collect(),
        dev_outbound: outbound.filter_map(|stub| Some((stub.host.clone(), script_of(&stub.target)?))).collect(),
    }
}

fn script(config: &ProjectConfig, bundle: Bundle) -> Script {
    let settings = ScriptSettings {
        script: ScopedName::in_default(&*config.name),
        main_module: bundle.main_module,
        compatibility_date: config.compatibility_date.clone(),
        compatibility_flags: config.compatibility_flags.clone(),
        bindings: bindings(config),
        workflows: workflows(config),
        cpu_ms: config.cpu_ms,
        annotations: std::collections::BTreeMap::new(),
        secret_changes: SecretChanges::default(),
        other: serde_json::Map::new(),
    };
    let modules = bundle.modules.into_iter().map(|module| ScriptModule {
        name: module.name,
        kind: match module.kind {
            ModuleKind::EsModule => ScriptModuleKind::EsModule,
            ModuleKind::CommonJs => ScriptModuleKind::CommonJs,
            ModuleKind::Text => ScriptModuleKind::Text,
            ModuleKind::Data => ScriptModuleKind::Data,
            ModuleKind::Wasm => ScriptModuleKind::Wasm,
        },
        bytes: module.bytes,
    });
    let source_map = bundle.source_map.map(|bytes| ScriptModule {
        name: format!("{}.map", settings.main_module),
        kind: ScriptModuleKind::SourceMap,
        bytes,
    });
    Script { modules: modules.chain(source_map).collect(), settings }
}

fn bindings(config: &ProjectConfig) -> Vec<ScriptBinding> {
    // A local secret stands in for a variable of the same name.
    let own = config.vars.iter().filter(|(name, _)| !config.secrets.contains_key(*name));
    let vars = own.map(|(name, var)| match var.clone() {
        Var::Text(text) => ScriptBinding::PlainText { name: name.clone(), text },
        Var::Json(json) => ScriptBinding::Json { name: name.clone(), json },
    });
    let workflows = config.workflows.iter().filter_map(|workflow| {
        Some(ScriptBinding::Workflow { name: workflow.binding.clone()?, workflow_name: workflow.name.clone() })
    });
    let d1 = config.d1.iter().map(|d1| ScriptBinding::D1 {
        name: d1.binding.clone(),
        id: d1.database_id.clone(),
        database_name: d1.database_name.clone(),
    });
    let services = config
        .services
        .iter()
        .map(|service| ScriptBinding::Service { name: service.binding.clone(), service: service.service.clone() });
    vars.chain(workflows).chain(d1).chain(services).collect()
}

/// The workflows whose class is in this project.
fn workflows(config: &ProjectConfig) -> Vec<ScriptWorkflow> {
    let own = config.workflows.iter().filter(|workflow| workflow.script_name.is_none());
    own.map(|workflow| ScriptWorkflow {
        name: workflow.name.clone(),
        class_name: workflow.class_name.clone(),
        steps_max: workflow.steps_max,
        concurrency_max: workflow.concurrency_max,
        is_export: workflow.is_export,
        schedules: Some(workflow.schedules.iter().map(|cron| Schedule { cron: cron.clone() }).collect()),
        default_retention: Some(RetentionOptions {
            success_retention: workflow.success_retention.clone().map(serde_json::Value::from),
            error_retention: workflow.error_retention.clone().map(serde_json::Value::from),
        }),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_secret_stands_in_for_the_var_of_its_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("a file");
        let head = "name = \"shop\"\nmain = \"index.js\"\ncompatibility_date = \"2025-01-01\"\n";
        write("wrangler.toml", &format!("{head}[vars]\nKEY = \"plain\"\nOTHER = \"kept\"\n"));
        write(".dev.vars", "KEY=secret");
        write("index.js", "export default {}");
        let config = ProjectConfig::load(directory.path(), None).expect("a project");
        let kept = ScriptBinding::PlainText { name: "OTHER".to_owned(), text: "kept".to_owned() };
        assert_eq!(bindings(&config), [kept]);
        assert_eq!(extra(&config, &[]).secrets, [("KEY".to_owned(), "secret".to_owned())]);
    }
}
