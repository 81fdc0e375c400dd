//! `stepwell d1 export`: a database as an SQL script in a file, which is there whole or not at all.

use std::path::{Path, PathBuf};

use clap::Args;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::File;

use super::super::client::{Ask, Body};
use super::super::desk::Desk;
use super::super::text::printable;
use super::super::{CliError, ExitCode};
use super::files;
use super::target::TargetArgs;

/// Stands for standard output.
const STANDARD_OUTPUT: &str = "-";

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Name, binding or id of the database
    database: String,
    /// Where the script goes; `-` is standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Only this table, with its indexes and triggers; may be given several times
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// Leave out what creates tables
    #[arg(long, conflicts_with = "no_data")]
    no_schema: bool,
    /// Leave out the rows
    #[arg(long)]
    no_data: bool,
}

#[derive(Deserialize)]
struct Export {
    status: String,
    at_bookmark: String,
    error: Option<String>,
    result: Option<Exported>,
}

#[derive(Deserialize)]
struct Exported {
    signed_url: String,
}

impl ExportArgs {
    pub async fn run(self, desk: &Desk<'_>, target: &TargetArgs) -> Result<ExitCode, CliError> {
        let database = target.find(&self.database)?.database;
        let options = json!({ "no_schema": self.no_schema, "no_data": self.no_data, "tables": self.table });
        let mut export = act(desk, &database, json!({ "output_format": "polling", "dump_options": options })).await?;
        while export.status == "active" {
            let poll = json!({ "output_format": "polling", "current_bookmark": export.at_bookmark });
            export = act(desk, &database, poll).await?;
        }
        let Some(Exported { signed_url }) = export.result else {
            let error = export.error.unwrap_or_else(|| "the export ended without a word".to_owned());
            return Err(CliError::Refused(printable(&error)));
        };
        if self.output == Path::new(STANDARD_OUTPUT) {
            files::download(&desk.client, &signed_url, &mut tokio::io::stdout()).await?;
            return Ok(ExitCode::Ok);
        }
        let size_bytes = write_file(desk, &signed_url, &self.output).await?;
        let path = self.output.display().to_string();
        desk.screen.show(&json!({ "output": path, "bytes": size_bytes }), || format!("{path} has been written.\n"))?;
        Ok(ExitCode::Ok)
    }
}

/// Answers its size.
async fn write_file(desk: &Desk<'_>, url: &str, path: &Path) -> Result<u64, CliError> {
    let cannot = |error: std::io::Error| CliError::Usage(format!("cannot write {}: {error}", path.display()));
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = tempfile::Builder::new().suffix(".sql").tempfile_in(directory).map_err(cannot)?;
    let mut file = File::from_std(draft.reopen().map_err(cannot)?);
    files::download(&desk.client, url, &mut file).await?;
    let size_bytes = file.metadata().await?.len();
    draft.persist(path).map_err(|error| cannot(error.error))?;
    Ok(size_bytes)
}

async fn act(desk: &Desk<'_>, database: &str, body: Value) -> Result<Export, CliError> {
    let ask = Ask::new(Method::POST, &["d1", "database", database, "export"]);
    desk.client.ask(ask.body(Body::Json(body.to_string()))).await?.parse()
}
