//! Databases as such: create, list, show, delete.

use clap::Args;
use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::super::client::{Ask, Body};
use super::super::desk::Desk;
use super::super::screen::{Screen, Tone};
use super::super::table::Table;
use super::super::text::{one_line, pad};
use super::super::{CliError, ExitCode, prompt, times};
use super::target::TargetArgs;

const LABEL_WIDTH: usize = 12;

#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Name of the new database
    name: String,
    /// Its id, where a configuration has one already [default: a new one]
    #[arg(long)]
    id: Option<String>,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which page of the list
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    page: u32,
    /// Databases on a page
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    per_page: u32,
    /// Only databases whose name has this in it
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// Name, binding or id of the database
    database: String,
}

#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Name, binding or id of the database
    database: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Deserialize)]
struct Listed {
    uuid: String,
    name: String,
    created_at: Timestamp,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(flatten)]
    listed: Listed,
    num_tables: u64,
    file_size: u64,
}

impl CreateArgs {
    pub async fn run(self, desk: &Desk<'_>) -> Result<ExitCode, CliError> {
        let mut body = json!({ "name": self.name });
        if let Some(id) = self.id {
            body["id"] = id.into();
        }
        let ask = Ask::new(Method::POST, &["d1", "database"]).body(Body::Json(body.to_string()));
        desk.tell(ask, |made: Listed| created_text(&made, desk.screen)).await
    }
}

fn created_text(made: &Listed, screen: &Screen) -> String {
    let (name, id) = (one_line(&made.name), one_line(&made.uuid));
    let bind = format!("[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"{name}\"\ndatabase_id = \"{id}\"");
    format!(
        "Database {name} has been created. A Worker binds it in its wrangler.toml:\n\n{}\n",
        screen.paint(Tone::Dim, &bind)
    )
}

impl ListArgs {
    pub async fn run(self, desk: &Desk<'_>) -> Result<ExitCode, CliError> {
        let ask = Ask::new(Method::GET, &["d1", "database"]).query("page", &self.page.to_string());
        let ask = ask.query("per_page", &self.per_page.to_string()).maybe_query("name", self.search.as_deref());
        desk.tell(ask, |databases: Vec<Listed>| self.text(databases, desk.screen)).await
    }

    fn text(&self, databases: Vec<Listed>, screen: &Screen) -> String {
        match databases.len() {
            0 if self.page > 1 => format!("No databases on page {}.\n", self.page),
            0 if self.search.is_some() => "No database has that in its name.\n".to_owned(),
            0 => "No databases yet. Create one with `stepwell d1 create NAME`, or deploy a Worker that binds one.\n"
                .to_owned(),
            _ => {
                let created = |at| times::relative(at, screen.now());
                let rows = databases
                    .into_iter()
                    .map(|row| vec![row.name.into(), row.uuid.into(), created(row.created_at).into()]);
                Table { headings: &["NAME", "ID", "CREATED"], shrinking: &[0], rows: rows.collect() }.render(screen)
            }
        }
    }
}

impl InfoArgs {
    pub async fn run(self, desk: &Desk<'_>, target: &TargetArgs) -> Result<ExitCode, CliError> {
        let database = target.find(&self.database)?.database;
        let ask = Ask::new(Method::GET, &["d1", "database", &database]);
        desk.tell(ask, |detail: Detail| info_text(&detail, desk.screen)).await
    }
}

fn info_text(detail: &Detail, screen: &Screen) -> String {
    let created = times::local_and_relative(detail.listed.created_at, screen.now(), &screen.zone);
    let fields = [
        ("Name", one_line(&detail.listed.name)),
        ("Id", one_line(&detail.listed.uuid)),
        ("Created", created),
        ("Tables", detail.num_tables.to_string()),
        ("Size", size(detail.file_size)),
    ];
    fields
        .iter()
        .map(|(label, value)| format!("{}{value}\n", screen.paint(Tone::Dim, &pad(label, LABEL_WIDTH))))
        .collect()
}

/// Bytes in the unit that a person would choose.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut scaled = bytes as f64;
    let mut unit = 0;
    while scaled >= 1_024.0 && unit + 1 < UNITS.len() {
        scaled /= 1_024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0);
    format!("{scaled:.digits$} {}", UNITS[unit])
}

impl DeleteArgs {
    pub async fn run(self, desk: &Desk<'_>, target: &TargetArgs) -> Result<ExitCode, CliError> {
        let database = target.find(&self.database)?.database;
        let told = one_line(&self.database);
        let question = format!("Delete database {told} with all that is in it? Workers that bind it will fail.");
        prompt::confirm(&question, self.yes)?;
        let ask = Ask::new(Method::DELETE, &["d1", "database", &database]);
        desk.tell(ask, |_: serde::de::IgnoredAny| format!("Database {told} has been deleted.\n")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        for (bytes, told) in
            [(0, "0 B"), (1_023, "1023 B"), (4_096, "4.0 KiB"), (5 << 20, "5.0 MiB"), (3 << 40, "3072.0 GiB")]
        {
            assert_eq!(size(bytes), told);
        }
    }
}
