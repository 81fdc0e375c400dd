//! `stepwell workflows`: what workflows there are, one of them, a new instance of one, an end to one.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::address::ServerAddress;
use super::client::{Ask, Body, Client};
use super::instances::InstancesCommand;
use super::screen::{Screen, Tone};
use super::table::{Cell, Table};
use super::text::{one_line, pad};
use super::{CliError, ExitCode, status, times};

const LABEL_WIDTH: usize = 16;

/// List, describe, trigger and delete workflows, and manage their instances
#[derive(Debug, Args)]
pub struct WorkflowsArgs {
    #[command(subcommand)]
    command: WorkflowsCommand,
    #[command(flatten)]
    server: ServerAddress,
    /// Print the API's result as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum WorkflowsCommand {
    /// List workflows
    List {
        /// Which page of the list
        #[arg(long, default_value_t = 1)]
        page: u32,
        /// Workflows on a page
        #[arg(long, value_name = "N")]
        per_page: Option<u32>,
    },
    /// Describe a workflow
    Describe {
        /// Name of the workflow
        name: String,
    },
    /// Trigger a workflow, creating a new instance
    Trigger(TriggerArgs),
    /// Delete a workflow and all its instances
    Delete {
        /// Name of the workflow
        name: String,
    },
    /// List, describe and manage the instances of a workflow
    #[command(subcommand)]
    Instances(InstancesCommand),
}

#[derive(Debug, Args)]
struct TriggerArgs {
    /// Name of the workflow
    name: String,
    /// Parameters of the instance, as JSON
    #[arg(value_name = "PARAMS")]
    positional_params: Option<String>,
    /// Parameters of the instance, as JSON
    #[arg(long, value_name = "JSON", conflicts_with = "positional_params")]
    params: Option<String>,
    /// Id of the instance [default: a random UUID]
    #[arg(long)]
    id: Option<String>,
}

/// What every command on workflows works with.
pub struct Desk<'a> {
    pub client: Client,
    pub screen: &'a Screen,
    /// Whether a program reads the output.
    pub json: bool,
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

#[derive(Deserialize)]
struct Created {
    id: String,
    status: String,
}

impl WorkflowsArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let desk = Desk { client: self.server.client()?, screen, json: self.json };
        match self.command {
            WorkflowsCommand::List { page, per_page } => desk.list_workflows(page, per_page).await,
            WorkflowsCommand::Describe { name } => desk.describe_workflow(&name).await,
            WorkflowsCommand::Trigger(args) => desk.trigger(&args).await,
            WorkflowsCommand::Delete { name } => desk.delete_workflow(&name).await,
            WorkflowsCommand::Instances(command) => command.run(&desk).await,
        }
    }
}

