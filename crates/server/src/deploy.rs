//! Deploying: code is tried out, made durable, and becomes what new instances start on.

use futures_util::future::BoxFuture;
use stepwell_engine::engine::WorkflowSettings;
use stepwell_engine::{DeploymentId, WorkflowId};
use stepwell_store::{DeploymentRow, NewRelease, NewWorkflow, Store, WorkflowRow};

use crate::api_error::ApiError;
use crate::driver::{DriverHandle, now_ms};
use crate::rest::{Deploy, DeployableScript, ScriptUpload};
use crate::script::{Script, ScriptSettings, ScriptWorkflow};
use crate::secrets::Secrets;
use crate::workers::Workers;

/// What makes an upload the newest deployment of its script. Cheap to clone.
#[derive(Clone)]
pub struct Deployer {
    store: Store,
    workers: Workers,
    driver: DriverHandle,
    secrets: Secrets,
    follows_newest: bool,
}

impl Deployer {
    /// `follows_newest`: instances move to the newest deployment whenever a run of theirs starts.
    #[must_use]
    pub fn new(store: Store, workers: Workers, driver: DriverHandle, secrets: Secrets, follows_newest: bool) -> Self {
        Self { store, workers, driver, secrets, follows_newest }
    }

    /// Deploys a script with its workflows. Durable when it returns; where it fails, the old deployment goes on serving.
    ///
    /// # Errors
    /// What is wrong with the code, or the disk is full.
    pub async fn deploy(&self, upload: &Script) -> Result<DeploymentRow, ApiError> {
        if self.store.is_full() {
            return Err(ApiError::disk_full());
        }
        self.workers.try_out(upload).await?;
        let row = self.store.put_deployment(upload.to_deployment(now_ms())).await?;
        self.take_effect(&row, &upload.settings).await?;
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
    async fn take_effect(&self, row: &DeploymentRow, settings: &ScriptSettings) -> Result<(), ApiError> {
        for workflow in &settings.workflows {
            self.put_workflow(&settings.script, workflow).await?;
        }
        self.workers.renew(&row.script);
        for known in self.store.workflows().await? {
            if known.script == row.script {
                self.announce(&known, row.id).await;
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

    /// Makes or changes a workflow.
    ///
    /// # Errors
    /// Where it cannot be made durable, or the script does not exist.
    pub async fn put_workflow(&self, script: &str, workflow: &ScriptWorkflow) -> Result<WorkflowRow, ApiError> {
        let current = self.store.current_deployment(script).await?.ok_or_else(|| ApiError::no_script(script))?;
        let before = self.store.workflow(&workflow.name).await?;
        let new = NewWorkflow {
            name: workflow.name.clone(),
            script: script.to_owned(),
            class_name: workflow.class_name.clone(),
            settings: merged(before.as_ref().map(|row| row.settings.as_str()), workflow),
            at: now_ms(),
        };
        let row = self.store.put_workflow(new).await?;
        self.announce(&row, current.id).await;
        Ok(row)
    }

    /// What the driver must know of all workflows in the store.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn workflows(&self) -> Result<Vec<(WorkflowId, WorkflowSettings)>, ApiError> {
        let mut all = Vec::new();
        for workflow in self.store.workflows().await? {
            if let Some(current) = self.store.current_deployment(&workflow.script).await? {
                all.push((workflow.id, engine_settings(&workflow, current.id, self.follows_newest)));
            }
        }
        Ok(all)
    }

    async fn announce(&self, workflow: &WorkflowRow, deployment: DeploymentId) {
        self.driver.set_workflow(workflow.id, engine_settings(workflow, deployment, self.follows_newest)).await;
    }
}

/// What the engine must know of a workflow whose newest deployment this is.
#[must_use]
pub fn engine_settings(workflow: &WorkflowRow, deployment: DeploymentId, follows_newest: bool) -> WorkflowSettings {
    let settings: Option<ScriptWorkflow> = serde_json::from_str(&workflow.settings).ok();
    let concurrency = settings.and_then(|settings| settings.concurrency_max).map(|limit| limit as usize);
    WorkflowSettings { deployment, follows_newest, concurrency }
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
            self.take_effect(&row, &settings).await
        })
    }

    fn change_secrets(
        &self,
        script: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_told_of_the_concurrency() {
        let settings = r#"{"name":"w","class_name":"C","concurrency_max":2}"#.to_owned();
        let row = WorkflowRow {
            id: WorkflowId(1),
            name: "w".to_owned(),
            script: "s".to_owned(),
            class_name: "C".to_owned(),
            settings,
            created_at: 0,
            modified_at: 0,
        };
        let expected = WorkflowSettings { deployment: DeploymentId(3), follows_newest: true, concurrency: Some(2) };
        assert_eq!(engine_settings(&row, DeploymentId(3), true), expected);
    }
}
