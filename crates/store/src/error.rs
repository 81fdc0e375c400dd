//! What can go wrong, by what the caller does about it.

use std::path::PathBuf;

use stepwell_engine::{DeploymentId, InstanceKey, StreamId};
use thiserror::Error;

/// The data directory cannot be used. The message says what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data directory {} is in use by {}: stop that server, or name another directory", dir.display(), owner(*pid))]
    InUse {
        /// Which directory.
        dir: PathBuf,
        /// The process that has it, where it left its number.
        pid: Option<u32>,
    },
    /// It cannot be created or written.
    #[error("data directory {} cannot be written ({reason}): give this user write access, or name another directory", dir.display())]
    NotWritable {
        /// Which directory.
        dir: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// There is a file in its place, or above it.
    #[error("{} is a file where data directory {} needs a directory: name another one", file.display(), dir.display())]
    NotADirectory {
        /// Which directory.
        dir: PathBuf,
        /// What is in its way.
        file: PathBuf,
    },
    /// A newer Stepwell wrote it.
    #[error("{} has format {found}, and this version knows formats up to {known}: upgrade stepwell", path.display())]
    NewerFormat {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// It is not one of ours, or is damaged.
    #[error("{} cannot be opened ({reason}): if it is a Stepwell database, restore it from a backup; else name another directory", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// Another program has locked it.
    #[error("{} is held by another program ({reason}): let it finish, or stop it, and start again", path.display())]
    Held {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// There is no room for what opening writes.
    #[error("no room to open {} ({reason}): free some disk space and start again", path.display())]
    Full {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Why commits have to wait. They go on by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Stall {
    /// There is no room for them.
    #[error("the disk is full: free some space")]
    NoRoom,
    /// Another program has locked the database.
    #[error("another program holds the database: let it finish, or stop it")]
    Held,
}

/// A batch that was not made durable. Nothing of it is there, but for [`CommitError::SyncFailed`] and [`CommitError::Gone`],
/// where nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommitError {
    /// Somebody else owns the instance or the data directory: drop what was built on it and load again.
    #[error("fenced: {0}")]
    Fenced(String),
    /// The disk did not confirm a sync. Final: end the process and let a restart read what is there.
    #[error("the disk failed to sync ({0}): the server must stop; check the disk, then start again")]
    SyncFailed(String),
    /// The database is not at its path any more: what is written to it is lost at a restart, or where it was moved to.
    /// Final: end the process.
    #[error(
        "the database {} is gone: its directory was removed, moved or replaced. What is written now would not be kept, so the \
         server must stop; put the directory back and start again, or start again without it",
        .0.display()
    )]
    Gone(PathBuf),
    /// The database refused for a reason that waiting does not mend.
    #[error("the database failed: {0}")]
    Failed(String),
    /// Too many writes wait.
    #[error("too many writes wait for the disk")]
    Busy,
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

/// Control data that was not changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// Instances still run this deployment's code.
    #[error(
        "deployment {deployment} is needed by {instances} unfinished instance(s): let them end or terminate them first"
    )]
    DeploymentNeeded {
        /// Which.
        deployment: DeploymentId,
        /// How many.
        instances: u64,
    },
    /// It is what new instances start on.
    #[error("deployment {0} is the current one of its script: deploy another one first")]
    DeploymentCurrent(DeploymentId),
    /// The workflow still has instances.
    #[error("workflow {name} still has {instances} instance(s): delete them first")]
    WorkflowNotEmpty {
        /// Which.
        name: String,
        /// How many.
        instances: u64,
    },
    /// The script still has workflows, or instances that run its code.
    #[error("script {script} is still needed by {needed_by}: delete that first")]
    ScriptNeeded {
        /// Which.
        script: String,
        /// By what, in words.
        needed_by: String,
    },
    /// There is another account of that name.
    #[error("there is an account named {name:?} already: choose another name")]
    AccountExists {
        /// Which.
        name: String,
    },
    /// The account still has something.
    #[error("the account still has {needed_by}: delete that first")]
    AccountNotEmpty {
        /// What, in words.
        needed_by: String,
    },
    /// There is another database of that name or id.
    #[error("there is a database named {name:?} already: choose another name")]
    DatabaseExists {
        /// Which.
        name: String,
    },
    /// The instance that it was for is gone.
    #[error("instance {0} is gone")]
    InstanceGone(InstanceKey),
    /// The stream is not being written, or not at that place.
    #[error("stream {0} is not being written there")]
    StreamOver(StreamId),
    /// The streams of an instance would be too large.
    #[error("the streams of the instance would have more than {bytes_max} bytes")]
    StreamsTooLarge {
        /// The bound.
        bytes_max: u64,
    },
    /// Commits have to wait, and it does not. It changed nothing.
    #[error("{0}")]
    Stalled(Stall),
    /// It was not made durable.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// A read that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The database could not be read.
    #[error("the database could not be read: {0}")]
    Failed(String),
    /// A record is not one this version can read.
    #[error("a record cannot be read: {0}")]
    Unreadable(String),
    /// Too many reads wait.
    #[error("too many reads wait")]
    Busy,
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}