impl Desk<'_> {
    /// Prints the result for a program, or what `tell` makes of it for people.
    pub async fn tell<T: for<'de> Deserialize<'de>>(
        &self,
        ask: Ask,
        tell: impl FnOnce(T) -> String,
    ) -> Result<ExitCode, CliError> {
        let answer = self.client.ask(ask).await?;
        if self.json {
            self.screen.line(answer.result.get())?;
        } else {
            self.screen.print(&tell(answer.parse()?))?;
        }
        Ok(ExitCode::Ok)
    }

    async fn list_workflows(&self, page: u32, per_page: Option<u32>) -> Result<ExitCode, CliError> {
        let per_page = per_page.map(|count| count.to_string());
        let ask = Ask::new(Method::GET, &["workflows"]).query("page", &page.to_string());
        self.tell(ask.maybe_query("per_page", per_page.as_deref()), |workflows: Vec<Workflow>| match workflows.len() {
            0 if page > 1 => format!("No workflows on page {page}.\n"),
            0 => "No workflows yet. Deploy a project with `stepwell deploy`, or run one with `stepwell dev`.\n"
                .to_owned(),
            _ => self.workflow_table(workflows).render(self.screen),
        })
        .await
    }

    fn workflow_table(&self, workflows: Vec<Workflow>) -> Table<'static> {
        let has_schedules = workflows.iter().any(|workflow| !workflow.schedules.is_empty());
        let row = |workflow: Workflow| {
            let next = workflow.schedules.iter().filter_map(|schedule| schedule.next_instance).min();
            let count = |words: &[&str]| words.iter().filter_map(|word| workflow.instances.get(*word)).sum::<u64>();
            let open = count(&["queued", "running", "paused", "waiting", "waitingForPause", "rollingBack"]);
            let errored = count(&["errored"]);
            let triggered = workflow.triggered_on.map(|at| times::relative(at, self.screen.now()));
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
                cells.push(next.map_or_else(String::new, |at| times::relative(at, self.screen.now())).into());
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

    async fn describe_workflow(&self, name: &str) -> Result<ExitCode, CliError> {
        check_name(name)?;
        let answer = self.client.ask(Ask::new(Method::GET, &["workflows", name])).await?;
        if self.json {
            self.screen.line(answer.result.get())?;
            return Ok(ExitCode::Ok);
        }
        let workflow = answer.parse()?;
        let versions = self.client.ask(Ask::new(Method::GET, &["workflows", name, "versions"])).await?;
        let versions: Vec<Version> = versions.parse()?;
        self.screen.print(&self.workflow_text(&workflow, versions.iter().max_by_key(|version| version.created_on)))?;
        Ok(ExitCode::Ok)
    }

    fn workflow_text(&self, workflow: &Workflow, latest: Option<&Version>) -> String {
        let time = |at| times::local_and_relative(at, self.screen.now(), &self.screen.zone);
        let mut text = String::new();
        let mut field = |label: &str, value: &str| {
            text += &format!("{}{value}\n", self.screen.paint(Tone::Dim, &pad(label, LABEL_WIDTH)));
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
                &format!("{}, {}", one_line(&version.id), times::relative(version.created_on, self.screen.now())),
            );
        }
        let counts: Vec<_> = workflow.instances.iter().filter(|(_, count)| **count > 0).collect();
        text += &format!("\n{}\n", self.screen.paint(Tone::Heading, "Instances"));
        if counts.is_empty() {
            text += "  none\n";
        }
        for (word, count) in counts {
            let label = pad(&status::label(word), LABEL_WIDTH + 2);
            text += &format!("  {}{count}\n", self.screen.paint(status::tone(word), &label));
        }
        text
    }

    async fn trigger(&self, args: &TriggerArgs) -> Result<ExitCode, CliError> {
        check_name(&args.name)?;
        let params = args.params.as_deref().or(args.positional_params.as_deref()).filter(|text| !text.is_empty());
        let params = params.map(|text| json("--params", text)).transpose()?;
        let id = args.id.as_ref().map(|id| serde_json::Value::from(id.as_str()).to_string());
        let members = [("instance_id", id.as_deref()), ("params", params.map(RawValue::get))];
        let members: Vec<_> =
            members.into_iter().filter_map(|(name, value)| value.map(|value| format!("\"{name}\":{value}"))).collect();
        let body = Body::Json(format!("{{{}}}", members.join(",")));
        let ask = Ask::new(Method::POST, &["workflows", &args.name, "instances"]).body(body);
        self.tell(ask, |created: Created| {
            let (name, id) = (one_line(&args.name), one_line(&created.id));
            let status = status::painted(&created.status, self.screen);
            let next = format!("stepwell workflows instances describe {name} {id} --watch");
            format!("Instance {id} of {name} has been created: {status}\n{}\n", self.screen.paint(Tone::Dim, &next))
        })
        .await
    }

    async fn delete_workflow(&self, name: &str) -> Result<ExitCode, CliError> {
        check_name(name)?;
        self.tell(Ask::new(Method::DELETE, &["workflows", name]), |_: serde::de::IgnoredAny| {
            format!("Workflow {} and its instances have been deleted.\n", one_line(name))
        })
        .await
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

/// JSON text as it was typed, so that no number loses a digit on the way.
///
/// # Errors
/// When it is none; `what` names it.
pub fn json<'a>(what: &str, text: &'a str) -> Result<&'a RawValue, CliError> {
    serde_json::from_str(text).map_err(|error| {
        CliError::Usage(format!(
            "{what} is not JSON: {error}\n  {}\nQuote strings within, and all of it for the shell: '{{\"key\": \"value\"}}'",
            super::text::cut(&one_line(text), 100)
        ))
    })
}
