//! `stepwell versions secret`: secrets that come with a new version, which does not serve until it is deployed.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Ask, Body};
use super::desk::Desk;
use super::screen::Tone;
use super::secret::{Secret, check_key, table, value_of};
use super::text::{counted, one_line};
use super::upload::Notes;
use super::version::{Version, versions_of};
use super::worker::WorkerArgs;
use super::{CliError, ExitCode, prompt, secret_file};
use crate::secrets::SECRET_TEXT;

/// Set, list and delete secrets of a version that does not serve yet
///
/// Each change makes a version of the newest one; `versions deploy` lets it serve, with all changes before it.
#[derive(Debug, Args)]
pub struct VersionSecretArgs {
    #[command(subcommand)]
    command: VersionSecretCommand,
    #[command(flatten)]
    worker: WorkerArgs,
}

#[derive(Debug, Subcommand)]
enum VersionSecretCommand {
    /// Make a version with a secret; its value is asked for, or comes on standard input
    Put {
        /// Name of the secret, as the Worker's `env` has it
        key: String,
        #[command(flatten)]
        notes: Notes,
    },
    /// List the names of the secrets of the version that serves
    List {
        /// Those of the newest version instead
        #[arg(long)]
        latest_version: bool,
    },
    /// Make a version without a secret
    Delete {
        /// Name of the secret
        key: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        notes: Notes,
    },
    /// Make a version with many secrets set and deleted
    ///
    /// The file holds {"NAME": "value", …} as JSON, where null deletes, or lines NAME=value as in .env.
    Bulk {
        /// The file [default: standard input]
        file: Option<String>,
        #[command(flatten)]
        notes: Notes,
    },
}

/// By name; none where the secret goes.
type Changes = BTreeMap<String, Option<String>>;

/// What is told of the version that was made.
#[derive(Deserialize)]
struct Made {
    id: String,
    number: u32,
}

#[derive(Deserialize)]
struct Detail {
    resources: Resources,
}

#[derive(Deserialize)]
struct Resources {
    bindings: Vec<Value>,
}

impl VersionSecretArgs {
    pub async fn run(self, desk: &Desk<'_>) -> Result<ExitCode, CliError> {
        let worker = self.worker.name()?;
        match self.command {
            VersionSecretCommand::Put { key, notes } => {
                let changes = [(key.clone(), Some(value_of(&key)?))].into();
                let notes = notes.or_message(|| format!("Updated secret \"{key}\""));
                desk.make_version(&worker, &changes, &notes, &format!("with secret {}", one_line(&key))).await
            }
            VersionSecretCommand::List { latest_version } => desk.list_version_secrets(&worker, latest_version).await,
            VersionSecretCommand::Delete { key, yes, notes } => {
                desk.check_newest_has(&worker, &key).await?;
                let (key_told, told) = (one_line(&key), one_line(&worker));
                prompt::confirm(&format!("Make a version of {told} without secret {key_told}?"), yes)?;
                let notes = notes.or_message(|| format!("Deleted secret \"{key}\""));
                desk.make_version(&worker, &[(key, None)].into(), &notes, &format!("without secret {key_told}")).await
            }
            VersionSecretCommand::Bulk { file, notes } => {
                let changes = secret_file::read(file.as_deref())?;
                let deleted = changes.values().filter(|text| text.is_none()).count();
                let notes = notes.or_message(|| format!("Bulk updated {} secrets", changes.len()));
                let set = counted(changes.len() - deleted, "secret");
                desk.make_version(&worker, &changes, &notes, &format!("with {set} set, {deleted} deleted")).await
            }
        }
    }
}

impl Desk<'_> {
    /// `how` says how the new version differs from the one before.
    async fn make_version(
        &self,
        worker: &str,
        changes: &Changes,
        notes: &Notes,
        how: &str,
    ) -> Result<ExitCode, CliError> {
        let text = |text: &String| json!({ "text": text, "type": SECRET_TEXT });
        let env: BTreeMap<&String, Option<Value>> =
            changes.iter().map(|(name, value)| (name, value.as_ref().map(text))).collect();
        let body = json!({ "annotations": notes.annotations(), "env": env }).to_string();
        let ask = Ask::new(Method::PATCH, &["workers", "workers", worker, "versions", "latest"]);
        self.tell(ask.body(Body::Json(body)), |Made { id, number }| {
            let name = one_line(worker);
            let next = self.screen.paint(Tone::Dim, &format!("stepwell versions deploy {number} --name {name}"));
            format!("Made version {number} of {name} {how}: {}\n{next}\n", one_line(&id))
        })
        .await
    }

    async fn list_version_secrets(&self, worker: &str, is_newest: bool) -> Result<ExitCode, CliError> {
        let version = versions_of(&self.client, worker).await?.into_iter().find(|it| is_newest || it.is_current);
        let told = one_line(worker);
        let version = version.ok_or_else(|| CliError::NotFound(format!("no version of Worker \"{told}\" serves")))?;
        let secrets = self.secrets_of(worker, &version).await?;
        let result = json!({ "version_id": version.id, "version": version.number, "secrets": secrets });
        self.screen.show(&result, || match secrets.is_empty() {
            true => format!("Version {} of {told} has no secrets.\n", version.number),
            false => {
                let heading = format!("Version {} of {told}: {}", version.number, one_line(&version.id));
                format!("{heading}\n{}", table(secrets).render(self.screen))
            }
        })?;
        Ok(ExitCode::Ok)
    }

    async fn secrets_of(&self, worker: &str, version: &Version) -> Result<Vec<Secret>, CliError> {
        let ask = Ask::new(Method::GET, &["workers", "scripts", worker, "versions", &version.id]);
        let Detail { resources } = self.client.ask(ask).await?.parse()?;
        let secrets = resources.bindings.into_iter().filter(|binding| binding["type"] == SECRET_TEXT);
        Ok(secrets.filter_map(|binding| serde_json::from_value(binding).ok()).collect())
    }

    /// A version that differs in nothing would only be in the way.
    async fn check_newest_has(&self, worker: &str, key: &str) -> Result<(), CliError> {
        check_key(key)?;
        let Some(newest) = versions_of(&self.client, worker).await?.into_iter().next() else { return Ok(()) };
        if self.secrets_of(worker, &newest).await?.iter().any(|secret| secret.name == key) {
            return Ok(());
        }
        let (key, worker) = (one_line(key), one_line(worker));
        let advice = format!("`stepwell versions secret list --latest-version --name {worker}` shows those it has.");
        Err(CliError::NotFound(format!("The newest version of Worker \"{worker}\" has no secret \"{key}\". {advice}")))
    }
}
