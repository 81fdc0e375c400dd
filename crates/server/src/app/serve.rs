//! `stepwell serve`: deployments come by the API, everybody needs a token, user code reaches public addresses only.

use serde_json::json;
use stepwell_engine::engine::Chaos;
use stepwell_runtime::Outbound;

use super::faces::{FaceSettings, Listeners, Wanted};
use super::ground::{self, Ground};
use super::{logging, run_until_stopped};
use crate::auth::Auth;
use crate::cli::{ExitCode, ServeOptions};
use crate::clock::TestClock;
use crate::core::CoreConfig;
use crate::d1::D1;

/// Runs the server until it is stopped.
///
/// # Errors
/// What keeps it from starting, with what to do.
pub async fn serve(options: ServeOptions) -> anyhow::Result<ExitCode> {
    logging::start();
    options.test_clock.into_iter().for_each(TestClock::set);
    let wanted = |address, option| Wanted { address, option };
    let listeners = Listeners::bind(wanted(options.listen, "--listen"), wanted(options.api, "--api")).await?;
    let (ingress, api) = (listeners.ingress_address()?, listeners.api_address()?);
    let outbound = Outbound::PublicOnly { allow: Vec::new() };
    let (data_dir, policy) = (options.data.clone(), options.policy.policy());
    let creation_rates = options.policy.creation_rates();
    let discards_secrets = options.discard_secrets;
    let config =
        |workers| CoreConfig { data_dir, workers, policy, creation_rates, chaos: Chaos::None, discards_secrets };
    let Ground { core, host_socket, sockets: _sockets, .. } = ground::open(outbound, options.replicas, config).await?;
    let core = core.start().await?;
    let (auth, new_token) = Auth::open(&options.data, &core.platform.store).await?;
    let d1 = D1::open(options.data.join("d1"), core.platform.store.clone());
    let settings = FaceSettings { auth, d1, default_script: None, is_dev: false, host_socket };
    listeners.serve(&core, settings)?;
    let data = options.data.display();
    if options.json {
        let (ingress, api) = (format!("http://{ingress}"), format!("http://{api}/client/v4"));
        let ready = json!({ "ingress": ingress, "api": api, "data": data.to_string(), "token": new_token });
        println!("{ready}");
    } else {
        if let Some(token) = new_token {
            println!("API token (shown once): {token}");
        }
        println!("Ingress  http://{ingress}   (Host: <script>.localhost)");
        println!("API      http://{api}/client/v4");
        println!("Data     {data}");
    }
    Ok(run_until_stopped(core).await)
}
