//! What a database must be able to do. Dumb on purpose: no rules of instances, no threads, no retries.
//!
//! Backends are synchronous and are called from threads that the store owns; a simulator may call one directly.

use std::path::PathBuf;
use std::sync::Arc;

use stepwell_engine::{Batch, DeploymentId, InstanceKey, Millis, Recorded, StreamId, StreamRef, WorkflowId};
use thiserror::Error;

use crate::{
    AccountId, AccountRow, ChangeError, CommitError, DatabaseKey, DatabasePage, DatabaseQuery, DatabaseRow, Deployment,
    DeploymentRow, Due, InstanceRow, ListQuery, LogLine, LogRow, NewAccount, NewDatabase, NewDeployment, NewRelease,
    NewWorkflow, OpenError, ReadError, ReleaseRow, ScheduleRow, ScopedName, ScriptRow, Secret, SecretChange, Stall,
    StatusCounts, StreamChunk, Token, WorkflowRow,
};

/// Why a write was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// This write alone cannot be; it changed nothing, and the transaction goes on.
    #[error("{0}")]
    Refused(ChangeError),
    /// Somebody else owns what it concerns; it changed nothing, and the transaction goes on.
    #[error("fenced: {0}")]
    Fenced(String),
    /// Not now, and nothing was synced: roll back, wait, try again.
    #[error("{0} ({1})")]
    Stalled(Stall, String),
    /// The sync failed: nobody knows what is on the disk.
    #[error("sync failed: {0}")]
    SyncFailed(String),
    /// The database is not at its path any more, so that nobody will find what is written.
    #[error("the database {} is gone", .0.display())]
    Gone(PathBuf),
    /// Anything else: roll back.
    #[error("{0}")]
    Failed(String),
}

impl Fault {
    /// Whether nothing more can be written.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::SyncFailed(_) | Self::Gone(_))
    }
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Fenced(reason) => Self::Fenced(reason),
            Fault::SyncFailed(reason) => Self::SyncFailed(reason),
            Fault::Gone(path) => Self::Gone(path),
            Fault::Stalled(_, reason) | Fault::Failed(reason) => Self::Failed(reason),
            Fault::Refused(refusal) => Self::Failed(refusal.to_string()),
        }
    }
}

impl From<Fault> for ChangeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refusal) => refusal,
            Fault::Stalled(stall, _) => Self::Stalled(stall),
            other => Self::Commit(other.into()),
        }
    }
}

/// The one writer of a database.
pub trait Backend: CatalogWriter + DatabaseWriter + StreamWriter + Send {
    /// A reader of committed state, for another thread.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn reader(&self) -> Result<Box<dyn Reader>, OpenError>;
    /// Begins a transaction and checks that the database still belongs to this writer.
    ///
    /// # Errors
    /// [`Fault::Fenced`] where another took over.
    fn begin(&mut self) -> Result<(), Fault>;
    /// Writes a batch into the transaction, in the order of its members. Returns what
    /// [`Committed::refused`](crate::Committed::refused) says.
    ///
    /// # Errors
    /// [`Fault::Fenced`] where an instance of a write is gone or its entries do not follow what is there.
    fn apply(&mut self, batch: &Batch) -> Result<Vec<InstanceKey>, Fault>;
    /// Ends the transaction; durable when it returns.
    ///
    /// # Errors
    /// [`Fault::Stalled`] and [`Fault::SyncFailed`], as the disk says, and [`Fault::Gone`].
    fn commit(&mut self) -> Result<(), Fault>;
    /// Takes back the transaction, if there is one.
    fn rollback(&mut self);
    /// In a transaction of its own, removes a bounded part of what deletions and restarts left. Returns whether more is
    /// left.
    ///
    /// # Errors
    /// As [`Backend::commit`].
    fn collect_garbage(&mut self) -> Result<bool, Fault>;
    /// Work that is due between transactions, after callers have been answered.
    ///
    /// # Errors
    /// As [`Backend::commit`].
    fn tidy(&mut self) -> Result<(), Fault>;
    /// Bounds the size of the database so that tests can fill it.
    ///
    /// # Errors
    /// [`Fault::Failed`] where the backend cannot be full.
    #[doc(hidden)]
    fn limit_pages(&mut self, pages: u32) -> Result<(), Fault>;
}

