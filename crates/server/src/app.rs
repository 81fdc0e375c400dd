//! The two servers: `dev` for a developer's projects, `serve` for everybody's deployments. Both are a [`Core`] with its
//! faces; they differ in what they deploy, whom they let in and what user code may reach.
//!
//! [`Core`]: crate::core::Core

mod dev;
mod faces;
mod ground;
mod logging;
mod owners;
mod projects;
mod serve;
mod watch;
mod workspace;

pub use dev::dev;
pub use serve::serve;

use std::time::Duration;

use stepwell_store::{CommitError, Store};

use crate::cli::ExitCode;
use crate::core::Core;

/// How often it is looked whether the database is at its path.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits for a signal or the store's failure, then stops in order.
async fn run_until_stopped(mut core: Core) -> ExitCode {
    let (failed, gone) = (core.failed(), until_gone(core.platform.store.clone()));
    let error = tokio::select! {
        () = stop_signal() => {
            core.shut_down().await;
            return ExitCode::Ok;
        }
        error = failed => error,
        error = gone => error,
    };
    tracing::error!(%error, "the store failed: the server ends");
    ExitCode::StorageFailed
}

/// Resolves when the database is not at its path any more. A commit finds that out by itself; a server that only waits would
/// go on as if all were well.
async fn until_gone(store: Store) -> CommitError {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = store.check_in_place() {
            return error;
        }
    }
}

/// Resolves on SIGINT or SIGTERM.
pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(error) => {
            tracing::warn!(%error, "SIGTERM is not handled");
            // Without a handler for SIGINT either, the process ends by the signal itself.
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
