//! `cargo xtask run`: what a newcomer sees first. It starts a server with the example, runs one instance of its
//! workflow before their eyes, and leaves the server up.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{project, tools};

const EXAMPLE: &str = "examples/onboarding";
const WORKFLOW: &str = "onboarding-workflow";
/// `event.payload` of the first instance.
const PARAMS: &str = r#"{"userId":"user_1","email":"ada@example.com","plan":"pro"}"#;
/// A cold start installs nothing any more; it bundles a Worker and opens a database.
const START_MAX: Duration = Duration::from_secs(60);
const START_POLL: Duration = Duration::from_millis(50);

/// Where the example's server listens.
#[derive(Args)]
pub struct Options {
    /// Port for requests to the Worker.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Port for the API, which the command line uses.
    #[arg(long, default_value_t = 8788)]
    api_port: u16,
}

/// Runs the example until the user stops it.
///
/// # Errors
/// The build, the tools, the server or the instance fails.
pub fn run(options: &Options) -> Result<()> {
    let tools = tools::install()?;
    let stepwell = tools::build()?;
    let mut command = project::command(&stepwell);
    command.args(["dev", EXAMPLE, "--port", &options.port.to_string(), "--api-port", &options.api_port.to_string()]);
    let mut server = tools.set(&mut command).spawn().context("starting the server")?;
    let shown = await_server(&mut server, options.api_port).and_then(|()| show_instance(&stepwell, options));
    if let Err(error) = shown {
        server.kill().context("stopping the server")?;
        server.wait().context("waiting for the server to end")?;
        return Err(error);
    }
    let status = server.wait().context("waiting for the server to end")?;
    println!("the server ended: {status}");
    Ok(())
}

fn await_server(server: &mut Child, api_port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, api_port));
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if let Some(status) = server.try_wait()? {
            bail!("the server ended before it listened on {address}: {status}");
        }
        if begun.elapsed() > START_MAX {
            bail!("the server does not listen on {address} after {} s", START_MAX.as_secs());
        }
        thread::sleep(START_POLL);
    }
    Ok(())
}

fn show_instance(stepwell: &Path, options: &Options) -> Result<()> {
    let api = format!("http://127.0.0.1:{}", options.api_port);
    let workflows = |arguments: &[&str]| {
        let mut command = project::command(stepwell);
        command.arg("workflows").args(arguments).args(["--api", &api]);
        project::succeed(&mut command)
    };
    workflows(&["trigger", WORKFLOW, "--params", PARAMS])?;
    workflows(&["instances", "describe", WORKFLOW, "latest", "--watch"])?;
    let stepwell = stepwell.display();
    println!(
        "\nThe server is up: Worker http://127.0.0.1:{}, API {api}. Try, in another terminal:\n\
         \x20 {stepwell} workflows list --api {api}\n\
         \x20 {stepwell} workflows trigger {WORKFLOW} --params '{PARAMS}' --api {api}\n\
         \x20 {stepwell} workflows instances list {WORKFLOW} --api {api}\n\
         Ctrl-C stops it.",
        options.port
    );
    Ok(())
}
