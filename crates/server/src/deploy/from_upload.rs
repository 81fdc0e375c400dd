//! An upload by the API, as something to deploy.

use futures_util::future::BoxFuture;
use stepwell_store::DeploymentRow;

use super::Deployer;
use crate::api_error::ApiError;
use crate::rest::{Deploy, ModuleKind, ScriptUpload, UploadBinding, UploadedModule};
use crate::script::{Script, ScriptBinding, ScriptModule, ScriptModuleKind, ScriptSettings, ScriptWorkflow};

/// Cloudflare's code of a script that cannot be.
const SCRIPT_INVALID: u32 = 10_021;

impl Deploy for Deployer {
    fn deploy(&self, upload: ScriptUpload) -> BoxFuture<'_, Result<DeploymentRow, ApiError>> {
        Box::pin(async move { Deployer::deploy(self, &script(upload)?).await })
    }
}

fn script(upload: ScriptUpload) -> Result<Script, ApiError> {
    let mut workflows = Vec::new();
    let mut bindings = Vec::new();
    for binding in upload.bindings {
        if let UploadBinding::Workflow { workflow_name, class_name: Some(class_name), script_name, .. } = &binding
            && script_name.as_ref().is_none_or(|script| *script == upload.name)
        {
            workflows.push(ScriptWorkflow {
                name: workflow_name.clone(),
                class_name: class_name.clone(),
                steps_max: None,
                concurrency_max: None,
            });
        }
        bindings.push(script_binding(binding)?);
    }
    let settings = ScriptSettings {
        script: upload.name,
        main_module: upload.main_module,
        compatibility_date: upload.compatibility_date,
        compatibility_flags: upload.compatibility_flags,
        bindings,
        workflows,
        cpu_ms: None,
    };
    Ok(Script { settings, modules: upload.modules.into_iter().map(module).collect() })
}

fn script_binding(binding: UploadBinding) -> Result<ScriptBinding, ApiError> {
    let refuse = |name: &str, kind: &str| {
        let message = format!(
            "binding {name:?} is of type {kind:?}, which this server does not have; remove it from the configuration"
        );
        Err(ApiError::new(400, SCRIPT_INVALID, message))
    };
    Ok(match binding {
        UploadBinding::PlainText { name, text } => ScriptBinding::PlainText { name, text },
        UploadBinding::Json { name, json } => ScriptBinding::Json { name, json },
        UploadBinding::Workflow { name, workflow_name, .. } => ScriptBinding::Workflow { name, workflow_name },
        UploadBinding::D1 { name, id } => ScriptBinding::D1 { name, id },
        UploadBinding::Service { name, service, .. } => ScriptBinding::Service { name, service },
        UploadBinding::Secret { name, .. } => return refuse(&name, "secret_text"),
        UploadBinding::Inherit { name } => return refuse(&name, "inherit"),
        UploadBinding::Other { name, kind } => return refuse(&name, &kind),
    })
}

fn module(module: UploadedModule) -> ScriptModule {
    let kind = match module.kind {
        ModuleKind::Esm => ScriptModuleKind::EsModule,
        ModuleKind::Cjs => ScriptModuleKind::CommonJs,
        ModuleKind::Text => ScriptModuleKind::Text,
        ModuleKind::Data => ScriptModuleKind::Data,
        ModuleKind::Wasm => ScriptModuleKind::Wasm,
        ModuleKind::Json => ScriptModuleKind::Json,
        ModuleKind::SourceMap => ScriptModuleKind::SourceMap,
    };
    ScriptModule { name: module.name, kind, bytes: module.bytes.to_vec() }
}
