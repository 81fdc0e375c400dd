//! `stepwell deployments`: the uploads of a script that are kept, which is current, and how many instances need each.

use clap::{Args, Subcommand};
use hyper::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::ServerAddress;
use super::client::{Ask, Client};
use super::screen::{Screen, Tone};
use super::table::{Cell, Table};
use super::text::one_line;
use super::{CliError, ExitCode, times};

/// List the deployments of scripts and delete those that are not needed
#[derive(Debug, Args)]
pub struct DeploymentsArgs {
    #[command(subcommand)]
    command: DeploymentsCommand,
    #[command(flatten)]
    server: ServerAddress,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum DeploymentsCommand {
    /// List deployments with the unfinished instances that are pinned to each
    List {
        /// Only those of this script
        script: Option<String>,
    },
    /// Delete a deployment that no unfinished instance needs (this happens by itself as well)
    Delete {
        /// Name of the script
        script: String,
        /// Number or id of the deployment
        deployment: String,
    },
}

#[derive(Deserialize)]
struct Script {
    id: String,
}

/// The API's versions are this server's deployments.
#[derive(Deserialize)]
struct Versions {
    items: Vec<Deployment>,
}

#[derive(Deserialize)]
struct Deployment {
    id: String,
    number: u32,
    metadata: Metadata,
    is_current: bool,
    live_instances: u64,
}

#[derive(Deserialize)]
struct Metadata {
    created_on: Timestamp,
}

/// A row for programs.
#[derive(Serialize)]
struct Row<'a> {
    script: &'a str,
    id: &'a str,
    deployment: u32,
    created_on: Timestamp,
    is_current: bool,
    live_instances: u64,
}

impl DeploymentsArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let client = self.server.client()?;
        match self.command {
            DeploymentsCommand::List { script } => list(&client, screen, script, self.json).await,
            DeploymentsCommand::Delete { script, deployment } => {
                let known = deployments_of(&client, &script).await?;
                let named = |other: &&Deployment| other.id == deployment || other.number.to_string() == deployment;
                let id = known.iter().find(named).map_or(deployment.as_str(), |found| found.id.as_str());
                let path = ["workers", "scripts", &script, "versions", id];
                let answer = client.ask(Ask::new(Method::DELETE, &path)).await?;
                if self.json {
                    screen.line(answer.result.get())?;
                } else {
                    let (script, deployment) = (one_line(&script), one_line(&deployment));
                    screen.print(&format!("Deployment {deployment} of {script} has been deleted.\n"))?;
                }
                Ok(ExitCode::Ok)
            }
        }
    }
}

/// The current one first, then the others, newest first.
async fn deployments_of(client: &Client, script: &str) -> Result<Vec<Deployment>, CliError> {
    let ask = Ask::new(Method::GET, &["workers", "scripts", script, "versions"]);
    let Versions { mut items } = client.ask(ask).await?.parse()?;
    items.sort_by_key(|item| (!item.is_current, std::cmp::Reverse(item.number)));
    Ok(items)
}

async fn list(client: &Client, screen: &Screen, script: Option<String>, json: bool) -> Result<ExitCode, CliError> {
    let names = match script {
        Some(name) => vec![name],
        None => {
            let scripts: Vec<Script> = client.ask(Ask::new(Method::GET, &["workers", "scripts"])).await?.parse()?;
            scripts.into_iter().map(|script| script.id).collect()
        }
    };
    let mut all = Vec::new();
    for name in names {
        let deployments = deployments_of(client, &name).await?;
        all.extend(deployments.into_iter().map(|deployment| (name.clone(), deployment)));
    }
    if json {
        let rows: Vec<Row<'_>> = all.iter().map(row).collect();
        screen.line(&serde_json::to_string(&rows).map_err(anyhow::Error::from)?)?;
    } else if all.is_empty() {
        screen.print("No deployments yet. Deploy a project with `stepwell deploy`.\n")?;
    } else {
        screen.print(&table(&all, screen).render(screen))?;
    }
    Ok(ExitCode::Ok)
}

fn row((script, deployment): &(String, Deployment)) -> Row<'_> {
    let Deployment { id, number, metadata, is_current, live_instances } = deployment;
    Row {
        script,
        id,
        deployment: *number,
        created_on: metadata.created_on,
        is_current: *is_current,
        live_instances: *live_instances,
    }
}

fn table(all: &[(String, Deployment)], screen: &Screen) -> Table<'static> {
    let cells = |(script, deployment): &(String, Deployment)| {
        let current = if deployment.is_current { ("current", Tone::Good) } else { ("", Tone::Plain) };
        vec![
            script.clone().into(),
            deployment.number.to_string().into(),
            times::relative(deployment.metadata.created_on, screen.now()).into(),
            deployment.live_instances.to_string().into(),
            Cell(current.0.to_owned(), current.1),
            deployment.id.clone().into(),
        ]
    };
    Table {
        headings: &["SCRIPT", "DEPLOYMENT", "CREATED", "LIVE INSTANCES", "", "ID"],
        shrinking: &[0],
        rows: all.iter().map(cells).collect(),
    }
}
