//! Deploying: code is tried out, made durable, and becomes what new instances start on.

use std::borrow::Cow;
use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use stepwell_store::{DeploymentRow, NewRelease, NewWorkflow, ScopedName, Store};

use crate::api_error::ApiError;
use crate::clock::now_ms;
use crate::d1::{Catalogue, D1Error};
use crate::registry::Registry;
use crate::rest::{Before, Deploy, DeployableScript, ScriptUpload};
use crate::script::{Script, ScriptBinding, ScriptSettings, ScriptWorkflow};
use crate::secrets::{Secrets, TextChange};
use crate::stall;
use crate::workers::Workers;

/// What makes an upload the newest deployment of its script. Cheap to clone.
#[derive(Clone)]
pub struct Deployer {
    store: Store,
    workers: Workers,
    registry: Registry,
    secrets: Secrets,
    databases: Catalogue,
}

impl Deployer {
    /// A deployer into a store.
    #[must_use]
    pub fn new(store: Store, workers: Workers, registry: Registry, secrets: Secrets) -> Self {
        let databases = Catalogue::new(store.clone());
        Self { store, workers, registry, secrets, databases }
    }

    /// Deploys a script with its workflows. Durable when it returns; where it fails, the old deployment goes on serving.
    ///
    /// # Errors
    /// What is wrong with the code, or the disk is full.
    pub async fn deploy(&self, upload: &Script) -> Result<DeploymentRow, ApiError> {
        stall::admit(&self.store)?;
        let upload = &*self.resolved(upload).await?;
        let planned = self.planned(&upload.settings).await?;
        let tried = self.workers.try_out(upload).await?;
        self.bind_databases(&upload.settings).await?;
        let row = self.store.put_deployment(upload.to_deployment(now_ms())).await?;
        // Where secrets change with it, all processes of the script are replaced.
        if upload.settings.secret_changes.is_empty() {
            self.workers.adopt(row.id, tried);
        }
        self.take_effect(&row, &upload.settings, planned).await?;
        Ok(row)
    }

    /// Keeps a script as a version that is not current.
    ///
    /// # Errors
    /// As [`Deployer::deploy`], and where the script does not exist.
    pub async fn upload_version(&self, upload: &Script) -> Result<DeploymentRow, ApiError> {
        stall::admit(&self.store)?;
        let upload = &*self.resolved(upload).await?;
        self.workers.try_out(upload).await?;
        self.bind_databases(&upload.settings).await?;
        let kept = self.store.put_version(upload.to_deployment(now_ms())).await?;
        kept.ok_or_else(|| ApiError::no_script(&upload.settings.script))
    }

