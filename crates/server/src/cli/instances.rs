//! `stepwell workflows instances`: the instances of a workflow, with wrangler's words and flags.

use clap::{Args, Subcommand};
use hyper::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::client::{Ask, Body};
use super::latest::{LATEST, resolve};
use super::logs::LogsArgs;
use super::screen::Tone;
use super::table::{Cell, Table};
use super::text::one_line;
use super::timeline::Timeline;
use super::watch::watch;
use super::workflows::{Desk, check_name, json};
use super::{CliError, ExitCode, screen, status, times};

/// The API takes so many ids in one request.
const DELETE_BATCH_MAX: usize = 100;

#[derive(Debug, Subcommand)]
pub enum InstancesCommand {
    /// List instances, the newest first
    List(ListArgs),
    /// Describe an instance: its steps, attempts, errors, and what it waits for
    Describe(DescribeArgs),
    /// Show what an instance's code printed
    Logs(LogsArgs),
    /// Pause an instance once its running steps have ended
    Pause(One),
    /// Let a paused instance go on
    Resume(One),
    /// Run an instance again from its beginning, on the newest code
    Restart(RestartArgs),
    /// End an instance for good
    Terminate(TerminateArgs),
    /// Send an event to an instance
    SendEvent(SendEventArgs),
    /// Delete instances with their histories
    Delete(DeleteArgs),
}

/// An instance of a workflow.
#[derive(Debug, Args)]
pub struct One {
    /// Name of the workflow
    name: String,
    /// Id of the instance, or `latest`
    id: String,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Name of the workflow
    name: String,
    /// Only instances of this status
    #[arg(long, value_parser = status::WORDS)]
    status: Option<String>,
    /// The oldest first
    #[arg(long)]
    reverse: bool,
    /// Which page of the list
    #[arg(long, default_value_t = 1)]
    page: u32,
    /// Instances on a page
    #[arg(long, value_name = "N")]
    per_page: Option<u32>,
    /// Only instances created at this time or later, as 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    date_start: Option<String>,
    /// Only instances created until this time
    #[arg(long, value_name = "TIME")]
    date_end: Option<String>,
}

#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Name of the workflow
    name: String,
    /// Id of the instance, or `latest`
    #[arg(default_value = LATEST)]
    id: String,
    /// Whether outputs of steps are shown
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    step_output: bool,
    /// Characters of each output that are shown; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 5000)]
    truncate_output_limit: usize,
    /// Show it again whenever something happens, until it ends; then exit 6 unless it is complete
    #[arg(long)]
    watch: bool,
    /// Show what its code printed below the timeline
    #[arg(long, conflicts_with_all = ["watch", "json"])]
    logs: bool,
}

#[derive(Debug, Args)]
pub struct RestartArgs {
    #[command(flatten)]
    one: One,
    /// Keep the results of the steps before this one
    #[arg(long, value_name = "STEP")]
    from_step_name: Option<String>,
    /// Which of the steps of that name, from 1
    #[arg(long, value_name = "N", requires = "from_step_name")]
    from_step_count: Option<u32>,
    /// What kind of step it is
    #[arg(long, value_name = "TYPE", requires = "from_step_name", value_parser = ["do", "sleep", "waitForEvent"])]
    from_step_type: Option<String>,
}

#[derive(Debug, Args)]
pub struct TerminateArgs {
    #[command(flatten)]
    one: One,
    /// Roll back what its steps did
    #[arg(long)]
    rollback: bool,
}

#[derive(Debug, Args)]
pub struct SendEventArgs {
    #[command(flatten)]
    one: One,
    /// Type of the event
    #[arg(long = "type", value_name = "TYPE")]
    event_type: String,
    /// What the instance receives, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    payload: String,
}

#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Name of the workflow
    name: String,
    /// Ids of the instances, or `latest`
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    status: String,
    created_on: Timestamp,
    started_on: Option<Timestamp>,
    ended_on: Option<Timestamp>,
    wake_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Changed {
    status: String,
}

/// What a deletion brings, request after request.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Deletions {
    deleted: Vec<Box<RawValue>>,
    errors: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct DeletionError {
    id: String,
    #[serde(default)]
    code: u32,
    message: String,
}

