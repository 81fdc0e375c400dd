//! `stepwell workflows`: what workflows there are, one of them, an end to one.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;

use super::address::ServerAddress;
use super::client::{Answer, Ask, Client};
use super::desk::Desk;
use super::instances::InstancesCommand;
use super::screen::{Screen, Tone};
use super::table::{Cell, Table};
use super::text::{one_line, pad};
use super::trigger::TriggerArgs;
use super::watch::{until_interrupted, watch_list};
use super::{CliError, ExitCode, prompt, status, times};

const LABEL_WIDTH: usize = 16;

/// List, describe, trigger and delete workflows, and manage their instances
#[derive(Debug, Args)]
pub struct WorkflowsArgs {
    #[command(subcommand)]
    command: WorkflowsCommand,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Debug, Subcommand)]
enum WorkflowsCommand {
    /// List workflows
    List(ListArgs),
    /// Describe a workflow
    Describe {
        /// Name of the workflow
        name: String,
        /// Show it again whenever something changes, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Trigger a workflow, creating a new instance
    Trigger(TriggerArgs),
    /// Delete a workflow and all its instances
    Delete {
        /// Name of the workflow
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// List, describe and manage the instances of a workflow
    #[command(subcommand)]
    Instances(InstancesCommand),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Which page of the list
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    page: u32,
    /// Workflows on a page
    #[arg(long, value_name = "N")]
    per_page: Option<u32>,
    /// Show it again whenever something changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

#[derive(Deserialize)]
struct Workflow {
    id: String,
    name: String,
    script_name: String,
    class_name: String,
    created_on: Timestamp,
    modified_on: Timestamp,
    triggered_on: Option<Timestamp>,
    #[serde(default)]
    instances: BTreeMap<String, u64>,
    #[serde(default)]
    schedules: Vec<Schedule>,
    concurrency: Option<Concurrency>,
}

#[derive(Deserialize)]
struct Concurrency {
    limit: Option<u64>,
}

#[derive(Deserialize)]
struct Schedule {
    cron: String,
    next_instance: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Version {
    id: String,
    created_on: Timestamp,
}

impl WorkflowsArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let desk = Desk::of(&self.server, screen)?;
        match self.command {
            WorkflowsCommand::List(args) => desk.list_workflows(&args).await,
            WorkflowsCommand::Describe { name, watch } => desk.describe_workflow(&name, watch).await,
            WorkflowsCommand::Trigger(args) => args.run(&desk).await,
            WorkflowsCommand::Delete { name, yes } => desk.delete_workflow(&name, yes).await,
            WorkflowsCommand::Instances(command) => command.run(&desk).await,
        }
    }
}

impl Desk<'_> {
    async fn list_workflows(&self, args: &ListArgs) -> Result<ExitCode, CliError> {
        let per_page = args.per_page.map(|count| count.to_string());
        let ask = Ask::new(Method::GET, &["workflows"]).query("page", &args.page.to_string());
        let ask = ask.maybe_query("per_page", per_page.as_deref());
        let told = |answer: &Answer, screen: &Screen| Ok(workflows_text(answer.parse()?, args.page, screen));
        if args.watch {
            return until_interrupted(watch_list(self, &ask, told)).await;
        }
        self.tell(ask, |workflows| workflows_text(workflows, args.page, self.screen)).await
    }

    async fn describe_workflow(&self, name: &str, watches: bool) -> Result<ExitCode, CliError> {
        check_name(name)?;
        let ask = Ask::new(Method::GET, &["workflows", name]);
        let versions = match self.screen.is_json {
            true => Vec::new(),
            false => self.client.ask(Ask::new(Method::GET, &["workflows", name, "versions"])).await?.parse()?,
        };
        let latest = versions.iter().max_by_key(|version: &&Version| version.created_on);
        if watches {
            let told = |answer: &Answer, screen: &Screen| Ok(workflow_text(&answer.parse()?, latest, screen));
            return until_interrupted(watch_list(self, &ask, told)).await;
        }
        self.tell(ask, |workflow| workflow_text(&workflow, latest, self.screen)).await
    }

    async fn delete_workflow(&self, name: &str, is_sure: bool) -> Result<ExitCode, CliError> {
        check_name(name)?;
        prompt::confirm(&format!("Delete workflow {} and all its instances?", one_line(name)), is_sure)?;
        self.tell(Ask::new(Method::DELETE, &["workflows", name]), |_: serde::de::IgnoredAny| {
            format!("Workflow {} and its instances have been deleted.\n", one_line(name))
        })
        .await
    }
}

/// The instances of these statuses.
fn count(instances: &BTreeMap<String, u64>, words: &[&str]) -> u64 {
    words.iter().filter_map(|word| instances.get(*word)).sum()
}

async fn workflow(client: &Client, name: &str) -> Result<Workflow, CliError> {
    client.ask(Ask::new(Method::GET, &["workflows", name])).await?.parse()
}

/// How many instances of a workflow run at once, where as many do; `None` where one more may.
///
/// # Errors
/// Where the server does not tell.
pub async fn full_places(client: &Client, name: &str) -> Result<Option<u64>, CliError> {
    let workflow = workflow(client, name).await?;
    let running = count(&workflow.instances, &["running", "waitingForPause", "rollingBack"]);
    let limit = workflow.concurrency.and_then(|concurrency| concurrency.limit);
    Ok(limit.filter(|limit| running >= *limit))
}

/// The Worker that has a workflow, where that is to be known.
///
/// # Errors
/// Where the server cannot be asked.
pub async fn owner(client: &Client, name: &str) -> Result<Option<String>, CliError> {
    match workflow(client, name).await {
        Ok(workflow) => Ok(Some(workflow.script_name)),
        Err(CliError::Api { .. } | CliError::Unauthorized { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn workflows_text(workflows: Vec<Workflow>, page: u32, screen: &Screen) -> String {
    match workflows.len() {
        0 if page > 1 => format!("No workflows on page {page}.\n"),
        0 => "No workflows yet. Deploy a project with `stepwell deploy`, or run one with `stepwell dev`.\n".to_owned(),
        _ => workflow_table(workflows, screen).render(screen),
    }
}

fn workflow_text(workflow: &Workflow, latest: Option<&Version>, screen: &Screen) -> String {
    let time = |at| times::local_and_relative(at, screen.now(), &screen.zone);
    let mut text = String::new();
    let mut field = |label: &str, value: &str| {
        text += &format!("{}{value}\n", screen.paint(Tone::Dim, &pad(label, LABEL_WIDTH)));
    };
    field("Name", &one_line(&workflow.name));
    field("Id", &one_line(&workflow.id));
    field("Script", &one_line(&workflow.script_name));
    field("Class", &one_line(&workflow.class_name));
    field("Created", &time(workflow.created_on));
    field("Modified", &time(workflow.modified_on));
    field("Last triggered", &workflow.triggered_on.map_or_else(|| "never".to_owned(), time));
    for schedule in &workflow.schedules {
        let next = schedule.next_instance.map_or_else(|| "never".to_owned(), time);
        field("Schedule", &format!("{}, next {next}", one_line(&schedule.cron)));
    }
    if let Some(version) = latest {
        field(
            "Latest version",
            &format!("{}, {}", one_line(&version.id), times::relative(version.created_on, screen.now())),
        );
    }
    let counts: Vec<_> = workflow.instances.iter().filter(|(_, count)| **count > 0).collect();
    text += &format!("\n{}\n", screen.paint(Tone::Heading, "Instances"));
    if counts.is_empty() {
        text += "  none\n";
    }
    for (word, count) in counts {
        let label = pad(&status::label(word), LABEL_WIDTH + 2);
        text += &format!("  {}{count}\n", screen.paint(status::tone(word), &label));
    }
    text
}

fn workflow_table(workflows: Vec<Workflow>, screen: &Screen) -> Table<'static> {
    let has_schedules = workflows.iter().any(|workflow| !workflow.schedules.is_empty());
    let row = |workflow: Workflow| {
        let next = workflow.schedules.iter().filter_map(|schedule| schedule.next_instance).min();
        let count = |words: &[&str]| count(&workflow.instances, words);
        let open = count(&["queued", "running", "paused", "waiting", "waitingForPause", "rollingBack"]);
        let errored = count(&["errored"]);
        let triggered = workflow.triggered_on.map(|at| times::relative(at, screen.now()));
        let mut cells: Vec<Cell> = vec![
            workflow.name.into(),
            workflow.script_name.into(),
            workflow.class_name.into(),
            open.to_string().into(),
            count(&["complete"]).to_string().into(),
            Cell(errored.to_string(), if errored > 0 { Tone::Bad } else { Tone::Plain }),
            triggered.unwrap_or_else(|| "never".to_owned()).into(),
        ];
        if has_schedules {
            cells.push(next.map_or_else(String::new, |at| times::relative(at, screen.now())).into());
        }
        cells
    };
    let headings = &["NAME", "SCRIPT", "CLASS", "OPEN", "COMPLETE", "ERRORED", "LAST TRIGGERED", "NEXT SCHEDULED"];
    Table {
        headings: if has_schedules { headings } else { &headings[..7] },
        shrinking: &[1, 2],
        rows: workflows.into_iter().map(row).collect(),
    }
}

/// An empty segment would make another path.
///
/// # Errors
/// When the name is empty.
pub fn check_name(name: &str) -> Result<(), CliError> {
    match name {
        "" => Err(CliError::Usage("the name of a workflow cannot be empty".to_owned())),
        _ => Ok(()),
    }
}
