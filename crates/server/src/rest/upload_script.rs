//! An upload as a script of this server: what it can have here, and what must be refused because user code would miss it.

mod members;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};
use stepwell_engine::names;
use stepwell_runtime::WORKERD_DATE;

use crate::api_error::ApiError;
use crate::rest::WorkflowOptions;
use crate::rest::upload::ScriptUpload;
use crate::script::{self, ScriptSettings, ScriptWorkflow, SecretChanges};
use crate::secrets::TextChange;
use members::Members;

/// Cloudflare's code of a script that cannot be.
const SCRIPT_INVALID: u32 = 10_021;
/// Cloudflare's compatibility date of an upload without one.
const COMPATIBILITY_DATE_DEFAULT: &str = "2021-11-02";

/// Members of the metadata that are taken apart, or say how to deploy; all others are kept as they are.
const KNOWN_METADATA: [&str; 7] = [
    "annotations",
    "bindings",
    "code_update_strategy",
    "compatibility_date",
    "compatibility_flags",
    "keep_bindings",
    "main_module",
];
/// Members that belong to the script and to none of its versions.
pub const APART: [&str; 4] = ["logpush", "observability", "tags", "tail_consumers"];

/// What an upload builds on: the version before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Before {
    /// Of that version; none for the first.
    pub settings: Option<ScriptSettings>,
    /// Names of the secrets that it has, or will have when it becomes current.
    pub secrets: BTreeSet<String>,
    /// Those of its changes that have not been made, because it never was current.
    pub secret_changes: SecretChanges,
}

/// A script and the secrets that change with it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployableScript {
    /// To be deployed; the changes of secrets of versions before it are among its settings.
    pub script: script::Script,
    /// To be sealed and added to these.
    pub secrets: Vec<TextChange>,
}

impl ScriptUpload {
    /// Makes a script of an upload.
    ///
    /// # Errors
    /// 400 naming the binding that this server does not have.
    pub fn into_script(mut self, before: Before) -> Result<DeployableScript, ApiError> {
        let mut members = Members::default();
        for binding in std::mem::take(&mut self.bindings) {
            members.add(binding, &self.name.name, &before)?;
        }
        members.keep(&self.metadata["keep_bindings"], before.settings.as_ref(), &before.secrets);
        members.refuse_repeated_names()?;
        members.replace_secrets(&before.secrets);
        add_exports(&mut members.workflows, &self.metadata["exports"])?;
        let cpu_ms = self.metadata["limits"]["cpu_ms"].as_u64().and_then(|ms| u32::try_from(ms).ok());
        let settings = ScriptSettings {
            script: self.name,
            main_module: self.main_module,
            compatibility_date: known_date(self.compatibility_date, &today()),
            compatibility_flags: self.compatibility_flags,
            bindings: members.bindings,
            workflows: members.workflows,
            cpu_ms,
            annotations: annotations(&self.metadata),
            secret_changes: before.secret_changes,
            other: other(self.metadata),
        };
        let script = script::Script { settings, modules: self.modules };
        Ok(DeployableScript { script, secrets: members.secrets })
    }
}

/// Members of the metadata of a version that mean nothing here.
fn other(metadata: Value) -> serde_json::Map<String, Value> {
    let Value::Object(mut other) = metadata else { return serde_json::Map::new() };
    other.retain(|name, _| KNOWN_METADATA.iter().chain(&APART).all(|known| known != name));
    other
}

/// The date that workerd is told. Code for a date that it does not know yet runs as on the newest that it does; what is in the
/// future is left to be refused.
fn known_date(date: String, today: &str) -> String {
    match date.as_str() {
        "" => COMPATIBILITY_DATE_DEFAULT.to_owned(),
        later if later > WORKERD_DATE && later <= today => WORKERD_DATE.to_owned(),
        _ => date,
    }
}

