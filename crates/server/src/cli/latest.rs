//! Which instance `latest` is.

use hyper::Method;
use serde::Deserialize;

use super::CliError;
use super::client::{Ask, Client};
use super::text::one_line;

/// Instead of an id: the instance that was created last.
pub const LATEST: &str = "latest";

#[derive(Deserialize)]
struct Row {
    id: String,
}

/// The id itself, or that of the workflow's newest instance.
///
/// # Errors
/// When the server cannot be asked, or the workflow has no instance.
pub async fn resolve(client: &Client, workflow: &str, id: &str) -> Result<String, CliError> {
    if id.is_empty() {
        return Err(CliError::Usage("the id of an instance cannot be empty".to_owned()));
    }
    if id != LATEST {
        return Ok(id.to_owned());
    }
    let ask = Ask::new(Method::GET, &["workflows", workflow, "instances"]).query("per_page", "1");
    let rows: Vec<Row> = client.ask(ask.query("direction", "desc")).await?.parse()?;
    let row = rows.into_iter().next().ok_or_else(|| none(workflow))?;
    Ok(row.id)
}

fn none(workflow: &str) -> CliError {
    let workflow = one_line(workflow);
    let advice = format!("Create one with `stepwell workflows trigger {workflow}`.");
    CliError::NotFound(format!("workflow \"{workflow}\" has no instances. {advice}"))
}
