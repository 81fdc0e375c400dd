//! The handle's side for control data. Writes share the engine's group commits and are durable when they return.

use std::sync::Arc;

use stepwell_engine::{DeploymentId, InstanceKey, Millis, WorkflowId};

use crate::writer::Change;
use crate::{
    AccountId, AccountRow, ChangeError, Deployment, DeploymentRow, InstanceRow, LogLine, LogRow, NewAccount,
    NewDeployment, NewRelease, NewWorkflow, ReadError, ReleaseRow, ScheduleRow, ScopedName, ScriptRow, Secret,
    SecretChange, Store, Token, WorkflowRow,
};

/// Control data.
#[allow(clippy::missing_errors_doc, reason = "reads fail with ReadError, writes are refused as ChangeError says")]
impl Store {
    /// Makes a deployment the current one of its script. One with the same content id is used again.
    pub async fn put_deployment(&self, new: NewDeployment) -> Result<DeploymentRow, ChangeError> {
        let bytes = new.modules.iter().map(|module| module.body.len()).sum();
        self.change_now(bytes, move |backend| backend.put_deployment(&new)).await
    }

    /// Makes a deployment that is not current. One with the same content id is used again; `None` where there is no such
    /// script.
    pub async fn put_version(&self, new: NewDeployment) -> Result<Option<DeploymentRow>, ChangeError> {
        let bytes = new.modules.iter().map(|module| module.body.len()).sum();
        self.change_now(bytes, move |backend| backend.put_version(&new)).await
    }

    /// Makes a deployment of a script current. Whether there is one.
    pub async fn release(&self, new: NewRelease) -> Result<bool, ChangeError> {
        self.change_now(0, move |backend| backend.release(&new)).await
    }

    /// Sets what belongs to a script and to no deployment of it. Whether the script was there.
    pub async fn put_script_settings(&self, script: &ScopedName, settings: String) -> Result<bool, ChangeError> {
        let script = script.clone();
        self.change_now(settings.len(), move |backend| backend.put_script_settings(&script, &settings)).await
    }

    /// Deletes a deployment that no unfinished instance needs and that is not current. Whether it was there.
    pub async fn delete_deployment(&self, id: DeploymentId) -> Result<bool, ChangeError> {
        self.change_now(0, move |backend| backend.delete_deployment(id)).await
    }

    /// Deletes a script, its deployments and its secrets, if it has no workflows and no unfinished instances.
    pub async fn delete_script(&self, name: &ScopedName) -> Result<bool, ChangeError> {
        let name = name.to_owned();
        self.change_now(0, move |backend| backend.delete_script(&name)).await
    }

    /// Makes or changes the workflow of that name; its number and creation time stay.
    pub async fn put_workflow(&self, new: NewWorkflow) -> Result<WorkflowRow, ChangeError> {
        self.change(0, move |backend| backend.put_workflow(&new)).await
    }

    /// Makes these the schedules of a workflow, and tells them. Those that are new have been looked at up to `at`.
    pub async fn put_schedules(
        &self,
        workflow: WorkflowId,
        crons: Vec<String>,
        at: Millis,
    ) -> Result<Vec<ScheduleRow>, ChangeError> {
        self.change(0, move |backend| backend.put_schedules(workflow, &crons, at)).await
    }

    /// Deletes a workflow that has no instances any more. Whether it was there.
    pub async fn delete_workflow(&self, name: &ScopedName) -> Result<bool, ChangeError> {
        let name = name.to_owned();
        self.change_now(0, move |backend| backend.delete_workflow(&name)).await
    }

    /// Sets and deletes secrets of a script, all or none. One that is not there is deleted already.
    pub async fn change_secrets(&self, script: &ScopedName, changes: Vec<SecretChange>) -> Result<(), ChangeError> {
        let script = script.clone();
        let bytes = changes.iter().filter_map(|change| change.value.as_ref()).map(Vec::len).sum();
        self.change_now(bytes, move |backend| backend.change_secrets(&script, &changes)).await
    }

    /// Adds a token, or replaces the one with that hash.
    pub async fn put_token(&self, token: Token) -> Result<(), ChangeError> {
        self.change_now(0, move |backend| backend.put_token(&token)).await
    }

    /// Deletes the token of that id. Whether it was there.
    pub async fn delete_token(&self, id: &str) -> Result<bool, ChangeError> {
        let id = id.to_owned();
        self.change_now(0, move |backend| backend.delete_token(&id)).await
    }

