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

use crate::cli::ExitCode;
use crate::core::Core;

/// Waits for a signal or the store's failure, then stops in order.
async fn run_until_stopped(mut core: Core) -> ExitCode {
    let failed = core.failed();
    tokio::select! {
        () = stop_signal() => {
            core.shut_down().await;
            ExitCode::Ok
        }
        error = failed => {
            tracing::error!(%error, "the store failed: the server ends");
            ExitCode::StorageFailed
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
