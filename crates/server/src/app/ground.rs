//! What both servers stand on: the tools, a private directory for the socket on which bindings are answered, and the core.

use std::path::PathBuf;

use anyhow::Context as _;
use stepwell_engine::StepConfig;
use stepwell_runtime::{Outbound, Workerd};
use tempfile::TempDir;

use crate::core::{Core, CoreConfig};
use crate::tools::Tools;
use crate::workers::WorkersConfig;

pub(super) struct Ground {
    pub core: Core,
    pub esbuild: PathBuf,
    pub host_socket: PathBuf,
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
    let sockets =
        tempfile::Builder::new().prefix("stepwell-").tempdir().context("cannot make a temporary directory")?;
    let host_socket = sockets.path().join("host");
    let workers = WorkersConfig {
        workerd: Workerd::open(&tools.workerd).await?,
        host_socket: host_socket.clone(),
        outbound,
        defaults: StepConfig::DEFAULT,
        replicas,
    };
    let core = Core::start(config(workers)).await?;
    Ok(Ground { core, esbuild: tools.esbuild, host_socket, sockets })
}
