//! `stepwell delete`: the end of a Worker.

use clap::Args;
use hyper::Method;
use serde::Deserialize;

use super::address::ServerAddress;
use super::client::{Ask, Client};
use super::desk::Desk;
use super::screen::Screen;
use super::text::one_line;
use super::worker::WorkerArgs;
use super::{CliError, ExitCode, prompt};

/// Delete a Worker with its versions and secrets
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Name of the Worker [default: that of the wrangler configuration]
    #[arg(value_name = "WORKER", conflicts_with = "name")]
    named: Option<String>,
    #[command(flatten)]
    worker: WorkerArgs,
    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// Delete it also where other Workers are bound to it
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Deserialize)]
struct References {
    services: Services,
}

#[derive(Deserialize)]
struct Services {
    #[serde(default)]
    incoming: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    service: String,
}

impl DeleteArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let desk = Desk::of(&self.server, screen)?;
        let worker = match self.named {
            Some(name) if name.is_empty() => {
                return Err(CliError::Usage("the name of a Worker cannot be empty".to_owned()));
            }
            Some(name) => name,
            None => self.worker.name()?,
        };
        let told = one_line(&worker);
        let bound = bound_to(&desk.client, &worker).await?;
        if !bound.is_empty() && !self.force {
            let message = format!(
                "{told} is bound in {}; deploy those without the binding first, or delete it with --force",
                bound.join(", ")
            );
            return Err(CliError::Refused(message));
        }
        if self.dry_run {
            let result = serde_json::json!({ "dry_run": true, "id": worker, "bound_in": bound });
            screen.show(&result, || format!("{told} would be deleted.\n"))?;
            return Ok(ExitCode::Ok);
        }
        prompt::confirm(&format!("Delete Worker {told} with its versions and secrets?"), self.yes || self.force)?;
        let ask = Ask::new(Method::DELETE, &["workers", "services", &worker]);
        desk.tell(ask.query("force", if self.force { "true" } else { "false" }), |_: serde::de::IgnoredAny| {
            format!("Worker {told} has been deleted.\n")
        })
        .await
    }
}

/// The names of Workers that have a binding to it.
async fn bound_to(client: &Client, worker: &str) -> Result<Vec<String>, CliError> {
    let ask = Ask::new(Method::GET, &["workers", "scripts", worker, "references"]);
    let References { services } = client.ask(ask).await?.parse()?;
    let mut names: Vec<String> = services.incoming.iter().map(|reference| one_line(&reference.service)).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
