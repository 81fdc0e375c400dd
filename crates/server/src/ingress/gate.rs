//! The way into a script's worker process, as a trait because processes are another part's business.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use stepwell_engine::{DeploymentId, ErrorRecord};
use stepwell_store::ScopedName;
use tokio::net::UnixStream;

use crate::api_error::ApiError;

/// Where a request enters a script's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Straight to the user's export.
    Plain,
    /// By way of what tells tails of it.
    Followed,
}

/// A connection into a process, which is in use for as long as this lives.
pub struct WorkerConnection {
    /// Where HTTP is spoken.
    pub stream: UnixStream,
    /// Whose other copies tell the process that it is in use.
    pub in_use: Arc<()>,
}

/// Connects to scripts.
pub trait WorkerGate: Send + Sync {
    /// A connection to a socket of the script's newest deployment, whose process is started if there is none.
    ///
    /// # Errors
    /// 404 where there is no such script, 502 or 503 where its process does not start, saying why.
    fn connect<'a>(&'a self, script: &'a ScopedName, door: Door) -> BoxFuture<'a, Result<WorkerConnection, ApiError>>;

    /// Has the stack of an error that a script's code threw lead to source files.
    fn locate<'a>(&'a self, deployment: DeploymentId, error: &'a mut ErrorRecord) -> BoxFuture<'a, ()> {
        let _ = (deployment, error);
        Box::pin(std::future::ready(()))
    }

    /// Resolves when the process that answers the script's requests had to be stopped because it hung, and says so; never
    /// where all is well.
    fn hung<'a>(&'a self, script: &'a ScopedName) -> BoxFuture<'a, ApiError> {
        let _ = script;
        Box::pin(std::future::pending())
    }

    /// Changes whenever new requests must go to another process, as after a deployment: connections of an earlier
    /// generation are not used again.
    fn generation(&self, script: &ScopedName) -> u64;
}
