//! `stepwell workflows instances`: the instances of a workflow, with wrangler's words and flags.

use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{Ask, Body};
use super::desk::Desk;
use super::detail::Detail;
use super::instance_deletion::DeleteArgs;
use super::instance_list::ListArgs;
use super::latest::{LATEST, resolve};
use super::logs::LogsArgs;
use super::screen::Tone;
use super::text::one_line;
use super::timeline::Timeline;
use super::watch::{until_interrupted, watch};
use super::workflows::{check_name, full_places};
use super::{CliError, ExitCode, argument, prompt, status};

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
    /// End all instances of a workflow that have not ended, or those of one status
    TerminateAll(TerminateAllArgs),
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
pub struct DescribeArgs {
    /// Name of the workflow
    name: String,
    /// Id of the instance, or `latest`
    #[arg(default_value = LATEST)]
    id: String,
    /// Whether outputs of steps are shown
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    step_output: bool,
    /// As --step-output=false
    #[arg(long, conflicts_with = "step_output")]
    no_step_output: bool,
    /// Characters of each output that are shown; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 5000)]
    truncate_output_limit: usize,
    /// Show every step on a terminal, too, where the middle of more than 200 is left out
    #[arg(long)]
    all_steps: bool,
    /// Show it again whenever something happens, until it ends; then exit 6 unless it is complete
    #[arg(long)]
    watch: bool,
    /// Show what its code printed below the timeline
    #[arg(long, conflicts_with = "watch")]
    logs: bool,
}

#[derive(Debug, Args)]
pub struct RestartArgs {
    #[command(flatten)]
    one: One,
    /// Keep the results of the steps before this one
    #[arg(long, value_name = "STEP")]
    from_step_name: Option<String>,
    /// Which of the steps of that name and type, from 1 [default: 1]
    #[arg(long, value_name = "N", requires = "from_step_name", value_parser = clap::value_parser!(u32).range(1..))]
    from_step_count: Option<u32>,
    /// What kind of step it is, where several kinds share the name [default: do]
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
pub struct TerminateAllArgs {
    /// Name of the workflow
    name: String,
    /// Only instances of this status
    #[arg(long, value_parser = status::WORDS)]
    status: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Debug, Args)]
pub struct SendEventArgs {
    #[command(flatten)]
    one: One,
    /// Type of the event
    #[arg(long = "type", value_name = "TYPE")]
    event_type: String,
    /// What the instance receives: JSON, @FILE, or @- for standard input
    #[arg(long, value_name = "JSON", default_value = "{}")]
    payload: String,
}

#[derive(Deserialize)]
struct Changed {
    status: String,
}

impl InstancesCommand {
    pub async fn run(self, desk: &Desk<'_>) -> Result<ExitCode, CliError> {
        match self {
            Self::List(args) => args.run(desk).await,
            Self::Describe(args) => desk.describe_instance(&args).await,
            Self::Logs(args) => desk.show_logs(&args).await,
            Self::Pause(one) => desk.change(&one, &json!({ "status": "pause" })).await,
            Self::Resume(one) => desk.change(&one, &json!({ "status": "resume" })).await,
            Self::Restart(args) => desk.change(&args.one, &args.body()).await,
            Self::Terminate(args) => desk.change(&args.one, &args.body()).await,
            Self::TerminateAll(args) => desk.terminate_all(&args).await,
            Self::SendEvent(args) => desk.send_event(&args).await,
            Self::Delete(args) => args.run(desk).await,
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
    async fn describe_instance(&self, args: &DescribeArgs) -> Result<ExitCode, CliError> {
        check_name(&args.name)?;
        let id = resolve(&self.client, &args.name, &args.id).await?;
        let ask = Ask::new(Method::GET, &["workflows", &args.name, "instances", &id]);
        let about = |error: CliError| error.about_instance(&args.name, &id);
        let timeline = Timeline {
            screen: self.screen,
            shows_step_output: args.step_output && !args.no_step_output,
            // A file or a program gets everything.
            shows_all_steps: args.all_steps || self.screen.rows.is_none(),
            output_chars_max: args.truncate_output_limit,
            places: None,
        };
        if args.logs && self.screen.is_json {
            let message =
                "--logs is for people; `stepwell workflows instances logs --json` gives the lines to programs";
            return Err(CliError::Usage(message.to_owned()));
        }
        if args.watch {
            return until_interrupted(watch(self, &ask, &timeline)).await.map_err(about);
        }
        let answer = self.client.ask(ask).await.map_err(about)?;
        if self.screen.is_json {
            self.screen.line(answer.result.get())?;
            return Ok(ExitCode::Ok);
        }
        let detail: Detail = answer.parse()?;
        let places = if detail.status == "queued" { full_places(&self.client, &args.name).await? } else { None };
        let lines = Timeline { places, ..timeline }.render(&detail);
        self.screen.print(&(lines.join("\n") + "\n"))?;
        if args.logs {
            let lines = self.logs_below(&["workflows", &args.name, "instances", &id]).await?;
            let heading = if lines.is_empty() { "Its code printed nothing." } else { "Printed" };
            self.screen.line(&format!("\n{}", self.screen.paint(Tone::Heading, heading)))?;
            lines.iter().try_for_each(|line| self.screen.line(&format!("  {line}")))?;
        }
        Ok(ExitCode::Ok)
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
        .map_err(|error| error.about_instance(&one.name, &id))
    }

    async fn terminate_all(&self, args: &TerminateAllArgs) -> Result<ExitCode, CliError> {
        check_name(&args.name)?;
        let name = one_line(&args.name);
        let which = args.status.as_deref().map_or_else(String::new, |status| format!(" that are {status}"));
        prompt::confirm(&format!("Terminate all instances of {name}{which}?"), args.yes)?;
        let ask = Ask::new(Method::PUT, &["workflows", &args.name, "instances", "terminate"]);
        self.tell(ask.maybe_query("status", args.status.as_deref()), |changed: Changed| match changed.status.as_str() {
            "already_running" => format!("All instances of {name} are being terminated already.\n"),
            _ => format!("The instances of {name}{which} are being terminated.\n"),
        })
        .await
    }

    async fn send_event(&self, args: &SendEventArgs) -> Result<ExitCode, CliError> {
        check_name(&args.one.name)?;
        if args.event_type.is_empty() {
            return Err(CliError::Usage("the type of an event cannot be empty".to_owned()));
        }
        let payload = argument::json("--payload", &args.payload)?.get().to_owned();
        let id = resolve(&self.client, &args.one.name, &args.one.id).await?;
        let path = ["workflows", &args.one.name, "instances", &id, "events", &args.event_type];
        let ask = Ask::new(Method::POST, &path).body(Body::Json(payload));
        self.tell(ask, |_: serde::de::IgnoredAny| {
            let [event, id, name] = [&args.event_type, &id, &args.one.name].map(|text| one_line(text));
            format!("Event \"{event}\" has been sent to instance {id} of {name}.\n")
        })
        .await
        .map_err(|error| error.about_instance(&args.one.name, &id))
    }
}