impl InstancesCommand {
    pub async fn run(self, desk: &Desk<'_>) -> Result<ExitCode, CliError> {
        match self {
            Self::List(args) => desk.list_instances(&args).await,
            Self::Describe(args) => desk.describe_instance(&args).await,
            Self::Logs(args) => desk.show_logs(&args).await,
            Self::Pause(one) => desk.change(&one, &json!({ "status": "pause" })).await,
            Self::Resume(one) => desk.change(&one, &json!({ "status": "resume" })).await,
            Self::Restart(args) => desk.change(&args.one, &args.body()).await,
            Self::Terminate(args) => desk.change(&args.one, &args.body()).await,
            Self::SendEvent(args) => desk.send_event(&args).await,
            Self::Delete(args) => desk.delete_instances(&args).await,
        }
    }
}

impl RestartArgs {
    fn body(&self) -> serde_json::Value {
        let mut body = json!({ "status": "restart" });
        if let Some(name) = &self.from_step_name {
            body["from"] = json!({ "name": name });
            if let Some(count) = self.from_step_count {
                body["from"]["count"] = count.into();
            }
            if let Some(kind) = &self.from_step_type {
                body["from"]["type"] = kind.as_str().into();
            }
        }
        body
    }
}

impl TerminateArgs {
    fn body(&self) -> serde_json::Value {
        if self.rollback {
            json!({ "status": "terminate", "rollback": true })
        } else {
            json!({ "status": "terminate" })
        }
    }
}

