//! A script as it is deployed: its settings in the store, and what they mean for a worker process.

mod binding_name;
mod module;
mod secret_changes;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stepwell_engine::{Millis, StepConfig};
use stepwell_runtime::{Binding, Outbound, SecretText, WorkerSpec, WorkflowExport};
use stepwell_store::{AccountId, DatabaseKey, Deployment, NewDeployment, ScopedName};

use crate::d1::database_text;
use crate::rest::{RetentionOptions, Schedule};
pub use binding_name::{BINDING_NAME_RULE, is_binding_name};
pub use module::{ScriptModule, ScriptModuleKind};
pub use secret_changes::SecretChanges;

/// From this compatibility date on, errors that must not be retried keep their name and message.
const PRESERVE_NON_RETRYABLE_DATE: &str = "2026-05-14";
const PRESERVE_NON_RETRYABLE: &str = "workflows_preserve_non_retryable_error_message";
const REPLACE_NON_RETRYABLE: &str = "workflows_replace_non_retryable_error_message";

/// What a deployment is beside its modules, as kept in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScriptSettings {
    /// Name of the script.
    #[serde(with = "crate::scoped_text")]
    pub script: ScopedName,
    /// The module with the exports.
    pub main_module: String,
    /// `YYYY-MM-DD`.
    pub compatibility_date: String,
    /// Flags as the user wrote them.
    #[serde(default)]
    pub compatibility_flags: Vec<String>,
    /// What user code finds in `env`, secrets apart.
    #[serde(default)]
    pub bindings: Vec<ScriptBinding>,
    /// Workflows whose class is in this script.
    #[serde(default)]
    pub workflows: Vec<ScriptWorkflow>,
    /// How long one turn of user code may compute before it counts as hung.
    #[serde(default)]
    pub cpu_ms: Option<u32>,
    /// Texts that the uploader attached, for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Secrets that change when this becomes current.
    #[serde(default, skip_serializing_if = "SecretChanges::is_empty")]
    pub secret_changes: SecretChanges,
    /// What else the uploader said, in its words: shown again, and of no effect here.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// A member of `env`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ScriptBinding {
    /// A string.
    PlainText {
        /// In `env`.
        name: String,
        /// Its value.
        text: String,
    },
    /// A JSON value.
    Json {
        /// In `env`.
        name: String,
        /// Its value.
        json: serde_json::Value,
    },
    /// A workflow.
    Workflow {
        /// In `env`.
        name: String,
        /// Which.
        workflow_name: String,
    },
    /// A D1 database.
    D1 {
        /// In `env`.
        name: String,
        /// Which.
        id: String,
        /// How it is to be called where nobody has heard of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        database_name: Option<String>,
    },
    /// Another script.
    Service {
        /// In `env`.
        name: String,
        /// Which.
        service: String,
    },
}

/// A workflow that a script implements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScriptWorkflow {
    /// Its name.
    pub name: String,
    /// Exported class.
    pub class_name: String,
    /// `limits.steps`.
    #[serde(default)]
    pub steps_max: Option<u32>,
    /// `concurrency.limit`.
    #[serde(default)]
    pub concurrency_max: Option<u32>,
    /// It stands in `ctx.exports` under its class's name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_export: bool,
    /// Cron schedules; where absent, those that are set stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedules: Option<Vec<Schedule>>,
    /// How long ended instances are kept; where absent, what is set stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_retention: Option<RetentionOptions>,
}

/// A script to deploy.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Everything but the modules.
    pub settings: ScriptSettings,
    /// Modules; the main one is among them.
    pub modules: Vec<ScriptModule>,
}

impl Script {
    /// As the store takes it; equal uploads have equal content ids.
    #[must_use]
    pub fn to_deployment(&self, created_at: Millis) -> NewDeployment {
        let settings = serde_json::to_string(&self.settings).expect("settings are plain data");
        let mut content = Sha256::new();
        content.update(&settings);
        let modules = self
            .modules
            .iter()
            .map(|module| {
                let hash = hex(&Sha256::digest(&module.bytes));
                content.update(format!("\n{} {} {hash}", module.name, module.kind.word()));
                stepwell_store::Module {
                    name: module.name.clone(),
                    kind: module.kind.word().to_owned(),
                    hash,
                    body: module.bytes.as_slice().into(),
                }
            })
            .collect();
        let content_id = hex(&content.finalize());
        let (script, secrets) = (self.settings.script.clone(), self.settings.secret_changes.to_store());
        NewDeployment { script, content_id, settings, modules, created_at, secrets }
    }

    /// An upload as the store has it.
    ///
    /// # Errors
    /// Where a newer version wrote it.
    pub fn from_deployment(deployment: &Deployment) -> Result<Self, serde_json::Error> {
        let settings = serde_json::from_str(&deployment.row.settings)?;
        let modules = deployment
            .modules
            .iter()
            .map(|module| ScriptModule {
                name: module.name.clone(),
                kind: ScriptModuleKind::of_word(&module.kind).unwrap_or(ScriptModuleKind::Data),
                bytes: module.body.to_vec(),
            })
            .collect();
        Ok(Self { settings, modules })
    }

