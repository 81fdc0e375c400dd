//! The command line: parses what a person typed, does it or asks the server to, and says how it went.
//!
//! Commands on workflows and instances are clients of the server's Cloudflare-shaped API and have wrangler's words and
//! flags. What a server does is not here: `dev` and `serve` only hand over their options.

mod account;
mod address;
mod argument;
mod capabilities;
mod client;
mod completions;
mod connection;
mod d1;
mod delete;
mod deploy;
mod deployments;
mod desk;
mod detail;
mod doctor;
mod drawing;
mod env;
mod error;
mod excerpt;
mod exit;
mod instance_deletion;
mod instance_list;
mod instances;
mod latest;
mod login;
mod logs;
mod notices;
mod policy;
mod profiles;
mod profiles_command;
mod prompt;
mod reference;
mod release;
mod rollback;
mod screen;
mod secret;
mod secret_file;
mod server;
mod setup;
mod status;
mod steps;
mod table;
mod tail;
mod text;
mod timeline;
mod times;
mod token;
mod trigger;
mod upload;
mod version;
mod version_secret;
mod versions;
mod watch;
mod whoami;
mod worker;
mod workflows;

use std::ffi::OsString;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use jiff::Timestamp;

pub use address::{ACCOUNT_ID, OPERATOR_TOKEN_FILE};
pub use error::CliError;
pub use exit::ExitCode;
pub use notices::{complain, warn};
pub use policy::{Kept, OnDeploy, PolicyOptions};
use screen::Screen;
pub use server::{DevOptions, ServeOptions};

/// Run unmodified Cloudflare Workflows code durably, on your own machines
#[derive(Debug, Parser)]
#[command(name = "stepwell", version, after_help = exit::AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print JSON, also for errors
    #[arg(long, global = true)]
    json: bool,
    /// Let this be the present
    #[arg(long, hide = true, global = true, value_name = "TIME")]
    now: Option<Timestamp>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(DevOptions),
    Serve(ServeOptions),
    Deploy(deploy::DeployArgs),
    Versions(versions::VersionsArgs),
    Deployments(deployments::DeploymentsArgs),
    Rollback(rollback::RollbackArgs),
    Delete(delete::DeleteArgs),
    Secret(secret::SecretArgs),
    Workflows(workflows::WorkflowsArgs),
    Tail(tail::TailArgs),
    D1(d1::D1Args),
    Token(token::TokenArgs),
    Account(account::AccountArgs),
    Login(login::LoginArgs),
    Logout(login::LogoutArgs),
    Profiles(profiles_command::ProfilesArgs),
    Whoami(whoami::WhoamiArgs),
    Env(env::EnvArgs),
    Capabilities(capabilities::CapabilitiesArgs),
    Setup(setup::SetupArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    ExitCodes(exit::ExitCodesArgs),
    #[command(hide = true)]
    Reference(reference::ReferenceArgs),
}

/// The tree of commands.
fn command() -> clap::Command {
    Cli::command()
}

/// Does what the arguments of this process say. Whatever goes wrong is told on standard error.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&line) {
        Ok(cli) => cli,
        Err(error) => return misread(&error, &line),
    };
    if cli.json {
        notices::speak_json();
    }
    let screen = Screen::stdout(cli.now, cli.json);
    let outcome = run(cli.command, &screen);
    outcome.unwrap_or_else(|error| tell(&error).into())
}

/// What clap has to say: help, a version, or what is wrong with the line.
fn misread(error: &clap::Error, line: &[OsString]) -> std::process::ExitCode {
    let wants_json = line.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    if error.use_stderr() && wants_json {
        notices::speak_json();
        let message = error.render().to_string();
        return tell(&CliError::Usage(message.trim().trim_start_matches("error: ").to_owned())).into();
    }
    // Where nobody reads it there is nobody to tell.
    let _ = error.print();
    let code = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Ok };
    code.into()
}

fn tell(error: &CliError) -> ExitCode {
    if !matches!(error, CliError::OutputClosed) {
        complain(error);
    }
    error.exit_code()
}

fn run(command: Command, screen: &Screen) -> Result<std::process::ExitCode, CliError> {
    let code = match command {
        Command::Dev(options) => return serving(crate::app::dev(options)),
        Command::Serve(options) => return serving(crate::app::serve(options)),
        Command::Deploy(args) => asking(args.run(screen))?,
        Command::Versions(args) => asking(args.run(screen))?,
        Command::Deployments(args) => asking(args.run(screen))?,
        Command::Rollback(args) => asking(args.run(screen))?,
        Command::Delete(args) => asking(args.run(screen))?,
        Command::Secret(args) => asking(args.run(screen))?,
        Command::Workflows(args) => asking(args.run(screen))?,
        Command::Tail(args) => asking(args.run(screen))?,
        Command::D1(args) => asking(args.run(screen))?,
        Command::Token(args) => asking(args.run(screen))?,
        Command::Account(args) => asking(args.run(screen))?,
        Command::Login(args) => asking(args.run(screen))?,
        Command::Whoami(args) => asking(args.run(screen))?,
        Command::Doctor(args) => asking(args.run(screen))?,
        Command::Logout(args) => args.run(screen)?,
        Command::Profiles(args) => args.run(screen)?,
        Command::Env(args) => args.run(screen)?,
        Command::Capabilities(args) => args.run(screen)?,
        Command::Setup(args) => args.run(screen)?,
        Command::Completions(args) => args.run(screen)?,
        Command::ExitCodes(args) => args.run(screen)?,
        Command::Reference(args) => args.run(screen)?,
    };
    Ok(code.into())
}

/// How long blocking work may go on when a server ends.
const LAST_WORK: Duration = Duration::from_secs(2);

/// A server may use all cores.
fn serving<C: Into<std::process::ExitCode>>(
    server: impl Future<Output = anyhow::Result<C>>,
) -> Result<std::process::ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(server);
    // A long import into a database would hold up the end; it is undone as if the process had been killed.
    runtime.shutdown_timeout(LAST_WORK);
    Ok(ended?.into())
}

/// A client does one thing after the other.
fn asking(command: impl Future<Output = Result<ExitCode, CliError>>) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
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
            json: false,
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
            json: false,
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
            discard_secrets: false,
            test_clock: None,
            json: false,
        };
        assert_eq!(options, expected);
    }
}
