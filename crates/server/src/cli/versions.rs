//! `stepwell versions`: uploads of a Worker, current or not.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::address::ServerAddress;
use super::client::Ask;
use super::deploy::{BundleArgs, Bundled};
use super::desk::Desk;
use super::release::release;
use super::screen::{Screen, Tone};
use super::table::{Cell, Table};
use super::text::{one_line, pad};
use super::version::{self, MESSAGE, TAG, Version, find};
use super::version_secret::VersionSecretArgs;
use super::worker::WorkerArgs;
use super::{CliError, ExitCode, prompt, times};

const LABEL_WIDTH: usize = 16;

/// Upload versions of a Worker, list and view them, and choose the one that serves
#[derive(Debug, Args)]
pub struct VersionsArgs {
    #[command(subcommand)]
    command: VersionsCommand,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Debug, Subcommand)]
enum VersionsCommand {
    /// Bundle a project and upload it without letting it serve
    Upload(BundleArgs),
    /// List versions, the newest first
    List {
        #[command(flatten)]
        worker: WorkerArgs,
    },
    /// Show what a version is made of
    View {
        /// Number, id or tag of the version
        version: String,
        #[command(flatten)]
        worker: WorkerArgs,
    },
    /// Let a version serve: all requests and new instances go to it, and none to another
    Deploy(DeployArgs),
    Secret(VersionSecretArgs),
}

#[derive(Debug, Args)]
struct DeployArgs {
    /// Number, id or tag of the version; @100% may follow
    version: String,
    /// Why
    #[arg(long)]
    message: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    worker: WorkerArgs,
}

#[derive(Deserialize)]
struct Items {
    items: Box<RawValue>,
}

/// One of `GET …/versions/{id}`.
#[derive(Deserialize)]
struct Detail {
    #[serde(flatten)]
    version: Version,
    #[serde(default)]
    resources: Resources,
}

#[derive(Default, Deserialize)]
struct Resources {
    #[serde(default)]
    bindings: Vec<Value>,
    #[serde(default)]
    script_runtime: Value,
}

impl VersionsArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let desk = Desk::of(&self.server, screen)?;
        match self.command {
            VersionsCommand::Upload(args) => desk.upload_version(&args).await,
            VersionsCommand::List { worker } => desk.list_versions(&worker.name()?).await,
            VersionsCommand::View { version, worker } => desk.view_version(&worker.name()?, &version).await,
            VersionsCommand::Deploy(args) => desk.deploy_version(&args).await,
            VersionsCommand::Secret(args) => args.run(&desk).await,
        }
    }
}

impl Desk<'_> {
    async fn upload_version(&self, args: &BundleArgs) -> Result<ExitCode, CliError> {
        let bundled = Bundled::make(args)?;
        if args.dry_run {
            return bundled.tell_dry(self.screen);
        }
        let path = ["workers", "scripts", &bundled.project.name, "versions"];
        let ask = Ask::new(Method::POST, &path).query("bindings_inherit", "strict").body(bundled.body());
        self.tell(ask, |version: Version| {
            let (name, number) = (one_line(&bundled.project.name), version.number);
            let next = format!("stepwell versions deploy {number} --name {name}");
            let id = one_line(&version.id);
            format!("Uploaded version {number} of {name}: {id}\n{}\n", self.screen.paint(Tone::Dim, &next))
        })
        .await
    }

    async fn list_versions(&self, worker: &str) -> Result<ExitCode, CliError> {
        if self.screen.is_json {
            let items: Items = self.client.ask(version::ask(worker)).await?.parse()?;
            self.screen.line(items.items.get())?;
            return Ok(ExitCode::Ok);
        }
        let versions = version::versions_of(&self.client, worker).await?;
        self.screen.print(&table(&versions, self.screen).render(self.screen))?;
        Ok(ExitCode::Ok)
    }

    async fn view_version(&self, worker: &str, name: &str) -> Result<ExitCode, CliError> {
        let version = find(&self.client, worker, name).await?;
        let ask = Ask::new(Method::GET, &["workers", "scripts", worker, "versions", &version.id]);
        self.tell(ask, |detail: Detail| detail_text(&detail, self.screen)).await
    }

    async fn deploy_version(&self, args: &DeployArgs) -> Result<ExitCode, CliError> {
        let worker = args.worker.name()?;
        let version = find(&self.client, &worker, whole(&args.version)?).await?;
        let (number, told) = (version.number, one_line(&worker));
        prompt::confirm(&format!("Let version {number} of {told} serve?"), args.yes)?;
        let answer = release(&self.client, &worker, &version, args.message.as_deref()).await?;
        match self.screen.is_json {
            true => self.screen.line(answer.result.get())?,
            false => {
                self.screen.line(&format!("Version {number} of {told} serves now: {}", one_line(&version.id)))?;
            }
        }
        Ok(ExitCode::Ok)
    }
}

