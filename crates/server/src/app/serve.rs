//! `stepwell serve`: deployments come by the API, everybody needs a token, user code reaches public addresses only.

use anyhow::Context as _;
use stepwell_engine::StepConfig;
use stepwell_engine::engine::Chaos;
use stepwell_runtime::{Outbound, Workerd};

use super::faces::{FaceSettings, Listeners};
use super::{logging, run_until_stopped};
use crate::auth::Auth;
use crate::cli::{ExitCode, ServeOptions};
use crate::clock::TestClock;
use crate::core::{Core, CoreConfig};
use crate::d1::D1;
use crate::tools::Tools;
use crate::workers::WorkersConfig;

/// Runs the server until it is stopped.
///
/// # Errors
/// What keeps it from starting, with what to do.
pub async fn serve(options: ServeOptions) -> anyhow::Result<ExitCode> {
    logging::start();
    options.test_clock.into_iter().for_each(TestClock::set);
    let listeners = Listeners::bind(options.listen, options.api).await?;
    let (ingress, api) = (listeners.ingress_address()?, listeners.api_address()?);
    let tools = tokio::task::spawn_blocking(|| Tools::ensure(&mut |line| eprintln!("{line}"))).await??;
    let sockets =
        tempfile::Builder::new().prefix("stepwell-").tempdir().context("cannot make a temporary directory")?;
    let host_socket = sockets.path().join("host");
    let workers = WorkersConfig {
        workerd: Workerd::open(&tools.workerd).await?,
        host_socket: host_socket.clone(),
        outbound: Outbound::PublicOnly { allow: Vec::new() },
        defaults: StepConfig::DEFAULT,
        replicas: options.replicas,
    };
    let core = Core::start(CoreConfig {
        data_dir: options.data.clone(),
        workers,
        policy: options.policy.policy(),
        creation_rates: options.policy.creation_rates(),
        chaos: Chaos::None,
    })
    .await?;
    let (auth, new_token) = Auth::open(&options.data, &core.platform.store).await?;
    let settings =
        FaceSettings { auth, d1: D1::open(options.data.join("d1")), default_script: None, is_dev: false, host_socket };
    listeners.serve(&core, settings)?;
    if let Some(token) = new_token {
        println!("API token (shown once): {token}");
    }
    println!("Ingress  http://{ingress}   (Host: <script>.localhost)");
    println!("API      http://{api}/client/v4");
    println!("Data     {}", options.data.display());
    Ok(run_until_stopped(core).await)
}
