//! `stepwell workflows instances delete`: instances go with their histories, many in one command.

use clap::Args;
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::client::{Ask, Body};
use super::desk::Desk;
use super::latest::resolve;
use super::text::{counted, one_line};
use super::workflows::check_name;
use super::{CliError, ExitCode, argument, complain};

/// The API takes so many ids in one request.
const DELETE_BATCH_MAX: usize = 100;

#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Name of the workflow
    name: String,
    /// Ids of the instances, or `latest`
    #[arg(required_unless_present = "filename", value_name = "ID")]
    ids: Vec<String>,
    /// A file with a JSON array of ids; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "ids")]
    filename: Option<String>,
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

impl DeleteArgs {
    pub async fn run(self, desk: &Desk<'_>) -> Result<ExitCode, CliError> {
        check_name(&self.name)?;
        let given = match &self.filename {
            Some(file) => ids_in(file)?,
            None => self.ids,
        };
        let mut ids = Vec::with_capacity(given.len());
        for id in &given {
            ids.push(resolve(&desk.client, &self.name, id).await?);
        }
        let mut all = Deletions::default();
        for batch in ids.chunks(DELETE_BATCH_MAX) {
            let ask = Ask::new(Method::POST, &["workflows", &self.name, "instances", "batch", "delete"])
                .body(Body::Json(json!({ "instances": batch }).to_string()));
            let Deletions { deleted, errors } = desk.client.ask(ask).await?.parse()?;
            all.deleted.extend(deleted);
            all.errors.extend(errors);
        }
        tell(desk, &all, &self.name)
    }
}

fn ids_in(file: &str) -> Result<Vec<String>, CliError> {
    let given = argument::json("--filename", &format!("@{file}"))?;
    serde_json::from_str(given.get())
        .map_err(|error| CliError::Usage(format!("--filename: {} is no JSON array of ids: {error}", one_line(file))))
}

/// What failed is in the JSON as well, so that a program needs only the one.
fn tell(desk: &Desk<'_>, all: &Deletions, workflow: &str) -> Result<ExitCode, CliError> {
    desk.screen.show(all, || match all.deleted.len() {
        0 => String::new(),
        count => format!("{} of {} deleted.\n", counted(count, "instance"), one_line(workflow)),
    })?;
    if !desk.screen.is_json {
        for error in &all.errors {
            let error: DeletionError = serde_json::from_str(error.get()).map_err(anyhow::Error::from)?;
            let text = format!("{}: {} [code {}]", one_line(&error.id), one_line(&error.message), error.code);
            complain(&CliError::Refused(text));
        }
    }
    Ok(if all.errors.is_empty() { ExitCode::Ok } else { ExitCode::Failure })
}
