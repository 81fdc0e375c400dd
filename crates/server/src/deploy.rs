//! Deploying: code is tried out, made durable, and becomes what new instances start on.

use futures_util::future::BoxFuture;
use stepwell_store::{DeploymentRow, NewWorkflow, Store};

use crate::api_error::ApiError;
use crate::clock::now_ms;
use crate::registry::Registry;
use crate::rest::{Deploy, DeployableScript, ScriptUpload, WorkflowOptions};
use crate::script::{Script, ScriptSettings, ScriptWorkflow};
use crate::secrets::Secrets;
use crate::workers::Workers;

/// What makes an upload the newest deployment of its script. Cheap to clone.
#[derive(Clone)]
pub struct Deployer {
    store: Store,
    workers: Workers,
    registry: Registry,
    secrets: Secrets,
}

impl Deployer {
    /// A deployer into a store.
    #[must_use]
    pub fn new(store: Store, workers: Workers, registry: Registry, secrets: Secrets) -> Self {
        Self { store, workers, registry, secrets }
    }

    /// Deploys a script with its workflows. Durable when it returns; where it fails, the old deployment goes on serving.
    ///
    /// # Errors
    /// What is wrong with the code, or the disk is full.
    pub async fn deploy(&self, upload: &Script) -> Result<DeploymentRow, ApiError> {
        if self.store.is_full() {
            return Err(ApiError::disk_full());
        }
        let mut planned = Vec::new();
        for workflow in &upload.settings.workflows {
            planned.push(self.planned(&upload.settings.script, workflow).await?);
        }
        self.workers.try_out(upload).await?;
        let row = self.store.put_deployment(upload.to_deployment(now_ms())).await?;
        for new in planned {
            self.registry.put(new).await?;
        }
        self.workers.renew(&row.script);
        for known in self.store.workflows().await? {
            if known.script == row.script {
                self.registry.redeployed(&known, &row).await?;
            }
        }
        Ok(row)
    }

    /// A workflow of an upload as it is to be made or changed.
    ///
    /// # Errors
    /// Where its options cannot be.
    async fn planned(&self, script: &str, workflow: &ScriptWorkflow) -> Result<NewWorkflow, ApiError> {
        let before = self.store.workflow(&workflow.name).await?;
        let settings = merged(before.as_ref().map(|row| row.settings.as_str()), workflow);
        WorkflowOptions::from_settings(&settings).check()?;
        let (name, class_name) = (workflow.name.clone(), workflow.class_name.clone());
        Ok(NewWorkflow { name, script: script.to_owned(), class_name, settings, at: now_ms() })
    }
}

impl Deploy for Deployer {
    fn deploy(&self, upload: ScriptUpload) -> BoxFuture<'_, Result<DeploymentRow, ApiError>> {
        Box::pin(async move {
            let current = self.store.current_deployment(&upload.name).await?;
            let before = current.and_then(|row| serde_json::from_str::<ScriptSettings>(&row.settings).ok());
            let kept: Vec<_> = self.store.secrets(&upload.name).await?.into_iter().map(|secret| secret.name).collect();
            let DeployableScript { script, secrets } = upload.into_script(before.as_ref(), &kept)?;
            for (name, text) in secrets {
                self.secrets.put(&script.settings.script, name, &text).await?;
            }
            Self::deploy(self, &script).await
        })
    }
}

/// Settings of a workflow as the store keeps them: what an upload does not speak of stays as it was set.
fn merged(before: Option<&str>, workflow: &ScriptWorkflow) -> String {
    let object = |text: &str| serde_json::from_str::<serde_json::Map<_, _>>(text).unwrap_or_default();
    let mut settings = before.map(object).unwrap_or_default();
    let new = serde_json::to_string(workflow).expect("settings are plain data");
    settings.extend(object(&new).into_iter().filter(|(_, value)| !value.is_null()));
    serde_json::Value::Object(settings).to_string()
}