/// Writes of control data, inside a transaction. A [`Fault::Refused`] changed nothing.
#[allow(clippy::missing_errors_doc, reason = "all fail alike: by a fault of the database, or refused as named")]
pub trait CatalogWriter {
    /// Makes a deployment current; one with the same content is used again.
    fn put_deployment(&mut self, new: &NewDeployment) -> Result<DeploymentRow, Fault>;
    /// Makes a deployment that is not current, or finds the one with the same content. `None` where there is no such
    /// script.
    fn put_version(&mut self, new: &NewDeployment) -> Result<Option<DeploymentRow>, Fault>;
    /// Makes a deployment of a script current. Whether there is one.
    fn release(&mut self, new: &NewRelease) -> Result<bool, Fault>;
    /// Sets what belongs to a script and to no deployment of it. Whether the script was there.
    fn put_script_settings(&mut self, script: &ScopedName, settings: &str) -> Result<bool, Fault>;
    /// Deletes one that no unfinished instance needs and that is not current. Whether it was there.
    fn delete_deployment(&mut self, id: DeploymentId) -> Result<bool, Fault>;
    /// Deletes a script with its deployments and secrets, if it has no workflows and no unfinished instances.
    fn delete_script(&mut self, name: &ScopedName) -> Result<bool, Fault>;
    /// Makes or changes the workflow of that name.
    fn put_workflow(&mut self, new: &NewWorkflow) -> Result<WorkflowRow, Fault>;
    /// Makes these the schedules of a workflow. Those that are new have been looked at up to `at`.
    fn put_schedules(&mut self, workflow: WorkflowId, crons: &[String], at: Millis) -> Result<Vec<ScheduleRow>, Fault>;
    /// Deletes a workflow that has no instances, with its schedules. Whether it was there.
    fn delete_workflow(&mut self, name: &ScopedName) -> Result<bool, Fault>;
    /// Sets and deletes secrets.
    fn change_secrets(&mut self, script: &ScopedName, changes: &[SecretChange]) -> Result<(), Fault>;
    /// Adds a token, or replaces the one with that hash.
    fn put_token(&mut self, token: &Token) -> Result<(), Fault>;
    /// Deletes the token of that id. Whether it was there.
    fn delete_token(&mut self, id: &str) -> Result<bool, Fault>;
    /// Makes an account.
    fn put_account(&mut self, new: &NewAccount) -> Result<AccountRow, Fault>;
    /// Deletes an account that has nothing but tokens, with these. Whether it was there.
    fn delete_account(&mut self, id: AccountId) -> Result<bool, Fault>;
    /// Adds lines to logs; those of instances that are gone are dropped, and only the last
    /// [`LOG_LINES_MAX`](crate::limits::LOG_LINES_MAX) of each instance stay.
    fn append_logs(&mut self, lines: &[LogLine]) -> Result<(), Fault>;
}

/// Writes of the catalogue of databases, inside a transaction. A [`Fault::Refused`] changed nothing.
#[allow(clippy::missing_errors_doc, reason = "all fail alike: by a fault of the database, or refused as named")]
pub trait DatabaseWriter {
    /// Adds a database whose id and name no other has that is not deleted.
    fn put_database(&mut self, new: &NewDatabase) -> Result<DatabaseRow, Fault>;
    /// Marks a database as deleted. Whether it was there.
    fn delete_database(&mut self, key: &DatabaseKey, at: Millis) -> Result<bool, Fault>;
}

/// Writes of streams, inside a transaction. A [`Fault::Refused`] changed nothing.
#[allow(clippy::missing_errors_doc, reason = "all fail alike: by a fault of the database, or refused as named")]
pub trait StreamWriter {
    /// Begins a stream of an instance that is there.
    fn begin_stream(&mut self, key: InstanceKey) -> Result<StreamId, Fault>;
    /// Adds the next piece to an open stream.
    fn append_stream(&mut self, chunk: &StreamChunk) -> Result<(), Fault>;
}

