//! `stepwell deployments`: the uploads of Workers that are kept, which serves, and how many instances need each.

use clap::{Args, Subcommand};
use hyper::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::ServerAddress;
use super::client::Ask;
use super::desk::Desk;
use super::release::{self, Release};
use super::screen::{Screen, Tone};
use super::table::{Cell, Table};
use super::text::{counted, one_line};
use super::version::{MESSAGE, Version, find, versions_of};
use super::worker::WorkerArgs;
use super::{CliError, ExitCode, times};

/// List the deployments of Workers, say which serves, and delete those that are not needed
#[derive(Debug, Args)]
pub struct DeploymentsArgs {
    #[command(subcommand)]
    command: DeploymentsCommand,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Debug, Subcommand)]
enum DeploymentsCommand {
    /// List deployments with the unfinished instances that are pinned to each
    List {
        /// Only those of this Worker
        #[arg(value_name = "WORKER", conflicts_with = "name")]
        worker: Option<String>,
        /// Only those of this Worker
        #[arg(long)]
        name: Option<String>,
    },
    /// Say which version of a Worker serves
    Status {
        #[command(flatten)]
        worker: WorkerArgs,
    },
    /// List what served when: deploys, rollbacks and changes of secrets, the newest first
    History {
        #[command(flatten)]
        worker: WorkerArgs,
    },
    /// Delete a deployment that no unfinished instance needs (this happens by itself as well)
    Delete {
        /// Name of the Worker
        worker: String,
        /// Number, id or tag of the deployment
        deployment: String,
    },
}

#[derive(Deserialize)]
struct Worker {
    id: String,
}

/// A row for programs.
#[derive(Serialize)]
struct Row<'a> {
    script: &'a str,
    id: &'a str,
    deployment: u32,
    created_on: Timestamp,
    is_current: bool,
    live_instances: usize,
}

impl DeploymentsArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let desk = Desk::of(&self.server, screen)?;
        match self.command {
            DeploymentsCommand::List { worker, name } => desk.list_deployments(worker.or(name)).await,
            DeploymentsCommand::Status { worker } => desk.tell_release(&worker.name()?).await,
            DeploymentsCommand::History { worker } => desk.list_releases(&worker.name()?).await,
            DeploymentsCommand::Delete { worker, deployment } => desk.delete_deployment(&worker, &deployment).await,
        }
    }
}

impl Desk<'_> {
    async fn list_deployments(&self, worker: Option<String>) -> Result<ExitCode, CliError> {
        let names = match worker {
            Some(name) => vec![name],
            None => {
                let ask = Ask::new(Method::GET, &["workers", "scripts"]);
                self.client.ask(ask).await?.parse::<Vec<Worker>>()?.into_iter().map(|worker| worker.id).collect()
            }
        };
        let mut all = Vec::new();
        for name in names {
            let mut versions = versions_of(&self.client, &name).await?;
            versions.sort_by_key(|version| !version.is_current);
            all.extend(versions.into_iter().map(|version| (name.clone(), version)));
        }
        let rows: Vec<Row<'_>> = all.iter().map(row).collect();
        self.screen.show(&rows, || match all.is_empty() {
            true => "No deployments yet. Deploy a project with `stepwell deploy`.\n".to_owned(),
            false => table(&all, self.screen).render(self.screen),
        })?;
        Ok(ExitCode::Ok)
    }

    async fn tell_release(&self, worker: &str) -> Result<ExitCode, CliError> {
        let Some((newest, version)) = self.releases(worker).await?.into_iter().next() else {
            return Err(CliError::NotFound(format!("no version of Worker \"{}\" serves yet", one_line(worker))));
        };
        let version = version.as_ref();
        self.screen.show(&release_json(&newest, version), || status_text(worker, &newest, version, self.screen))?;
        Ok(ExitCode::Ok)
    }

    async fn list_releases(&self, worker: &str) -> Result<ExitCode, CliError> {
        let releases = self.releases(worker).await?;
        let rows: Vec<_> = releases.iter().map(|(release, version)| release_json(release, version.as_ref())).collect();
        self.screen.show(&rows, || match releases.is_empty() {
            true => format!("No version of {} serves yet.\n", one_line(worker)),
            false => history_table(&releases, self.screen).render(self.screen),
        })?;
        Ok(ExitCode::Ok)
    }

    /// Newest first, each with its version where that still is there.
    async fn releases(&self, worker: &str) -> Result<Vec<(Release, Option<Version>)>, CliError> {
        let releases = release::read(&self.client.ask(release::ask(worker)).await?)?;
        let versions = versions_of(&self.client, worker).await?;
        let with_version = |release: Release| {
            let version = versions.iter().find(|version| Some(version.id.as_str()) == release.version_id()).cloned();
            (release, version)
        };
        Ok(releases.into_iter().map(with_version).collect())
    }

    async fn delete_deployment(&self, worker: &str, name: &str) -> Result<ExitCode, CliError> {
        let version = find(&self.client, worker, name).await?;
        let path = ["workers", "scripts", worker, "versions", &version.id];
        self.tell(Ask::new(Method::DELETE, &path), |_: serde::de::IgnoredAny| {
            format!("Deployment {} of {} has been deleted.\n", version.number, one_line(worker))
        })
        .await
    }
}

