//! Deploying: code is tried out, made durable, and becomes what new instances start on.

use futures_util::future::BoxFuture;
use stepwell_store::{DeploymentRow, NewRelease, NewWorkflow, ScopedName, Store};

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
        let planned = self.planned(&upload.settings).await?;
        self.workers.try_out(upload).await?;
        let row = self.store.put_deployment(upload.to_deployment(now_ms())).await?;
        self.take_effect(&row, planned).await?;
        Ok(row)
    }

    /// Keeps a script as a version that is not current.
    ///
    /// # Errors
    /// As [`Deployer::deploy`], and where the script does not exist.
    pub async fn upload_version(&self, upload: &Script) -> Result<DeploymentRow, ApiError> {
        if self.store.is_full() {
            return Err(ApiError::disk_full());
        }
        self.workers.try_out(upload).await?;
        let kept = self.store.put_version(upload.to_deployment(now_ms())).await?;
        kept.ok_or_else(|| ApiError::no_script(&upload.settings.script))
    }

    /// What has become current: its workflows, its worker processes, and what new instances start on.
    async fn take_effect(&self, row: &DeploymentRow, planned: Vec<NewWorkflow>) -> Result<(), ApiError> {
        for new in planned {
            self.registry.put(new).await?;
        }
        self.workers.renew(&row.script);
        for known in self.store.workflows().await? {
            if known.script == row.script {
                self.registry.redeployed(&known, row).await?;
            }
        }
        Ok(())
    }

    /// An upload as a script, with what it inherits. Its secrets are kept from now on.
    async fn script_of(&self, upload: ScriptUpload) -> Result<Script, ApiError> {
        let current = self.store.current_deployment(&upload.name).await?;
        let before = current.and_then(|row| serde_json::from_str::<ScriptSettings>(&row.settings).ok());
        let kept: Vec<_> = self.store.secrets(&upload.name).await?.into_iter().map(|secret| secret.name).collect();
        let DeployableScript { script, secrets } = upload.into_script(before.as_ref(), &kept)?;
        for (name, text) in secrets {
            self.secrets.put(&script.settings.script, name, &text).await?;
        }
        Ok(script)
    }

    /// The workflows of an upload as they are to be made or changed.
    ///
    /// # Errors
    /// Where their options cannot be.
    async fn planned(&self, script: &ScriptSettings) -> Result<Vec<NewWorkflow>, ApiError> {
        let mut planned = Vec::with_capacity(script.workflows.len());
        for workflow in &script.workflows {
            let name = script.script.sibling(&*workflow.name);
            let before = self.store.workflow(&name).await?;
            let settings = merged(before.as_ref().map(|row| row.settings.as_str()), workflow);
            WorkflowOptions::from_settings(&settings).check()?;
            let (script, class_name) = (script.script.clone(), workflow.class_name.clone());
            planned.push(NewWorkflow { name, script, class_name, settings, at: now_ms() });
        }
        Ok(planned)
    }
}

impl Deploy for Deployer {
    fn deploy(&self, upload: ScriptUpload) -> BoxFuture<'_, Result<DeploymentRow, ApiError>> {
        Box::pin(async move { Self::deploy(self, &self.script_of(upload).await?).await })
    }

    fn upload_version(&self, upload: ScriptUpload) -> BoxFuture<'_, Result<DeploymentRow, ApiError>> {
        Box::pin(async move { Self::upload_version(self, &self.script_of(upload).await?).await })
    }

    fn release(&self, release: NewRelease) -> BoxFuture<'_, Result<(), ApiError>> {
        Box::pin(async move {
            let script = release.script.clone();
            if !self.store.release(release).await? {
                return Err(ApiError::no_script(&script));
            }
            let row = self.store.current_deployment(&script).await?.ok_or_else(|| ApiError::no_script(&script))?;
            let settings: ScriptSettings = serde_json::from_str(&row.settings).map_err(ApiError::internal)?;
            self.take_effect(&row, self.planned(&settings).await?).await
        })
    }

    fn change_secrets(
        &self,
        script: ScopedName,
        changes: Vec<(String, Option<String>)>,
    ) -> BoxFuture<'_, Result<(), ApiError>> {
        Box::pin(async move {
            for (name, text) in changes {
                match text {
                    Some(text) => self.secrets.put(&script, name, &text).await?,
                    None => drop(self.store.delete_secret(&script, &name).await?),
                }
            }
            self.workers.renew(&script);
            Ok(())
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
