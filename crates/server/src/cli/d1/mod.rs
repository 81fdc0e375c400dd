//! `stepwell d1`: databases, with wrangler's words. They are the server's; a local one of `stepwell dev` is no different.

mod databases;
mod execute;
mod export;
mod files;
mod migrations;
mod results;
mod target;

use clap::{Args, Subcommand};

use super::address::ServerAddress;
use super::desk::Desk;
use super::screen::Screen;
use super::{CliError, ExitCode};
use target::TargetArgs;

/// Create, query, migrate, export and delete D1 databases
#[derive(Debug, Args)]
pub struct D1Args {
    #[command(subcommand)]
    command: D1Command,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Debug, Subcommand)]
enum D1Command {
    /// Create a database
    Create(databases::CreateArgs),
    /// List databases, the newest first
    List(databases::ListArgs),
    /// Show a database
    Info(databases::InfoArgs),
    /// Run SQL: a command, or a file of any length in one transaction
    Execute(execute::ExecuteArgs),
    /// Write a database as an SQL script
    Export(export::ExportArgs),
    /// Delete a database with all that is in it
    Delete(databases::DeleteArgs),
    /// Create, list and apply migrations
    #[command(subcommand)]
    Migrations(migrations::MigrationsCommand),
}

impl D1Args {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let target = self.target;
        target.check()?;
        // What only writes a file needs no server.
        if let D1Command::Migrations(migrations::MigrationsCommand::Create(args)) = &self.command {
            return args.run(&target, screen);
        }
        let desk = Desk::of(&self.server, screen)?;
        match self.command {
            D1Command::Create(args) => args.run(&desk).await,
            D1Command::List(args) => args.run(&desk).await,
            D1Command::Info(args) => args.run(&desk, &target).await,
            D1Command::Execute(args) => args.run(&desk, &target).await,
            D1Command::Export(args) => args.run(&desk, &target).await,
            D1Command::Delete(args) => args.run(&desk, &target).await,
            D1Command::Migrations(command) => command.run(&desk, &target).await,
        }
    }
}
