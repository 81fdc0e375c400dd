//! An upload as a script of this server: what it can have here, and what must be refused because user code would miss it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stepwell_engine::names;

use crate::api_error::ApiError;
use crate::rest::WorkflowOptions;
use crate::rest::upload::{ScriptUpload, UploadBinding};
use crate::script::{self, ScriptBinding, ScriptSettings, ScriptWorkflow};

/// Cloudflare's code of a script that cannot be.
const SCRIPT_INVALID: u32 = 10_021;
/// Cloudflare's code of an inherited binding that there is not.
const INHERIT_INVALID: u32 = 10_057;
/// Cloudflare's compatibility date of an upload without one.
const COMPATIBILITY_DATE_DEFAULT: &str = "2021-11-02";

/// A script and the secrets that came with it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployableScript {
    /// To be deployed.
    pub script: script::Script,
    /// Name and value, to be kept apart from the deployment.
    pub secrets: Vec<(String, String)>,
}

impl ScriptUpload {
    /// Makes a script of an upload. `before` is the deployment so far, for bindings that are inherited; inherited secrets
    /// are those that are kept anyway.
    ///
    /// # Errors
    /// 400 naming the binding that this server does not have.
    pub fn into_script(
        self,
        before: Option<&ScriptSettings>,
        secrets_before: &[String],
    ) -> Result<DeployableScript, ApiError> {
        let (mut bindings, mut workflows, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
        for binding in self.bindings {
            match binding {
                UploadBinding::PlainText { name, text } => bindings.push(ScriptBinding::PlainText { name, text }),
                UploadBinding::Json { name, json } => bindings.push(ScriptBinding::Json { name, json }),
                UploadBinding::Secret { name, text } => secrets.push((name, text)),
                UploadBinding::Workflow { name, workflow_name, class_name, script_name } => {
                    let is_own = script_name.is_none_or(|script| script == self.name.name);
                    if let Some(class_name) = class_name.filter(|_| is_own) {
                        add_workflow(&mut workflows, &workflow_name, class_name);
                    }
                    bindings.push(ScriptBinding::Workflow { name, workflow_name });
                }
                UploadBinding::D1 { name, id } => bindings.push(ScriptBinding::D1 { name, id }),
                UploadBinding::Service { name, entrypoint: Some(entrypoint), .. } => {
                    return Err(unsupported(&name, &format!("a service with entrypoint {entrypoint:?}")));
                }
                UploadBinding::Service { name, service, .. } => bindings.push(ScriptBinding::Service { name, service }),
                UploadBinding::Inherit { name } => bindings.extend(inherited(&name, before, secrets_before)?),
                UploadBinding::Other { name, kind } => return Err(unsupported(&name, &format!("of type {kind}"))),
            }
        }
        add_exports(&mut workflows, &self.metadata["exports"])?;
        let date = if self.compatibility_date.is_empty() {
            COMPATIBILITY_DATE_DEFAULT.to_owned()
        } else {
            self.compatibility_date
        };
        let cpu_ms = self.metadata["limits"]["cpu_ms"].as_u64().and_then(|ms| u32::try_from(ms).ok());
        let settings = ScriptSettings {
            script: self.name,
            main_module: self.main_module,
            compatibility_date: date,
            compatibility_flags: self.compatibility_flags,
            bindings,
            workflows,
            cpu_ms,
            annotations: annotations(&self.metadata),
        };
        Ok(DeployableScript { script: script::Script { settings, modules: self.modules }, secrets })
    }
}

/// Texts that the uploader attached.
fn annotations(metadata: &serde_json::Value) -> BTreeMap<String, String> {
    let given = metadata["annotations"].as_object().into_iter().flatten();
    given.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect()
}

/// Two bindings may lead to one workflow.
fn add_workflow(workflows: &mut Vec<ScriptWorkflow>, name: &str, class_name: String) {
    if workflows.iter().all(|known| known.name != name) {
        workflows.push(new_workflow(name, class_name));
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

fn inherited(
    name: &str,
    before: Option<&ScriptSettings>,
    secrets_before: &[String],
) -> Result<Option<ScriptBinding>, ApiError> {
    let found = before.and_then(|settings| settings.bindings.iter().find(|binding| name_of(binding) == name));
    if found.is_none() && !secrets_before.iter().any(|secret| secret == name) {
        let message = format!("binding {name:?} cannot be inherited: the deployment before has none of that name");
        return Err(ApiError::new(400, INHERIT_INVALID, message));
    }
    Ok(found.cloned())
}

fn name_of(binding: &ScriptBinding) -> &str {
    match binding {
        ScriptBinding::PlainText { name, .. }
        | ScriptBinding::Json { name, .. }
        | ScriptBinding::Workflow { name, .. }
        | ScriptBinding::D1 { name, .. }
        | ScriptBinding::Service { name, .. } => name,
    }
}

fn unsupported(name: &str, what: &str) -> ApiError {
    let message =
        format!("binding {name:?} is {what}, which this server does not have yet; remove it and deploy again");
    ApiError::new(400, SCRIPT_INVALID, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::{ScriptModule, ScriptModuleKind};

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

    fn inherit() -> UploadBinding {
        UploadBinding::Inherit { name: "VAR".to_owned() }
    }

    #[test]
    fn an_upload_becomes_a_script_with_its_own_workflows() {
        let made =
            upload(vec![workflow("A", None), workflow("B", Some("shop"))]).into_script(None, &[]).expect("a script");
        let settings = &made.script.settings;
        assert_eq!((settings.workflows.len(), settings.bindings.len(), settings.cpu_ms), (1, 2, Some(50)));
        assert_eq!(settings.compatibility_date, COMPATIBILITY_DATE_DEFAULT);
        let other = upload(vec![workflow("A", Some("other"))]).into_script(None, &[]).expect("a script");
        assert_eq!((other.script.settings.workflows.len(), other.script.settings.bindings.len()), (0, 1));
    }

    #[test]
    fn workflows_are_declared_by_their_class() {
        let declared = |export: Value| {
            let mut given = upload(vec![workflow("A", None)]);
            given.metadata = json!({ "exports": { "Flow": export } });
            given.into_script(None, &[]).map(|made| made.script.settings.workflows)
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
    fn secrets_are_kept_apart() {
        let secret = UploadBinding::Secret { name: "KEY".to_owned(), text: "hidden".to_owned() };
        let made = upload(vec![secret]).into_script(None, &[]).expect("a script");
        assert_eq!(made.secrets, [("KEY".to_owned(), "hidden".to_owned())]);
        assert!(!format!("{:?}", made.script).contains("hidden"));
    }

    #[test]
    fn bindings_are_inherited_from_the_deployment_before() {
        let var = ScriptBinding::PlainText { name: "VAR".to_owned(), text: "1".to_owned() };
        let mut before = upload(Vec::new()).into_script(None, &[]).expect("a script").script.settings;
        before.bindings.push(var.clone());
        let made = upload(vec![inherit()]).into_script(Some(&before), &[]).expect("a script");
        assert_eq!(made.script.settings.bindings, [var]);
        let kept = upload(vec![inherit()]).into_script(None, &["VAR".to_owned()]).expect("a script");
        assert_eq!(kept.script.settings.bindings, []);
        let refused = upload(vec![inherit()]).into_script(None, &[]).expect_err("nothing to inherit");
        assert_eq!(refused.code, INHERIT_INVALID);
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
            let error = upload(vec![binding]).into_script(None, &[]).expect_err(named);
            assert!(error.code == SCRIPT_INVALID && error.message.contains(named), "{}", error.message);
        }
    }
}