fn today() -> String {
    Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// Texts that the uploader attached.
fn annotations(metadata: &serde_json::Value) -> BTreeMap<String, String> {
    let given = metadata["annotations"].as_object().into_iter().flatten();
    given.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect()
}

/// Two bindings may lead to one workflow.
fn add_workflow(workflows: &mut Vec<ScriptWorkflow>, workflow: ScriptWorkflow) {
    if workflows.iter().all(|known| known.name != workflow.name) {
        workflows.push(workflow);
    }
}

fn new_workflow(name: &str, class_name: String) -> ScriptWorkflow {
    ScriptWorkflow {
        name: name.to_owned(),
        class_name,
        steps_max: None,
        concurrency_max: None,
        is_export: false,
        schedules: None,
        default_retention: None,
    }
}

/// Workflows that are declared by their class.
fn add_exports(workflows: &mut Vec<ScriptWorkflow>, exports: &Value) -> Result<(), ApiError> {
    for (class, export) in exports.as_object().into_iter().flatten() {
        match export["type"].as_str() {
            Some("workflow") => add_export(workflows, class, export)?,
            Some("worker") => {}
            other => {
                let kind = other.unwrap_or("unknown");
                let message = format!("exports.{class} is of type {kind:?}, which this server does not have yet");
                return Err(ApiError::new(400, SCRIPT_INVALID, message));
            }
        }
    }
    Ok(())
}

fn add_export(workflows: &mut Vec<ScriptWorkflow>, class: &str, export: &Value) -> Result<(), ApiError> {
    let invalid = |message: String| ApiError::new(400, SCRIPT_INVALID, message);
    let name = export["name"].as_str().filter(|name| names::is_workflow_name(name));
    let name = name.ok_or_else(|| invalid(format!("exports.{class}.name is not the name of a workflow")))?;
    let crons = match &export["schedules"] {
        Value::Null => None,
        Value::Array(crons) => Some(crons.clone()),
        one => Some(vec![one.clone()]),
    };
    let schedules = crons.map(|crons| crons.into_iter().map(|cron| json!({ "cron": cron })).collect());
    let mut options = export.clone();
    options["schedules"] = schedules.unwrap_or(Value::Null);
    let options: WorkflowOptions =
        serde_json::from_value(options).map_err(|error| invalid(format!("exports.{class}: {error}")))?;
    options.check()?;
    workflows.retain(|known| known.name != name);
    workflows.push(ScriptWorkflow {
        steps_max: options.limits.and_then(|limits| limits.steps),
        concurrency_max: options.concurrency.and_then(|concurrency| concurrency.limit),
        is_export: true,
        schedules: options.schedules,
        default_retention: options.default_retention,
        ..new_workflow(name, class.to_owned())
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rest::upload::UploadBinding;
    use crate::script::{ScriptBinding, ScriptModule, ScriptModuleKind};
    use members::INHERIT_INVALID;

    fn upload(bindings: Vec<UploadBinding>) -> ScriptUpload {
        ScriptUpload {
            name: stepwell_store::ScopedName::in_default("shop"),
            main_module: "index.js".to_owned(),
            modules: vec![ScriptModule {
                name: "index.js".to_owned(),
                kind: ScriptModuleKind::EsModule,
                bytes: Vec::new(),
            }],
            compatibility_date: String::new(),
            compatibility_flags: Vec::new(),
            bindings,
            metadata: json!({ "limits": { "cpu_ms": 50 } }),
        }
    }

    fn workflow(name: &str, script_name: Option<&str>) -> UploadBinding {
        UploadBinding::Workflow {
            name: name.to_owned(),
            workflow_name: "flow".to_owned(),
            class_name: Some("Flow".to_owned()),
            script_name: script_name.map(str::to_owned),
        }
    }

    #[test]
    fn an_upload_becomes_a_script_with_its_own_workflows() {
        let made = upload(vec![workflow("A", None), workflow("B", Some("shop"))])
            .into_script(Before::default())
            .expect("a script");
        let settings = &made.script.settings;
        assert_eq!((settings.workflows.len(), settings.bindings.len(), settings.cpu_ms), (1, 2, Some(50)));
        assert_eq!(settings.compatibility_date, COMPATIBILITY_DATE_DEFAULT);
        let other = upload(vec![workflow("A", Some("other"))]).into_script(Before::default()).expect("a script");
        assert_eq!((other.script.settings.workflows.len(), other.script.settings.bindings.len()), (0, 1));
    }

    #[test]
    fn workflows_are_declared_by_their_class() {
        let declared = |export: Value| {
            let mut given = upload(vec![workflow("A", None)]);
            given.metadata = json!({ "exports": { "Flow": export } });
            given.into_script(Before::default()).map(|made| made.script.settings.workflows)
        };
        let export = json!({ "type": "workflow", "name": "flow", "limits": { "steps": 7 }, "concurrency": { "limit": 2 },
            "schedules": "0 1 * * *", "default_retention": { "success_retention": "1 day" } });
        let expected = ScriptWorkflow {
            steps_max: Some(7),
            concurrency_max: Some(2),
            is_export: true,
            schedules: Some(vec![crate::rest::Schedule { cron: "0 1 * * *".to_owned() }]),
            default_retention: Some(crate::rest::RetentionOptions {
                success_retention: Some(json!("1 day")),
                error_retention: None,
            }),
            ..new_workflow("flow", "Flow".to_owned())
        };
        assert_eq!(declared(export), Ok(vec![expected]), "one that is bound as well is declared once");
        assert_eq!(declared(json!({ "type": "worker" })).map(|workflows| workflows.len()), Ok(1));
        for wrong in [
            json!({ "type": "workflow" }),
            json!({ "type": "workflow", "name": "a b" }),
            json!({ "type": "workflow", "name": "flow", "limits": { "steps": 0 } }),
            json!({ "type": "durable-object" }),
        ] {
            assert_eq!(declared(wrong.clone()).map_err(|error| error.status), Err(400), "{wrong}");
        }
    }

    #[test]
    fn a_date_is_never_later_than_workerd_knows() {
        for (date, known) in [
            ("", COMPATIBILITY_DATE_DEFAULT),
            ("2024-01-01", "2024-01-01"),
            ("2031-05-05", WORKERD_DATE),
            ("2031-05-07", "2031-05-07"),
        ] {
            assert_eq!(known_date(date.to_owned(), "2031-05-06"), known);
        }
    }

    #[test]
    fn secrets_are_kept_apart() {
        let secret = UploadBinding::Secret { name: "KEY".to_owned(), text: "hidden".to_owned() };
        let made = upload(vec![secret]).into_script(Before::default()).expect("a script");
        assert_eq!(made.secrets, [("KEY".to_owned(), Some("hidden".to_owned()))]);
        assert!(!format!("{:?}", made.script).contains("hidden"));
    }

    /// A version with a variable, a workflow and a secret.
    fn before() -> Before {
        let var = UploadBinding::PlainText { name: "VAR".to_owned(), text: "1".to_owned() };
        let made = upload(vec![var, workflow("FLOW", None)]).into_script(Before::default()).expect("a script");
        Before { settings: Some(made.script.settings), secrets: ["KEY".to_owned()].into(), ..Before::default() }
    }

    fn inherit(name: &str) -> UploadBinding {
        UploadBinding::Inherit { name: name.to_owned() }
    }

    fn names(made: &DeployableScript) -> Vec<&str> {
        made.script.settings.bindings.iter().map(ScriptBinding::name).collect()
    }

    #[test]
    fn bindings_are_inherited_from_the_version_before() {
        let made = upload(["VAR", "FLOW", "KEY"].map(inherit).into()).into_script(before()).expect("a script");
        assert_eq!((names(&made), made.secrets.len()), (vec!["VAR", "FLOW"], 0));
        assert_eq!(made.script.settings.workflows, before().settings.expect("settings").workflows);
        let refused = upload(vec![inherit("NONE")]).into_script(before()).expect_err("nothing to inherit");
        assert_eq!(refused.code, INHERIT_INVALID);
    }

    #[test]
    fn what_is_not_spoken_of_stays_where_its_type_is_to_be_kept() {
        let var = || UploadBinding::Json { name: "VAR".to_owned(), json: json!(2) };
        for (bindings, kinds, kept, gone) in [
            (vec![], Value::Null, vec![], vec![]),
            (vec![], json!(["plain_text", "json"]), vec!["VAR"], vec!["KEY"]),
            (vec![var()], json!(["plain_text", "secret_text"]), vec!["VAR"], vec![]),
            (vec![inherit("KEY")], json!(["secret_key", "workflow"]), vec!["FLOW"], vec![]),
        ] {
            let mut given = upload(bindings);
            given.metadata = json!({ "keep_bindings": kinds });
            let made = given.into_script(before()).expect("a script");
            let gone: Vec<TextChange> = gone.into_iter().map(|name: &str| (name.to_owned(), None)).collect();
            assert_eq!((names(&made), &made.secrets), (kept, &gone), "{kinds}");
        }
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let mut given = upload(vec![]);
        given.metadata = json!({ "main_module": "index.js", "bindings": [{ "type": "secret_text" }], "unheard_of": [1],
            "tags": ["of the script"] });
        let settings = given.into_script(Before::default()).expect("a script").script.settings;
        assert_eq!(Value::Object(settings.other), json!({ "unheard_of": [1] }));
    }

    #[test]
    fn what_user_code_would_miss_is_refused_by_name() {
        let kv = UploadBinding::Other { name: "KV".to_owned(), kind: "kv_namespace".to_owned() };
        let service = UploadBinding::Service {
            name: "API".to_owned(),
            service: "api".to_owned(),
            entrypoint: Some("Admin".to_owned()),
        };
        for (binding, named) in [(kv, "kv_namespace"), (service, "Admin")] {
            let error = upload(vec![binding]).into_script(Before::default()).expect_err(named);
            assert!(error.code == SCRIPT_INVALID && error.message.contains(named), "{}", error.message);
        }
    }
}
