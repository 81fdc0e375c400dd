//! `stepwell deploy`: a project, bundled and uploaded as wrangler would upload it.

use std::path::PathBuf;

use clap::Args;
use hyper::Method;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::address::ServerAddress;
use super::client::{Ask, Body, Client};
use super::desk::Desk;
use super::screen::{Screen, Tone};
use super::setup::ensure_tools;
use super::text::{counted, one_line};
use super::upload::{self, Notes, Secrets, workflow_body};
use super::workflows::owner;
use super::{CliError, ExitCode, error, prompt, secret_file, warn};
use crate::project::bundle::{Bundle, Purpose, bundle};
use crate::project::{ProjectConfig, WorkflowConfig};

/// Bundle a Workers project and deploy it to a server
///
/// With --json, {"script":…,"workflows":[…]} is printed: the API's results.
#[derive(Debug, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    project: BundleArgs,
    /// Do not ask whether a workflow of another Worker is to be taken over
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// Which project is bundled, and what goes along.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// Directory with a wrangler configuration, or the configuration itself
    #[arg(value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// The environment of the configuration, as in [env.NAME]
    #[arg(long, short, value_name = "NAME")]
    env: Option<String>,
    /// Name of the Worker [default: that of the configuration]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    notes: Notes,
    /// Secrets that go along: {"NAME": "value", …} as JSON, or lines NAME=value as in .env; all others stay
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<String>,
    /// Bundle it and upload nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// A project that is ready to be uploaded.
pub struct Bundled<'a> {
    pub project: ProjectConfig,
    bundle: Bundle,
    notes: &'a Notes,
    secrets: Secrets,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Results {
    script: Box<RawValue>,
    workflows: Vec<Box<RawValue>>,
}

impl DeployArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let Desk { client, .. } = Desk::of(&self.server, screen)?;
        let bundled = Bundled::make(&self.project)?;
        if self.project.dry_run {
            return bundled.tell_dry(screen);
        }
        confirm_takeovers(&client, &bundled.project, self.yes).await?;
        let ask = Ask::new(Method::PUT, &["workers", "scripts", &bundled.project.name]);
        let script = client.ask(ask.body(bundled.body())).await?.result;
        let workflows = put_workflows(&client, &bundled.project).await?;
        screen.show(&Results { script, workflows }, || bundled.told(screen))?;
        Ok(ExitCode::Ok)
    }
}

impl<'a> Bundled<'a> {
    /// Reads the project and bundles it, telling its warnings.
    ///
    /// # Errors
    /// What is wrong with the project, its code, or the file of secrets.
    pub fn make(args: &'a BundleArgs) -> Result<Self, CliError> {
        let mut project = ProjectConfig::load(&args.project, args.env.as_deref()).map_err(error::told)?;
        project.warnings.iter().for_each(|warning| warn(warning));
        if let Some(name) = &args.name {
            project.name.clone_from(name);
        }
        let secrets = args.secrets_file.as_deref().map(secret_file::read_set).transpose()?.unwrap_or_default();
        for name in secrets.keys().filter(|name| project.vars.contains_key(*name)) {
            warn(&format!("the secret {} takes the place of the variable of that name", one_line(name)));
        }
        let tools = ensure_tools()?;
        let bundle = bundle(&project, &tools.esbuild, Purpose::Production).map_err(error::told)?;
        bundle.warnings.iter().for_each(|warning| warn(warning));
        Ok(Self { project, bundle, notes: &args.notes, secrets })
    }

    /// What is uploaded.
    pub fn body(&self) -> Body {
        upload::body(&self.project, &self.bundle, self.notes, &self.secrets)
    }

    /// Says what would be uploaded.
    ///
    /// # Errors
    /// As [`Screen::print`].
    pub fn tell_dry(&self, screen: &Screen) -> Result<ExitCode, CliError> {
        let modules: Vec<&str> = self.bundle.modules.iter().map(|module| module.name.as_str()).collect();
        let result = json!({ "dry_run": true, "name": self.project.name, "modules": modules, "bytes": self.bytes() });
        screen.show(&result, || {
            format!("{} can be bundled: {}\nNothing has been uploaded.\n", self.project.name, self.size())
        })?;
        Ok(ExitCode::Ok)
    }

    fn bytes(&self) -> usize {
        self.bundle.modules.iter().map(|module| module.bytes.len()).sum()
    }

    fn size(&self) -> String {
        format!("{}, {} KiB", counted(self.bundle.modules.len(), "module"), self.bytes().div_ceil(1024))
    }

    fn told(&self, screen: &Screen) -> String {
        let mut text = format!("Deployed {}: {}\n", self.project.name, self.size());
        for workflow in owned(&self.project) {
            text += &format!("  workflow {} runs {}\n", workflow.name, workflow.class_name);
        }
        if let Some(first) = owned(&self.project).next() {
            text += &screen.paint(Tone::Dim, &format!("stepwell workflows trigger {}\n", first.name));
        }
        text
    }
}

/// A workflow has one Worker: one that another Worker has is taken from it, with all that its instances begin from then on.
async fn confirm_takeovers(client: &Client, project: &ProjectConfig, is_sure: bool) -> Result<(), CliError> {
    let own = one_line(&project.name);
    for workflow in owned(project) {
        let Some(other) = owner(client, &workflow.name).await?.filter(|other| *other != project.name) else { continue };
        let (name, other) = (one_line(&workflow.name), one_line(&other));
        prompt::confirm(
            &format!("Workflow {name} belongs to Worker {other}. Let Worker {own} take it over?"),
            is_sure,
        )?;
        warn(&format!("workflow {name} goes from Worker {other} to Worker {own}"));
    }
    Ok(())
}

async fn put_workflows(client: &Client, project: &ProjectConfig) -> Result<Vec<Box<RawValue>>, CliError> {
    let mut results = Vec::new();
    for workflow in owned(project) {
        let body = Body::Json(workflow_body(workflow, &project.name).to_string());
        let ask = Ask::new(Method::PUT, &["workflows", &workflow.name]).body(body);
        results.push(client.ask(ask).await?.result);
    }
    Ok(results)
}

/// Workflows whose class is in this script.
fn owned(project: &ProjectConfig) -> impl Iterator<Item = &WorkflowConfig> {
    let is_own =
        |workflow: &&WorkflowConfig| workflow.script_name.as_ref().is_none_or(|script| *script == project.name);
    project.workflows.iter().filter(is_own)
}
