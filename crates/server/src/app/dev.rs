//! `stepwell dev`: deploys projects from disk, again whenever they change, and lets anybody on this machine in.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;
use stepwell_engine::StepConfig;
use stepwell_engine::engine::Chaos;
use stepwell_runtime::Outbound;
use stepwell_store::ScopedName;

use super::faces::{FaceSettings, Listeners, Wanted};
use super::ground::{self, Ground};
use super::owners::Owners;
use super::watch::Watch;
use super::workspace::{Workspace, refuse_repeated, root_of};
use super::{logging, run_until_stopped};
use crate::auth::Auth;
use crate::cli::{DevOptions, ExitCode, Kept};
use crate::clock::TestClock;
use crate::core::CoreConfig;
use crate::creation_rate::CreationRates;
use crate::d1::D1;
use crate::registry::Policy;
use crate::workers::WorkersConfig;

/// Where the state is kept unless `--persist-to` says otherwise.
const STATE_DIRECTORY: &str = ".stepwell";

/// Runs the server until it is stopped.
///
/// # Errors
/// What keeps it from starting, with what to do.
pub async fn dev(options: DevOptions) -> anyhow::Result<ExitCode> {
    logging::start();
    refuse_repeated(&options.projects)?;
    options.test_clock.into_iter().for_each(TestClock::set);
    let loopback = |port, option| Wanted { address: (Ipv4Addr::LOCALHOST, port).into(), option };
    let (ingress, api) = (loopback(options.port, "--port"), loopback(options.api_port, "--api-port"));
    let listeners = Listeners::bind(ingress, api).await?;
    let (ingress, api) = (listeners.ingress_address()?, listeners.api_address()?);
    let first = options.projects.first().cloned().unwrap_or_else(|| PathBuf::from("."));
    let state = options.persist_to.clone().unwrap_or_else(|| root_of(&first).join(STATE_DIRECTORY));
    let defaults = if options.fast_retries { StepConfig::FAST } else { StepConfig::DEFAULT };
    let chaos = options.chaos.map_or(Chaos::None, Chaos::from);
    let policy = Policy { follows_newest: !options.pin, retention: Kept::default().into() };
    let (data_dir, creation_rates) = (state.clone(), CreationRates::default());
    let workers = |workers| WorkersConfig { defaults, ..workers };
    let discards_secrets = false;
    let config =
        |base| CoreConfig { data_dir, workers: workers(base), policy, creation_rates, chaos, discards_secrets };
    let Ground { core, esbuild, host_socket, sockets: _sockets } = ground::open(Outbound::Any, 1, config).await?;
    let d1 = D1::open(state.join("d1"), core.store.clone());
    let mut workspace = Workspace {
        esbuild,
        deployer: core.deployer.clone(),
        workers: core.workers.clone(),
        d1: d1.clone(),
        directories: if options.projects.is_empty() { vec![first] } else { options.projects },
        environment: options.env,
        watch: Watch::new().context("cannot watch files")?,
        owners: Owners::default(),
        is_json: options.json,
    };
    // Before anything goes on that was under way: it is to meet the code that is on disk now.
    let scripts = workspace.deploy_all().await.complete()?;
    let core = core.start().await?;
    let default_script = (scripts.len() == 1).then(|| ScopedName::in_default(&*scripts[0]));
    let settings = FaceSettings { auth: Auth::Open, d1, default_script, is_dev: true, host_socket };
    listeners.serve(&core, settings)?;
    let urls = scripts.iter().map(|script| (script, format!("http://{script}.localhost:{}", ingress.port())));
    let api = format!("http://{api}/client/v4");
    if options.json {
        let (ingress, state, workers) =
            (format!("http://{ingress}"), state.display(), urls.collect::<BTreeMap<_, _>>());
        println!("{}", json!({ "ingress": ingress, "api": api, "state": state.to_string(), "workers": workers }));
    } else {
        urls.for_each(|(script, url)| println!("{script:<16} {url}"));
        println!("{:<16} {api}", "API");
        println!("{:<16} {}", "State", state.display());
        println!("ready");
    }
    tokio::spawn(workspace.redeploy_on_change());
    Ok(run_until_stopped(core).await)
}