    /// What a worker process is to run.
    #[must_use]
    pub fn to_spec(&self, host_socket: &Path, outbound: Outbound, extra: Extra) -> WorkerSpec {
        let settings = &self.settings;
        let account = settings.script.account;
        // A variable of an older version may have the name of what is a secret today.
        let is_free = |(name, _): &(String, String)| settings.bindings.iter().all(|binding| binding.name() != name);
        let secrets = extra.secrets.into_iter().filter(is_free);
        let secrets = secrets.map(|(name, text)| Binding::Secret { name, text: SecretText(text) });
        WorkerSpec {
            script: settings.script.name.clone(),
            main_module: settings.main_module.clone(),
            modules: self.modules.iter().filter_map(ScriptModule::to_runtime).collect(),
            compatibility_date: settings.compatibility_date.clone(),
            compatibility_flags: settings.compatibility_flags.clone(),
            bindings: settings.bindings.iter().map(|binding| binding.to_runtime(account)).chain(secrets).collect(),
            classes: settings.workflows.iter().map(|workflow| workflow.class_name.clone()).collect(),
            checks_classes: false,
            exports: settings.workflows.iter().filter_map(|workflow| workflow.to_export(account)).collect(),
            outbound,
            dev_outbound: extra.dev_outbound,
            host_socket: host_socket.to_owned(),
        }
    }
}

/// What a worker process gets beside its deployment.
#[derive(Clone, Default, PartialEq)]
pub struct Extra {
    /// Name and value.
    pub secrets: Vec<(String, String)>,
    /// Host names that go to a script.
    pub dev_outbound: Vec<(String, String)>,
}

impl ScriptWorkflow {
    fn to_export(&self, account: AccountId) -> Option<WorkflowExport> {
        let workflow = ScopedName::new(account, &*self.name).to_string();
        let export = WorkflowExport { class: self.class_name.clone(), workflow };
        self.is_export.then_some(export)
    }
}

impl ScriptBinding {
    /// Its name in `env`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::PlainText { name, .. }
            | Self::Json { name, .. }
            | Self::Workflow { name, .. }
            | Self::D1 { name, .. }
            | Self::Service { name, .. } => name,
        }
    }

    /// Its type, in the words of an upload.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PlainText { .. } => "plain_text",
            Self::Json { .. } => "json",
            Self::Workflow { .. } => "workflow",
            Self::D1 { .. } => "d1",
            Self::Service { .. } => "service",
        }
    }

    /// The database of an account that it is, and how that is to be called where nobody has heard of it.
    #[must_use]
    pub fn database(&self, account: AccountId) -> Option<(DatabaseKey, Option<&str>)> {
        match self {
            Self::D1 { id, database_name, .. } => {
                Some((DatabaseKey { account, id: id.clone() }, database_name.as_deref()))
            }
            _ => None,
        }
    }

    /// What a worker process asks the server for, it asks for by the name within its script's account.
    fn to_runtime(&self, account: AccountId) -> Binding {
        let scoped = |name: String| ScopedName::new(account, name).to_string();
        match self.clone() {
            Self::PlainText { name, text } => Binding::Text { name, text },
            Self::Json { name, json } => Binding::Json { name, json: json.to_string() },
            Self::Workflow { name, workflow_name } => Binding::Workflow { name, workflow: scoped(workflow_name) },
            Self::D1 { name, id, .. } => {
                Binding::D1 { name, database_id: database_text::write(&DatabaseKey { account, id }) }
            }
            Self::Service { name, service } => Binding::Service { name, script: scoped(service) },
        }
    }
}

impl ScriptSettings {
    /// The databases that its bindings name, and how each is to be called where nobody has heard of it.
    pub fn databases(&self) -> impl Iterator<Item = (DatabaseKey, Option<&str>)> {
        let account = self.script.account;
        self.bindings.iter().filter_map(move |binding| binding.database(account))
    }

    /// The `settings` member of a start message.
    #[must_use]
    pub fn start_settings(&self, steps_max: Option<u32>, defaults: &StepConfig) -> String {
        let limit = match defaults.limit {
            stepwell_engine::RetryLimit::Times(times) => f64::from(times),
            stepwell_engine::RetryLimit::Unlimited => 1e308,
        };
        serde_json::json!({
            "steps_max": steps_max.unwrap_or(stepwell_engine::limits::STEPS_DEFAULT),
            "defaults": {
                "limit": limit,
                "delay_ms": defaults.delay_ms,
                "backoff": defaults.backoff.as_str(),
                "timeout_ms": defaults.timeout_ms,
            },
            "preserve_non_retryable": self.preserves_non_retryable(),
        })
        .to_string()
    }

    fn preserves_non_retryable(&self) -> bool {
        let has = |flag: &str| self.compatibility_flags.iter().any(|other| other == flag);
        let by_date = self.compatibility_date.as_str() >= PRESERVE_NON_RETRYABLE_DATE;
        has(PRESERVE_NON_RETRYABLE) || (by_date && !has(REPLACE_NON_RETRYABLE))
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes text");
        text
    })
}
