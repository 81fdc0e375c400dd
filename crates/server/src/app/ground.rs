//! What both servers stand on: the tools, a private directory for the socket on which bindings are answered, and the core.

use std::path::PathBuf;

use anyhow::Context as _;
use stepwell_engine::StepConfig;
use stepwell_runtime::{Outbound, Workerd};
use tempfile::TempDir;
use tokio::net::UnixListener;

use crate::core::{CoreConfig, OpenCore};
use crate::tools::Tools;
use crate::workers::WorkersConfig;

pub(super) struct Ground {
    pub core: OpenCore,
    pub esbuild: PathBuf,
    /// Where bindings are answered. It is there before the first instance runs: what asks early waits for its answer.
    pub host_socket: UnixListener,
    /// Removed with this.
    pub sockets: TempDir,
}

/// Opens it; `config` makes the core's configuration of that of the workers.
pub(super) async fn open(
    outbound: Outbound,
    replicas: u32,
    config: impl FnOnce(WorkersConfig) -> CoreConfig,
) -> anyhow::Result<Ground> {
    let tools = tokio::task::spawn_blocking(|| Tools::ensure(&mut |line| eprintln!("{line}"))).await??;
    let sockets = tempfile::Builder::new()
        .prefix("stepwell-")
        .tempdir()
        .context("cannot make a temporary directory; set TMPDIR to one that can be written")?;
    let host_path = sockets.path().join("host");
    let host_socket = UnixListener::bind(&host_path)
        .with_context(|| format!("cannot make the socket {} for bindings", host_path.display()))?;
    let workers = WorkersConfig {
        workerd: Workerd::open(&tools.workerd).await?,
        host_socket: host_path,
        outbound,
        defaults: StepConfig::DEFAULT,
        replicas,
    };
    let core = OpenCore::open(config(workers)).await?;
    Ok(Ground { core, esbuild: tools.esbuild, host_socket, sockets })
}
