//! `stepwell secret`: secrets of a Worker. Values come by standard input or a question, never as an argument, which others on
//! the machine could see.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::address::ServerAddress;
use super::client::{Ask, Body};
use super::desk::Desk;
use super::screen::Screen;
use super::secret_file;
use super::table::Table;
use super::text::{counted, one_line};
use super::worker::WorkerArgs;
use super::{CliError, ExitCode, prompt};
use crate::secrets::SECRET_TEXT;

/// Set, list and delete secrets of a Worker
#[derive(Debug, Args)]
pub struct SecretArgs {
    #[command(subcommand)]
    command: SecretCommand,
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Set a secret; its value is asked for, or comes on standard input
    Put {
        /// Name of the secret, as the Worker's `env` has it
        key: String,
    },
    /// List the names of secrets
    List,
    /// Delete a secret
    Delete {
        /// Name of the secret
        key: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Set and delete many secrets at once
    ///
    /// The file holds {"NAME": "value", …} as JSON, where null deletes, or lines NAME=value as in .env.
    Bulk {
        /// The file [default: standard input]
        file: Option<String>,
    },
}

/// One that is told, without its value.
#[derive(Deserialize, Serialize)]
pub struct Secret {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}

/// A member of the bulk request.
#[derive(Serialize)]
struct NewSecret<'a> {
    name: &'a str,
    text: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl SecretArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let desk = Desk::of(&self.server, screen)?;
        let worker = self.worker.name()?;
        match self.command {
            SecretCommand::Put { key } => desk.put_secret(&worker, &key).await,
            SecretCommand::List => desk.list_secrets(&worker).await,
            SecretCommand::Delete { key, yes } => desk.delete_secret(&worker, &key, yes).await,
            SecretCommand::Bulk { file } => desk.put_secrets(&worker, file.as_deref()).await,
        }
    }
}

impl Desk<'_> {
    async fn put_secret(&self, worker: &str, key: &str) -> Result<ExitCode, CliError> {
        let text = value_of(key)?;
        let body = json!({ "name": key, "text": text, "type": SECRET_TEXT }).to_string();
        let ask = Ask::new(Method::PUT, &["workers", "scripts", worker, "secrets"]).body(Body::Json(body));
        self.tell(ask, |_: serde::de::IgnoredAny| {
            format!("Secret {} of {} has been set.\n", one_line(key), one_line(worker))
        })
        .await
    }

    async fn list_secrets(&self, worker: &str) -> Result<ExitCode, CliError> {
        let ask = Ask::new(Method::GET, &["workers", "scripts", worker, "secrets"]);
        self.tell(ask, |secrets: Vec<Secret>| {
            if secrets.is_empty() {
                let worker = one_line(worker);
                return format!("{worker} has no secrets. Set one with `stepwell secret put NAME --name {worker}`.\n");
            }
            table(secrets).render(self.screen)
        })
        .await
    }

    async fn delete_secret(&self, worker: &str, key: &str, is_sure: bool) -> Result<ExitCode, CliError> {
        check_key(key)?;
        let (key_told, told) = (one_line(key), one_line(worker));
        prompt::confirm(&format!("Delete secret {key_told} of {told}?"), is_sure)?;
        let ask = Ask::new(Method::DELETE, &["workers", "scripts", worker, "secrets", key]);
        self.tell(ask.query("url_encoded", "true"), |_: serde::de::IgnoredAny| {
            format!("Secret {key_told} of {told} has been deleted.\n")
        })
        .await
    }

    async fn put_secrets(&self, worker: &str, file: Option<&str>) -> Result<ExitCode, CliError> {
        let given = secret_file::read(file)?;
        let secrets: BTreeMap<&str, Option<NewSecret<'_>>> = given
            .iter()
            .map(|(name, text)| {
                (name.as_str(), text.as_deref().map(|text| NewSecret { name, text, kind: SECRET_TEXT }))
            })
            .collect();
        let body = json!({ "secrets": secrets }).to_string();
        let ask = Ask::new(Method::PATCH, &["workers", "scripts", worker, "secrets-bulk"]).body(Body::Json(body));
        self.tell(ask, |_: serde::de::IgnoredAny| {
            let deleted = given.values().filter(|text| text.is_none()).count();
            let set = counted(given.len() - deleted, "secret");
            let deletions = if deleted == 0 { String::new() } else { format!(", {deleted} deleted") };
            format!("{set} of {} set{deletions}.\n", one_line(worker))
        })
        .await
    }
}

/// Their names.
pub fn table(secrets: Vec<Secret>) -> Table<'static> {
    let rows = secrets.into_iter().map(|secret| vec![secret.name.into(), secret.kind.into()]).collect();
    Table { headings: &["NAME", "TYPE"], shrinking: &[0], rows }
}

/// The value of a secret, from whoever sits at the terminal or from standard input.
///
/// # Errors
/// Where its name cannot be, or nothing can be read.
pub fn value_of(key: &str) -> Result<String, CliError> {
    check_key(key)?;
    Ok(match prompt::hidden(&format!("Value of {}", one_line(key)))? {
        Some(typed) => typed,
        // What a pipe brings ends with a line break that nobody means.
        None => prompt::input()?.trim_end().to_owned(),
    })
}

/// An empty segment would make another path.
///
/// # Errors
/// Where the name is empty.
pub fn check_key(key: &str) -> Result<(), CliError> {
    match key {
        "" => Err(CliError::Usage("the name of a secret cannot be empty".to_owned())),
        _ => Ok(()),
    }
}