/// Reads of instances, in committed state.
#[allow(clippy::missing_errors_doc, reason = "all fail alike: where the database cannot be read")]
pub trait Reader: CatalogReader + DatabaseReader + Send {
    /// The instance of that id.
    fn resolve(&mut self, workflow: WorkflowId, id: &str) -> Result<Option<InstanceKey>, ReadError>;
    /// An instance.
    fn instance(&mut self, key: InstanceKey) -> Result<Option<InstanceRow>, ReadError>;
    /// An instance and its whole history, the texts of payloads left out.
    fn load(&mut self, key: InstanceKey) -> Result<Option<(InstanceRow, Vec<Recorded>)>, ReadError>;
    /// A page of history with its values: at least one entry where there is one, then as many as the bounds allow.
    fn history(&mut self, key: InstanceKey, page: HistoryPage) -> Result<Vec<Recorded>, ReadError>;
    /// Instances in the order of (`wake_at`, key), after `after` and up to `until`.
    fn due(&mut self, after: (Millis, InstanceKey), until: Millis, limit: usize) -> Result<Vec<Due>, ReadError>;
    /// A page of a list.
    fn list_instances(&mut self, query: &ListQuery) -> Result<Vec<InstanceRow>, ReadError>;
    /// Instances of a workflow by status, in the order of [`Status::ALL`](stepwell_engine::Status::ALL).
    fn counters(&mut self, workflow: WorkflowId) -> Result<StatusCounts, ReadError>;
    /// Unfinished instances that are pinned to a deployment, at most `count`.
    fn pinned_instances(&mut self, deployment: DeploymentId, count: usize) -> Result<Vec<InstanceRow>, ReadError>;
    /// The greatest key that was ever used; 0 where none was.
    fn max_key(&mut self) -> Result<InstanceKey, ReadError>;
    /// Whether a kept stream of an instance has all its pieces.
    fn is_stream_whole(&mut self, key: InstanceKey, stream: StreamRef) -> Result<bool, ReadError>;
    /// A piece of a kept stream of an instance.
    fn stream_chunk(&mut self, key: InstanceKey, stream: StreamId, number: u32) -> Result<Option<Vec<u8>>, ReadError>;
}

/// Which part of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPage {
    /// From this sequence number.
    pub from_seq: u64,
    /// Up to this one, exclusive.
    pub until_seq: u64,
    /// Entries at most.
    pub rows_max: usize,
    /// Bytes of payloads at most, but for the first entry.
    pub bytes_max: usize,
}

/// Reads of control data, in committed state.
#[allow(clippy::missing_errors_doc, reason = "all fail alike: where the database cannot be read")]
pub trait CatalogReader {
    /// Scripts by name.
    fn scripts(&mut self) -> Result<Vec<ScriptRow>, ReadError>;
    /// A script.
    fn script(&mut self, name: &ScopedName) -> Result<Option<ScriptRow>, ReadError>;
    /// What became current of a script, newest first.
    fn releases(&mut self, script: &ScopedName) -> Result<Vec<ReleaseRow>, ReadError>;
    /// A deployment with its modules.
    fn deployment(&mut self, id: DeploymentId) -> Result<Option<Arc<Deployment>>, ReadError>;
    /// What new instances of a script start on.
    fn current_deployment(&mut self, script: &ScopedName) -> Result<Option<DeploymentRow>, ReadError>;
    /// Deployments of a script, newest first.
    fn deployments(&mut self, script: &ScopedName) -> Result<Vec<DeploymentRow>, ReadError>;
    /// A workflow by name.
    fn workflow(&mut self, name: &ScopedName) -> Result<Option<WorkflowRow>, ReadError>;
    /// Workflows by number.
    fn workflows(&mut self) -> Result<Vec<WorkflowRow>, ReadError>;
    /// Schedules, by workflow and expression.
    fn schedules(&mut self) -> Result<Vec<ScheduleRow>, ReadError>;
    /// Secrets of a script, by name.
    fn secrets(&mut self, script: &ScopedName) -> Result<Vec<Secret>, ReadError>;
    /// Tokens, oldest first.
    fn tokens(&mut self) -> Result<Vec<Token>, ReadError>;
    /// Accounts besides the default one, oldest first.
    fn accounts(&mut self) -> Result<Vec<AccountRow>, ReadError>;
    /// Log lines of an instance after line `after` (0 for all), at most `limit`.
    fn logs(&mut self, key: InstanceKey, after: u64, limit: usize) -> Result<Vec<LogRow>, ReadError>;
}

/// Reads of the catalogue of databases, in committed state.
#[allow(clippy::missing_errors_doc, reason = "all fail alike: where the database cannot be read")]
pub trait DatabaseReader {
    /// The database of that id, deleted or not.
    fn database(&mut self, key: &DatabaseKey) -> Result<Option<DatabaseRow>, ReadError>;
    /// The database of that name which is not deleted.
    fn database_named(&mut self, account: AccountId, name: &str) -> Result<Option<DatabaseRow>, ReadError>;
    /// A page of those that are not deleted, newest first, then by id.
    fn databases(&mut self, query: &DatabaseQuery) -> Result<DatabasePage, ReadError>;
    /// Those that were deleted, by account and id.
    fn deleted_databases(&mut self) -> Result<Vec<DatabaseKey>, ReadError>;
}
