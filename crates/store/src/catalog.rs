//! Control data: what is deployed and configured, as opposed to what runs.

use std::sync::Arc;

use stepwell_engine::{DeploymentId, InstanceKey, Millis, WorkflowId};

use crate::{AccountId, ScopedName};

/// A deployed Worker, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptRow {
    /// Its name.
    pub name: ScopedName,
    /// What new instances start on.
    pub current: DeploymentId,
    /// First deployment.
    pub created_at: Millis,
    /// Last change of what is current.
    pub modified_at: Millis,
    /// JSON text that belongs to the script and to no deployment of it; the store does not read it.
    pub settings: String,
}

/// That a deployment of a script became current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRow {
    /// Its number, never used again.
    pub number: u64,
    /// What became current.
    pub deployment: DeploymentId,
    /// When.
    pub at: Millis,
    /// JSON text that the store does not read.
    pub note: String,
}

/// A deployment of a script that is to become current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRelease {
    /// Which script.
    pub script: ScopedName,
    /// Which of its deployments.
    pub deployment: DeploymentId,
    /// When.
    pub at: Millis,
    /// JSON text that the store does not read.
    pub note: String,
    /// Secrets of the script that change with it, in the same transaction.
    pub secrets: Vec<SecretChange>,
}

/// A file of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its path in the Worker.
    pub name: String,
    /// What it is, in the caller's words.
    pub kind: String,
    /// Name of its content, by which equal contents are kept once. The caller's collision-free hash.
    pub hash: String,
    /// Its content.
    pub body: Arc<[u8]>,
}

/// An upload of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeployment {
    /// Of which script.
    pub script: ScopedName,
    /// Equal for equal modules and settings; the caller's hash of both.
    pub content_id: String,
    /// JSON text that the store does not read.
    pub settings: String,
    /// The files, in order: the main one first.
    pub modules: Vec<Module>,
    /// When.
    pub created_at: Millis,
    /// Secrets of the script that change when this becomes current at once, in the same transaction. A version that is not
    /// made current keeps none.
    pub secrets: Vec<SecretChange>,
}

/// A deployment without its modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentRow {
    /// Its number, never used again.
    pub id: DeploymentId,
    /// Its script.
    pub script: ScopedName,
    /// See [`NewDeployment::content_id`].
    pub content_id: String,
    /// JSON text.
    pub settings: String,
    /// First upload.
    pub created_at: Millis,
    /// New instances start on it.
    pub is_current: bool,
    /// Unfinished instances that are pinned to it.
    pub live_instances: u64,
}

/// A deployment with its modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The row.
    pub row: DeploymentRow,
    /// The files, in the order of the upload.
    pub modules: Vec<Module>,
}

/// A workflow to be made or changed, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorkflow {
    /// Unique.
    pub name: ScopedName,
    /// Script that has the class.
    pub script: ScopedName,
    /// Exported class.
    pub class_name: String,
    /// JSON text that the store does not read.
    pub settings: String,
    /// Now: creation of a new one, modification of one that exists.
    pub at: Millis,
}

/// A workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRow {
    /// Its number, never used again.
    pub id: WorkflowId,
    /// Unique.
    pub name: ScopedName,
    /// Script that has the class.
    pub script: ScopedName,
    /// Exported class.
    pub class_name: String,
    /// JSON text.
    pub settings: String,
    /// When it was made.
    pub created_at: Millis,
    /// Last change.
    pub modified_at: Millis,
}

/// A cron schedule of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// The expression.
    pub cron: String,
    /// Up to when it has been looked at: no firing until then happens any more.
    pub considered_at: Millis,
}

/// A secret of a script. The store keeps the bytes as given; sealing them is the caller's.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Name of the binding.
    pub name: String,
    /// Sealed value.
    pub value: Vec<u8>,
}

/// A secret of a script that is set, or goes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretChange {
    /// Name of the binding.
    pub name: String,
    /// Sealed value; `None` where it goes.
    pub value: Option<Vec<u8>>,
}

impl std::fmt::Debug for SecretChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_set = self.value.is_some();
        f.debug_struct("SecretChange").field("name", &self.name).field("is_set", &is_set).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An API token, known by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its public id, unique.
    pub id: String,
    /// Hash of the token, unique.
    pub hash: String,
    /// The account that it is for; every account where absent.
    pub account: Option<AccountId>,
    /// For people.
    pub label: String,
    /// What it may do, in the caller's words.
    pub scopes: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends.
    pub expires_at: Option<Millis>,
}

/// A line that user code wrote to its console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whose.
    pub key: InstanceKey,
    /// When.
    pub at: Millis,
    /// In which call.
    pub call: Option<u32>,
    /// `log`, `warn`, …
    pub level: String,
    /// The text.
    pub text: String,
}

/// A kept line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Place among the lines of its instance, from 1; the cursor of the next page.
    pub number: u64,
    /// The line.
    pub line: LogLine,
}