/// The version of `VERSION@100%`, as wrangler writes it.
fn whole(given: &str) -> Result<&str, CliError> {
    let Some((version, share)) = given.rsplit_once('@') else { return Ok(given) };
    match share.trim_end_matches('%').parse::<f64>() {
        Ok(share) if share >= 100.0 => Ok(version),
        _ => Err(CliError::Usage(format!(
            "{}: this server sends everything to one version; leave out the share, or write @100%",
            one_line(given)
        ))),
    }
}

fn table(versions: &[Version], screen: &Screen) -> Table<'static> {
    let cells = |version: &Version| {
        let current = if version.is_current { ("current", Tone::Good) } else { ("", Tone::Plain) };
        vec![
            version.number.to_string().into(),
            times::relative(version.metadata.created_on, screen.now()).into(),
            Cell(current.0.to_owned(), current.1),
            version.live_instances.to_string().into(),
            version.note(TAG).into(),
            version.note(MESSAGE).into(),
            version.id.clone().into(),
        ]
    };
    Table {
        headings: &["VERSION", "CREATED", "", "LIVE INSTANCES", "TAG", "MESSAGE", "ID"],
        shrinking: &[4, 5],
        rows: versions.iter().map(cells).collect(),
    }
}

fn detail_text(detail: &Detail, screen: &Screen) -> String {
    let Detail { version, resources } = detail;
    let mut text = String::new();
    let mut field = |label: &str, value: &str| {
        let _ = writeln!(text, "{}{}", screen.paint(Tone::Dim, &pad(label, LABEL_WIDTH)), one_line(value));
    };
    field("Version", &version.number.to_string());
    field("Id", &version.id);
    field("Created", &times::local_and_relative(version.metadata.created_on, screen.now(), &screen.zone));
    for (label, name) in [("Tag", TAG), ("Message", MESSAGE)] {
        let note = version.note(name);
        if !note.is_empty() {
            field(label, &note);
        }
    }
    field("Serves", if version.is_current { "yes" } else { "no" });
    field("Live instances", &version.live_instances.to_string());
    let runtime = &resources.script_runtime;
    field("Compatibility", runtime["compatibility_date"].as_str().unwrap_or("unknown"));
    let flags = runtime["compatibility_flags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let flags = flags.collect::<Vec<_>>().join(" ");
    if !flags.is_empty() {
        field("Flags", &flags);
    }
    for binding in &resources.bindings {
        field("Binding", &binding_text(binding));
    }
    text
}

/// `ORDERS, a workflow: orders`. Of a kind that is not known, its name and kind.
fn binding_text(binding: &Value) -> String {
    let member = |name: &str| binding[name].as_str().unwrap_or_default();
    let (name, kind) = (member("name"), member("type"));
    let value = match kind {
        "workflow" => member("workflow_name"),
        "d1" => member("id"),
        "service" => member("service"),
        "plain_text" => member("text"),
        "json" => return format!("{name} ({kind}): {}", binding["json"]),
        _ => return format!("{name} ({kind})"),
    };
    format!("{name} ({kind}): {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_serves_wholly_or_not_at_all() {
        for given in ["7", "7@100", "7@100%"] {
            assert_eq!(whole(given).ok(), Some("7"), "{given}");
        }
        for given in ["7@50%", "7@", "7@x"] {
            assert!(whole(given).is_err(), "{given}");
        }
    }

    #[test]
    fn a_binding_is_told_by_its_kind() {
        let text = |json: &str| binding_text(&serde_json::from_str(json).expect("JSON"));
        assert_eq!(text(r#"{"type":"workflow","name":"W","workflow_name":"w"}"#), "W (workflow): w");
        assert_eq!(text(r#"{"type":"secret_text","name":"KEY"}"#), "KEY (secret_text)");
        assert_eq!(text(r#"{"type":"later","name":"X","y":1}"#), "X (later)");
    }
}
