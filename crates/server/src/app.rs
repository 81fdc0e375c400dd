//! Starts a server, for development or for good. Here is only what the command line calls.

use anyhow::{Result, bail};

use crate::cli::{DevOptions, ExitCode, ServeOptions};

/// Serves projects for development until interrupted.
///
/// # Errors
/// Always: there is no server yet.
#[expect(clippy::unused_async, reason = "the server will await")]
pub async fn dev(options: DevOptions) -> Result<ExitCode> {
    bail!("this build has no server; it was asked to serve {} projects", options.projects.len())
}

/// Serves a data directory until interrupted.
///
/// # Errors
/// Always: there is no server yet.
#[expect(clippy::unused_async, reason = "the server will await")]
pub async fn serve(options: ServeOptions) -> Result<ExitCode> {
    bail!("this build has no server; it was asked to serve {}", options.data.display())
}