    /// Makes an account.
    pub async fn put_account(&self, new: NewAccount) -> Result<AccountRow, ChangeError> {
        self.change_now(0, move |backend| backend.put_account(&new)).await
    }

    /// Deletes an account that has neither scripts nor workflows, with its tokens. Whether it was there.
    pub async fn delete_account(&self, id: AccountId) -> Result<bool, ChangeError> {
        self.change_now(0, move |backend| backend.delete_account(id)).await
    }

    /// Adds lines to logs, some time soon: lines may be lost when the process dies or too many writes wait. Each
    /// instance keeps its last [`LOG_LINES_MAX`](crate::limits::LOG_LINES_MAX).
    pub fn append_logs(&self, lines: Vec<LogLine>) {
        let bytes = lines.iter().map(|line| line.text.len()).sum();
        let lines_count = lines.len();
        let reply = move |result: Result<(), ChangeError>| {
            if let Err(error) = result {
                tracing::warn!(%error, lines_count, "log lines were lost");
            }
        };
        let run = move |backend: &mut dyn crate::backend::Backend| backend.append_logs(&lines);
        self.enqueue(Box::new(Change { run, bytes, waits: true, outcome: None, reply }));
    }

    /// Scripts by name.
    pub async fn scripts(&self) -> Result<Vec<ScriptRow>, ReadError> {
        self.read(|reader| reader.scripts()).await
    }

    /// A script.
    pub async fn script(&self, name: &ScopedName) -> Result<Option<ScriptRow>, ReadError> {
        let name = name.to_owned();
        self.read(move |reader| reader.script(&name)).await
    }

    /// What became current of a script, newest first, at most [`RELEASES_MAX`](crate::limits::RELEASES_MAX).
    pub async fn releases(&self, script: &ScopedName) -> Result<Vec<ReleaseRow>, ReadError> {
        let script = script.clone();
        self.read(move |reader| reader.releases(&script)).await
    }

    /// A deployment with its modules.
    pub async fn deployment(&self, id: DeploymentId) -> Result<Option<Arc<Deployment>>, ReadError> {
        self.read(move |reader| reader.deployment(id)).await
    }

    /// What new instances of a script start on.
    pub async fn current_deployment(&self, script: &ScopedName) -> Result<Option<DeploymentRow>, ReadError> {
        let script = script.clone();
        self.read(move |reader| reader.current_deployment(&script)).await
    }

    /// Deployments of a script, newest first, with their unfinished instances counted.
    pub async fn deployments(&self, script: &ScopedName) -> Result<Vec<DeploymentRow>, ReadError> {
        let script = script.clone();
        self.read(move |reader| reader.deployments(&script)).await
    }

    /// A workflow by name.
    pub async fn workflow(&self, name: &ScopedName) -> Result<Option<WorkflowRow>, ReadError> {
        let name = name.to_owned();
        self.read(move |reader| reader.workflow(&name)).await
    }

    /// All workflows, by number.
    pub async fn workflows(&self) -> Result<Vec<WorkflowRow>, ReadError> {
        self.read(|reader| reader.workflows()).await
    }

    /// All schedules, by workflow and expression.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRow>, ReadError> {
        self.read(|reader| reader.schedules()).await
    }

    /// Unfinished instances that are pinned to a deployment, at most `count`.
    pub async fn pinned_instances(
        &self,
        deployment: DeploymentId,
        count: usize,
    ) -> Result<Vec<InstanceRow>, ReadError> {
        self.read(move |reader| reader.pinned_instances(deployment, count)).await
    }

    /// Secrets of a script, by name.
    pub async fn secrets(&self, script: &ScopedName) -> Result<Vec<Secret>, ReadError> {
        let script = script.clone();
        self.read(move |reader| reader.secrets(&script)).await
    }

    /// All tokens, oldest first.
    pub async fn tokens(&self) -> Result<Vec<Token>, ReadError> {
        self.read(|reader| reader.tokens()).await
    }

    /// Accounts besides the default one, oldest first.
    pub async fn accounts(&self) -> Result<Vec<AccountRow>, ReadError> {
        self.read(|reader| reader.accounts()).await
    }

    /// Log lines of an instance behind line `after` (0 for all), at most `limit`.
    pub async fn logs(&self, key: InstanceKey, after: u64, limit: usize) -> Result<Vec<LogRow>, ReadError> {
        self.read(move |reader| reader.logs(key, after, limit)).await
    }
}