    /// Lists the databases that deployments name, also those that were deployed before there was a list.
    ///
    /// # Errors
    /// Where the store cannot be read or changed.
    pub async fn list_bound_databases(&self) -> Result<(), ApiError> {
        for script in self.store.scripts().await? {
            for row in self.store.deployments(&script.name).await? {
                let Ok(settings) = serde_json::from_str::<ScriptSettings>(&row.settings) else { continue };
                for (key, _) in settings.databases() {
                    match self.databases.admit(&key).await {
                        Ok(()) | Err(D1Error::Deleted { .. }) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(())
    }

    /// An upload whose bindings name every database by its id, also where they named one by its name.
    ///
    /// # Errors
    /// Where one is gone for good.
    async fn resolved<'a>(&self, upload: &'a Script) -> Result<Cow<'a, Script>, ApiError> {
        let account = upload.settings.script.account;
        let mut resolved = Cow::Borrowed(upload);
        for (place, binding) in upload.settings.bindings.iter().enumerate() {
            let Some((key, _)) = binding.database(account) else { continue };
            let found = self.databases.resolve(&key).await.map_err(|error| cannot_bind(binding.name(), error))?;
            if found != key
                && let ScriptBinding::D1 { id, .. } = &mut resolved.to_mut().settings.bindings[place]
            {
                *id = found.id;
            }
        }
        Ok(resolved)
    }

    /// Has the databases that a script names.
    async fn bind_databases(&self, settings: &ScriptSettings) -> Result<(), ApiError> {
        let account = settings.script.account;
        for binding in &settings.bindings {
            if let Some((key, name)) = binding.database(account) {
                self.databases.bind(&key, name).await.map_err(|error| cannot_bind(binding.name(), error))?;
            }
        }
        Ok(())
    }

    /// What has become current: its workflows, its worker processes, and what new instances start on.
    async fn take_effect(
        &self,
        row: &DeploymentRow,
        settings: &ScriptSettings,
        planned: Vec<NewWorkflow>,
    ) -> Result<(), ApiError> {
        for new in planned {
            self.registry.put(new).await?;
        }
        if settings.secret_changes.is_empty() {
            self.workers.renew(&row.script);
        } else {
            self.workers.replace(&row.script).await;
        }
        for known in self.store.workflows().await? {
            if known.script == row.script {
                self.registry.redeployed(&known, row).await?;
            }
        }
        Ok(())
    }

    /// An upload as a script, with what it inherits.
    async fn script_of(&self, upload: ScriptUpload) -> Result<Script, ApiError> {
        let before = self.before(&upload.name).await?;
        let DeployableScript { mut script, secrets } = upload.into_script(before)?;
        let settings = &mut script.settings;
        self.secrets.seal_into(&mut settings.secret_changes, &settings.script, secrets);
        Ok(script)
    }

    /// What the next version of a script builds on: its newest one, current or not.
    async fn before(&self, script: &ScopedName) -> Result<Before, ApiError> {
        let names = self.store.secrets(script).await?.into_iter().map(|secret| secret.name);
        let mut before = Before { secrets: names.collect(), ..Before::default() };
        let Some(newest) = self.newest(script).await? else { return Ok(before) };
        let settings: ScriptSettings = serde_json::from_str(&newest.settings).map_err(ApiError::internal)?;
        let releases = self.store.releases(script).await?;
        if releases.iter().all(|release| release.deployment != newest.id) {
            before.secret_changes = settings.secret_changes.clone();
            before.secret_changes.apply(&mut before.secrets);
        }
        Ok(Before { settings: Some(settings), ..before })
    }

    async fn newest(&self, script: &ScopedName) -> Result<Option<DeploymentRow>, ApiError> {
        Ok(self.store.deployments(script).await?.into_iter().next())
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
            let (script, class_name) = (script.script.clone(), workflow.class_name.clone());
            planned.push(NewWorkflow { name, script, class_name, settings, at: now_ms() });
        }
        self.registry.check(&planned).await?;
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

    fn release(&self, version: DeploymentRow, note: String) -> BoxFuture<'_, Result<(), ApiError>> {
        Box::pin(async move {
            let settings: ScriptSettings = serde_json::from_str(&version.settings).map_err(ApiError::internal)?;
            let planned = self.planned(&settings).await?;
            let (script, secrets) = (version.script.clone(), settings.secret_changes.to_store());
            let release = NewRelease { script, deployment: version.id, at: now_ms(), note, secrets };
            if !self.store.release(release).await? {
                return Err(ApiError::no_script(&version.script));
            }
            self.take_effect(&version, &settings, planned).await
        })
    }

    fn change_secrets(&self, script: ScopedName, changes: Vec<TextChange>) -> BoxFuture<'_, Result<(), ApiError>> {
        Box::pin(async move {
            self.secrets.change(&script, changes).await?;
            self.workers.replace(&script).await;
            Ok(())
        })
    }

    fn version_with_secrets(
        &self,
        script: ScopedName,
        changes: Vec<TextChange>,
        annotations: BTreeMap<String, String>,
    ) -> BoxFuture<'_, Result<DeploymentRow, ApiError>> {
        Box::pin(async move {
            let missing = || ApiError::no_script(&script);
            let newest = self.newest(&script).await?.ok_or_else(missing)?;
            let newest = self.store.deployment(newest.id).await?.ok_or_else(missing)?;
            let mut version = Script::from_deployment(&newest).map_err(ApiError::internal)?;
            let settings = &mut version.settings;
            settings.annotations = annotations;
            settings.secret_changes = self.before(&script).await?.secret_changes;
            self.secrets.seal_into(&mut settings.secret_changes, &script, changes);
            Self::upload_version(self, &version).await
        })
    }
}

fn cannot_bind(binding: &str, error: D1Error) -> ApiError {
    match error {
        D1Error::Deleted { .. } => ApiError::new(400, 10_021, format!("binding {binding} of type d1: {error}")),
        other => other.into(),
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