fn row((script, version): &(String, Version)) -> Row<'_> {
    Row {
        script,
        id: &version.id,
        deployment: version.number,
        created_on: version.metadata.created_on,
        is_current: version.is_current,
        live_instances: version.live_instances,
    }
}

fn table(all: &[(String, Version)], screen: &Screen) -> Table<'static> {
    let cells = |(script, version): &(String, Version)| {
        let current = if version.is_current { ("current", Tone::Good) } else { ("", Tone::Plain) };
        vec![
            script.clone().into(),
            version.number.to_string().into(),
            times::relative(version.metadata.created_on, screen.now()).into(),
            version.live_instances.to_string().into(),
            Cell(current.0.to_owned(), current.1),
            version.id.clone().into(),
        ]
    };
    Table {
        headings: &["SCRIPT", "DEPLOYMENT", "CREATED", "LIVE INSTANCES", "", "ID"],
        shrinking: &[0],
        rows: all.iter().map(cells).collect(),
    }
}

fn history_table(releases: &[(Release, Option<Version>)], screen: &Screen) -> Table<'static> {
    let cells = |(release, version): &(Release, Option<Version>)| {
        vec![
            times::relative(release.created_on, screen.now()).into(),
            version.as_ref().map_or_else(|| "gone".to_owned(), |version| version.number.to_string()).into(),
            release.annotations.get(MESSAGE).cloned().unwrap_or_default().into(),
            release.version_id().unwrap_or_default().to_owned().into(),
        ]
    };
    Table {
        headings: &["SINCE", "VERSION", "MESSAGE", "ID"],
        shrinking: &[2],
        rows: releases.iter().map(cells).collect(),
    }
}

fn release_json(release: &Release, version: Option<&Version>) -> serde_json::Value {
    serde_json::json!({
        "id": release.id,
        "created_on": release.created_on,
        "annotations": release.annotations,
        "version_id": release.version_id(),
        "version": version.map(|version| version.number),
        "live_instances": version.map(|version| version.live_instances),
    })
}

fn status_text(worker: &str, release: &Release, version: Option<&Version>, screen: &Screen) -> String {
    let number = version.map_or_else(|| "?".to_owned(), |version| version.number.to_string());
    let since = times::local_and_relative(release.created_on, screen.now(), &screen.zone);
    let mut text = format!(
        "Version {number} of {} serves since {since}: {}\n",
        one_line(worker),
        one_line(release.version_id().unwrap_or_default())
    );
    if let Some(message) = release.annotations.get(MESSAGE) {
        text += &format!("  {}\n", one_line(message));
    }
    if let Some(version) = version {
        let instances = counted(version.live_instances, "unfinished instance");
        text += &format!("  {instances} on it\n");
    }
    text
}