impl Desk<'_> {
    async fn list_instances(&self, args: &ListArgs) -> Result<ExitCode, CliError> {
        check_name(&args.name)?;
        let per_page = args.per_page.map(|count| count.to_string());
        let page = (args.page > 1).then(|| args.page.to_string());
        let ask = Ask::new(Method::GET, &["workflows", &args.name, "instances"])
            .query("direction", if args.reverse { "asc" } else { "desc" })
            .maybe_query("status", args.status.as_deref())
            .maybe_query("per_page", per_page.as_deref())
            .maybe_query("page", page.as_deref())
            .maybe_query("date_start", args.date_start.as_deref())
            .maybe_query("date_end", args.date_end.as_deref());
        let answer = self.client.ask(ask).await?;
        if self.json {
            self.screen.line(answer.result.get())?;
            return Ok(ExitCode::Ok);
        }
        let rows: Vec<Row> = answer.parse()?;
        if rows.is_empty() {
            self.screen.line(&no_instances(args))?;
            return Ok(ExitCode::Ok);
        }
        let count = rows.len();
        self.screen.print(&self.instance_table(rows).render(self.screen))?;
        if answer.info.cursor.is_some_and(|cursor| !cursor.is_empty()) {
            let of = answer.info.total_count.map_or_else(String::new, |total| format!(" of {total}"));
            let more = format!("{count}{of} instances; the next are on --page {}", args.page + 1);
            self.screen.line(&self.screen.paint(Tone::Dim, &more))?;
        }
        Ok(ExitCode::Ok)
    }

    fn instance_table(&self, rows: Vec<Row>) -> Table<'static> {
        let now = self.screen.now();
        let row = |row: Row| {
            let took = row.started_on.map(|start| times::millis(start, row.ended_on.unwrap_or(now)));
            let wakes = row.wake_at.filter(|_| row.ended_on.is_none()).map(|at| times::relative(at, now));
            vec![
                row.id.into(),
                Cell(status::label(&row.status), status::tone(&row.status)),
                times::local_and_relative(row.created_on, now, &self.screen.zone).into(),
                took.map_or_else(String::new, times::duration).into(),
                wakes.unwrap_or_default().into(),
            ]
        };
        Table {
            headings: &["INSTANCE", "STATUS", "CREATED", "DURATION", "WAKES"],
            shrinking: &[2],
            rows: rows.into_iter().map(row).collect(),
        }
    }

    async fn describe_instance(&self, args: &DescribeArgs) -> Result<ExitCode, CliError> {
        check_name(&args.name)?;
        let id = resolve(&self.client, &args.name, &args.id).await?;
        let ask = Ask::new(Method::GET, &["workflows", &args.name, "instances", &id]);
        let timeline = Timeline {
            screen: self.screen,
            shows_step_output: args.step_output,
            output_chars_max: args.truncate_output_limit,
        };
        if args.watch {
            return watch(self, &ask, &timeline).await;
        }
        let code = self.tell(ask, |detail| timeline.render(&detail).join("\n") + "\n").await?;
        if args.logs {
            let lines = self.logs_below(&["workflows", &args.name, "instances", &id]).await?;
            let heading = if lines.is_empty() { "Its code printed nothing." } else { "Printed" };
            self.screen.line(&format!("\n{}", self.screen.paint(Tone::Heading, heading)))?;
            lines.iter().try_for_each(|line| self.screen.line(&format!("  {line}")))?;
        }
        Ok(code)
    }

    async fn change(&self, one: &One, body: &serde_json::Value) -> Result<ExitCode, CliError> {
        check_name(&one.name)?;
        let id = resolve(&self.client, &one.name, &one.id).await?;
        let ask = Ask::new(Method::PATCH, &["workflows", &one.name, "instances", &id, "status"])
            .body(Body::Json(body.to_string()));
        self.tell(ask, |changed: Changed| {
            let (id, name) = (one_line(&id), one_line(&one.name));
            format!("Instance {id} of {name} is now {}\n", status::painted(&changed.status, self.screen))
        })
        .await
    }

    async fn send_event(&self, args: &SendEventArgs) -> Result<ExitCode, CliError> {
        check_name(&args.one.name)?;
        if args.event_type.is_empty() {
            return Err(CliError::Usage("the type of an event cannot be empty".to_owned()));
        }
        let payload = json("--payload", &args.payload)?.get().to_owned();
        let id = resolve(&self.client, &args.one.name, &args.one.id).await?;
        let path = ["workflows", &args.one.name, "instances", &id, "events", &args.event_type];
        let ask = Ask::new(Method::POST, &path).body(Body::Json(payload));
        self.tell(ask, |_: serde::de::IgnoredAny| {
            let [event, id, name] = [&args.event_type, &id, &args.one.name].map(|text| one_line(text));
            format!("Event \"{event}\" has been sent to instance {id} of {name}.\n")
        })
        .await
    }

    async fn delete_instances(&self, args: &DeleteArgs) -> Result<ExitCode, CliError> {
        check_name(&args.name)?;
        let mut ids = Vec::with_capacity(args.ids.len());
        for id in &args.ids {
            ids.push(resolve(&self.client, &args.name, id).await?);
        }
        let mut all = Deletions::default();
        for batch in ids.chunks(DELETE_BATCH_MAX) {
            let ask = Ask::new(Method::POST, &["workflows", &args.name, "instances", "batch", "delete"])
                .body(Body::Json(json!({ "instances": batch }).to_string()));
            let Deletions { deleted, errors } = self.client.ask(ask).await?.parse()?;
            all.deleted.extend(deleted);
            all.errors.extend(errors);
        }
        self.tell_deletions(&all, &args.name)
    }

    fn tell_deletions(&self, all: &Deletions, workflow: &str) -> Result<ExitCode, CliError> {
        if self.json {
            self.screen.line(&serde_json::to_string(all).map_err(anyhow::Error::from)?)?;
        } else if !all.deleted.is_empty() {
            let count = all.deleted.len();
            let instances = if count == 1 { "instance" } else { "instances" };
            self.screen.line(&format!("{count} {instances} of {} deleted.", one_line(workflow)))?;
        }
        let mut code = ExitCode::Ok;
        for error in &all.errors {
            let error: DeletionError = serde_json::from_str(error.get()).map_err(anyhow::Error::from)?;
            screen::complain(&format!("{}: {} [code {}]", one_line(&error.id), one_line(&error.message), error.code));
            code = ExitCode::Failure;
        }
        Ok(code)
    }
}

fn no_instances(args: &ListArgs) -> String {
    let name = one_line(&args.name);
    if args.page > 1 {
        return format!("No instances on page {}.", args.page);
    }
    match &args.status {
        Some(status) => format!("Workflow {name} has no instance that is {status}."),
        None => format!("Workflow {name} has no instances. Create one with `stepwell workflows trigger {name}`."),
    }
}
