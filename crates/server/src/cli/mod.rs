//! The command line: parses what a person typed, does it or asks the server to, and says how it went.
//!
//! Commands on workflows and instances are clients of the server's Cloudflare-shaped API and have wrangler's words and
//! flags. What a server does is not here: `dev` and `serve` only hand over their options.

mod address;
mod capabilities;
mod client;
mod deploy;
mod deployments;
mod detail;
mod doctor;
mod env;
mod error;
mod exit;
mod instances;
mod latest;
mod logs;
mod policy;
mod screen;
mod server;
mod setup;
mod status;
mod steps;
mod table;
mod text;
mod timeline;
mod times;
mod watch;
mod workflows;

use clap::{Parser, Subcommand};
use jiff::Timestamp;

pub use address::{ACCOUNT_ID, OPERATOR_TOKEN_FILE};
pub use error::CliError;
pub use exit::ExitCode;
pub use policy::{Kept, OnDeploy, PolicyOptions};
use screen::Screen;
pub use server::{DevOptions, ServeOptions};

/// Run unmodified Cloudflare Workflows code durably, on your own machines
#[derive(Debug, Parser)]
#[command(name = "stepwell", version, after_help = exit::AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Let this be the present
    #[arg(long, hide = true, global = true, value_name = "TIME")]
    now: Option<Timestamp>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(DevOptions),
    Serve(ServeOptions),
    Deploy(deploy::DeployArgs),
    Deployments(deployments::DeploymentsArgs),
    Workflows(workflows::WorkflowsArgs),
    Capabilities(capabilities::CapabilitiesArgs),
    Env(env::EnvArgs),
    Setup(setup::SetupArgs),
    Doctor(doctor::DoctorArgs),
}

/// Does what the arguments of this process say. Whatever goes wrong is told on standard error.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let screen = Screen::stdout(cli.now);
    let outcome = run(cli.command, &screen);
    outcome.unwrap_or_else(|error| tell(&error).into())
}

fn tell(error: &CliError) -> ExitCode {
    if !matches!(error, CliError::OutputClosed) {
        screen::complain(&error.to_string());
    }
    error.exit_code()
}

fn run(command: Command, screen: &Screen) -> Result<std::process::ExitCode, CliError> {
    let code = match command {
        Command::Dev(options) => return serving(crate::app::dev(options)),
        Command::Serve(options) => return serving(crate::app::serve(options)),
        Command::Deploy(args) => asking(args.run(screen))?,
        Command::Deployments(args) => asking(args.run(screen))?,
        Command::Workflows(args) => asking(args.run(screen))?,
        Command::Doctor(args) => asking(args.run(screen))?,
        Command::Capabilities(args) => args.run(screen)?,
        Command::Env(args) => args.run(screen)?,
        Command::Setup(args) => args.run(screen)?,
    };
    Ok(code.into())
}

/// A server may use all cores.
fn serving<C: Into<std::process::ExitCode>>(
    server: impl Future<Output = anyhow::Result<C>>,
) -> Result<std::process::ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(server)?.into())
}

/// A client does one thing after the other.
fn asking(command: impl Future<Output = Result<ExitCode, CliError>>) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::server::ChaosKind;
    use super::*;

    fn parse(line: &str) -> Command {
        Cli::try_parse_from(line.split_whitespace()).expect(line).command
    }

    #[test]
    fn flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn dev_without_flags_serves_this_directory_on_the_usual_ports() {
        let Command::Dev(options) = parse("stepwell dev") else { panic!("not dev") };
        let expected = DevOptions {
            projects: vec![".".into()],
            port: 8787,
            api_port: 8788,
            persist_to: None,
            env: None,
            test_clock: None,
            pin: false,
            fast_retries: false,
            chaos: None,
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn dev_takes_several_projects() {
        let line =
            "stepwell dev a b --port 1 --api-port 2 --persist-to s --env staging --pin --fast-retries --chaos replay";
        let Command::Dev(options) = parse(line) else { panic!("not dev") };
        let expected = DevOptions {
            projects: vec!["a".into(), "b".into()],
            port: 1,
            api_port: 2,
            persist_to: Some("s".into()),
            env: Some("staging".to_owned()),
            test_clock: None,
            pin: true,
            fast_retries: true,
            chaos: Some(ChaosKind::Replay),
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn serve_listens_on_loopback_unless_told() {
        let Command::Serve(options) = parse("stepwell serve --data d --api 0.0.0.0:9") else { panic!("not serve") };
        let expected = ServeOptions {
            data: "d".into(),
            listen: "127.0.0.1:8787".parse().expect("an address"),
            api: "0.0.0.0:9".parse().expect("an address"),
            replicas: 1,
            policy: PolicyOptions {
                retention: Kept(Some(604_800_000)),
                on_deploy: OnDeploy::Pinned,
                create_rate: None,
                workflow_create_rate: None,
            },
            test_clock: None,
        };
        assert_eq!(options, expected);
    }
}
