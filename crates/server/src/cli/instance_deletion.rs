//! `stepwell workflows instances delete`: instances go with their histories, many in one command.

use clap::Args;
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::client::{Ask, Body};
use super::desk::Desk;
use super::error::INSTANCE_NOT_FOUND;
use super::latest::resolve;
use super::text::{counted, one_line};
use super::workflows::check_name;
use super::{CliError, ExitCode, argument, complain};
use crate::platform_batch::is_addressable_id;

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
            let wrong = batch.iter().find(|id| !is_addressable_id(id)).map_or("", String::as_str);
            let answer = desk.client.ask(ask).await.map_err(|error| error.about_instance(&self.name, wrong))?;
            let Deletions { deleted, errors } = answer.parse()?;
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

/// What failed is in the JSON as well, so that a program needs only the one. Where all that failed is not there, the exit code says so.
fn tell(desk: &Desk<'_>, all: &Deletions, workflow: &str) -> Result<ExitCode, CliError> {
    desk.screen.show(all, || match all.deleted.len() {
        0 => String::new(),
        count => format!("{} of {} deleted.\n", counted(count, "instance"), one_line(workflow)),
    })?;
    let errors = all.errors.iter().map(|error| serde_json::from_str(error.get()));
    let errors: Vec<DeletionError> = errors.collect::<Result<_, _>>().map_err(anyhow::Error::from)?;
    if !desk.screen.is_json {
        errors.iter().for_each(|error| complain(&CliError::Refused(error.told(workflow))));
    }
    Ok(match errors.as_slice() {
        [] => ExitCode::Ok,
        errors if errors.iter().all(|error| error.code == INSTANCE_NOT_FOUND) => ExitCode::NotFound,
        _ => ExitCode::Failure,
    })
}

impl DeletionError {
    fn told(&self, workflow: &str) -> String {
        let why = match self.code {
            INSTANCE_NOT_FOUND => format!("workflow {} has no such instance", one_line(workflow)),
            _ => one_line(&self.message),
        };
        format!("{}: {why} [code {}]", one_line(&self.id), self.code)
    }
}
