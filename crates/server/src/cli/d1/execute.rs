//! `stepwell d1 execute`: SQL from the command line, or from a file, which the server runs in one transaction.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use hyper::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::client::{Ask, Body};
use super::super::desk::Desk;
use super::super::text::{counted, printable};
use super::super::{CliError, ExitCode};
use super::files;
use super::results::{self, Meta, StatementResult};
use super::target::TargetArgs;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["command", "file"]))]
pub struct ExecuteArgs {
    /// Name, binding or id of the database
    database: String,
    /// SQL, one statement or several
    #[arg(long, value_name = "SQL")]
    command: Option<String>,
    /// A file of SQL
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// How far an import is.
#[derive(Deserialize)]
struct Import {
    status: Option<String>,
    at_bookmark: Option<String>,
    filename: Option<String>,
    upload_url: Option<String>,
    error: Option<String>,
    result: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Imported {
    num_queries: u64,
    meta: Meta,
}

impl ExecuteArgs {
    pub async fn run(self, desk: &Desk<'_>, target: &TargetArgs) -> Result<ExitCode, CliError> {
        let database = target.find(&self.database)?.database;
        match (self.command, self.file) {
            (Some(sql), _) => query(desk, &database, &sql).await,
            (None, Some(file)) => run_file(desk, &database, &file).await,
            // clap wants one of them.
            (None, None) => Err(CliError::Usage("give --command or --file".to_owned())),
        }
    }
}

/// Programs get rows as objects, as from wrangler; people get columns in their order.
async fn query(desk: &Desk<'_>, database: &str, sql: &str) -> Result<ExitCode, CliError> {
    let action = if desk.screen.is_json { "query" } else { "raw" };
    let body = Body::Json(json!({ "sql": sql }).to_string());
    let ask = Ask::new(Method::POST, &["d1", "database", database, action]).body(body);
    desk.tell(ask, |statements: Vec<StatementResult>| results::text(&statements, desk.screen)).await
}

async fn run_file(desk: &Desk<'_>, database: &str, file: &Path) -> Result<ExitCode, CliError> {
    let etag = files::md5_of(file).await?;
    let announced = act(desk, database, json!({ "action": "init", "etag": etag })).await?;
    if let Some(url) = &announced.upload_url {
        files::upload(&desk.client, url, file).await?;
    }
    let ingest = json!({ "action": "ingest", "filename": announced.filename, "etag": etag });
    let mut import = act(desk, database, ingest).await?;
    while import.status.as_deref() == Some("active") {
        import = act(desk, database, json!({ "action": "poll", "current_bookmark": import.at_bookmark })).await?;
    }
    let Some(result) = import.result else {
        let error = import.error.unwrap_or_else(|| "the import ended without a word".to_owned());
        let error = printable(&error);
        return Err(CliError::Refused(format!("{}: {error}\nThe database is as it was before.", file.display())));
    };
    if desk.screen.is_json {
        desk.screen.line(result.get())?;
    } else {
        let Imported { num_queries, meta } = serde_json::from_str(result.get()).map_err(anyhow::Error::from)?;
        let statements = counted(usize::try_from(num_queries).unwrap_or(usize::MAX), "statement");
        desk.screen.line(&format!("{statements} executed: {}.", results::cost(&meta)))?;
    }
    Ok(ExitCode::Ok)
}

async fn act(desk: &Desk<'_>, database: &str, body: Value) -> Result<Import, CliError> {
    let ask = Ask::new(Method::POST, &["d1", "database", database, "import"]);
    desk.client.ask(ask.body(Body::Json(body.to_string()))).await?.parse()
}
