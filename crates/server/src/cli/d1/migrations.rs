//! `stepwell d1 migrations`: numbered files of SQL, each applied once and noted in a table of the database, as wrangler
//! does: either tool goes on where the other stopped.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Args, Subcommand};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::client::{Ask, Body};
use super::super::desk::Desk;
use super::super::screen::{Screen, Tone};
use super::super::table::{Cell, Table};
use super::super::text::{counted, one_line};
use super::super::{CliError, ExitCode, prompt};
use super::target::{Target, TargetArgs};

const NUMBER_WIDTH: usize = 4;

#[derive(Debug, Subcommand)]
pub enum MigrationsCommand {
    /// Create a new, empty migration
    Create(CreateArgs),
    /// List migrations that have not been applied
    List {
        /// Name, binding or id of the database
        database: String,
    },
    /// Apply migrations that have not been applied, each in one transaction
    Apply {
        /// Name, binding or id of the database
        database: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Name, binding or id of the database
    database: String,
    /// What it does, for its file's name
    message: String,
}

#[derive(Deserialize)]
struct Rows {
    results: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
}

#[derive(Serialize)]
struct Migration {
    name: String,
}

impl MigrationsCommand {
    pub async fn run(self, desk: &Desk<'_>, target: &TargetArgs) -> Result<ExitCode, CliError> {
        match self {
            Self::Create(args) => args.run(target, desk.screen),
            Self::List { database } => list(desk, &target.find(&database)?).await,
            Self::Apply { database, yes } => apply(desk, &target.find(&database)?, yes).await,
        }
    }
}

impl CreateArgs {
    /// Needs no server.
    pub fn run(&self, target: &TargetArgs, screen: &Screen) -> Result<ExitCode, CliError> {
        let directory = target.find(&self.database)?.migrations;
        if self.message.contains(['/', '\\']) {
            return Err(CliError::Usage(format!(
                "{:?} becomes part of a file's name, which has no slashes",
                self.message
            )));
        }
        let cannot = |error: io::Error| CliError::Usage(format!("cannot write in {}: {error}", directory.display()));
        fs::create_dir_all(&directory).map_err(cannot)?;
        let last = files(&directory)?.iter().filter_map(|name| number(name)).max().unwrap_or(0);
        let digits = format!("{:0NUMBER_WIDTH$}", last + 1);
        let path = directory.join(format!("{digits}_{}.sql", self.message.replace(' ', "_")));
        fs::write(&path, format!("-- Migration number: {digits} \t {:.3}\n", screen.now())).map_err(cannot)?;
        let path = path.display().to_string();
        screen.show(&json!({ "file": path }), || format!("{path} has been created. Write its SQL into it.\n"))?;
        Ok(ExitCode::Ok)
    }
}

async fn list(desk: &Desk<'_>, target: &Target) -> Result<ExitCode, CliError> {
    let open = unapplied(desk, target).await?;
    desk.screen.show(&open, || match open.len() {
        0 => "All migrations have been applied.\n".to_owned(),
        count => format!("{} to be applied:\n{}", counted(count, "migration"), names(&open)),
    })?;
    Ok(ExitCode::Ok)
}

async fn apply(desk: &Desk<'_>, target: &Target, is_sure: bool) -> Result<ExitCode, CliError> {
    let open = unapplied(desk, target).await?;
    if !open.is_empty() {
        let question = format!("{} to be applied:\n{}Apply?", counted(open.len(), "migration"), names(&open));
        prompt::confirm(&question, is_sure)?;
        run(desk, &target.database, &json!({ "sql": table_sql(&target.migrations_table) })).await?;
    }
    for (place, migration) in open.iter().enumerate() {
        let applied = apply_one(desk, target, &migration.name).await;
        applied.map_err(|error| failed(error, &migration.name, place))?;
    }
    desk.screen.show(&open, || match open.len() {
        0 => "All migrations have been applied before.\n".to_owned(),
        _ => {
            let row =
                |migration: &Migration| vec![migration.name.clone().into(), Cell("applied".to_owned(), Tone::Good)];
            let rows = open.iter().map(row).collect();
            Table { headings: &["NAME", "STATUS"], shrinking: &[0], rows }.render(desk.screen)
        }
    })?;
    Ok(ExitCode::Ok)
}

/// A migration and the note of it are in one transaction.
async fn apply_one(desk: &Desk<'_>, target: &Target, name: &str) -> Result<(), CliError> {
    let path = target.migrations.join(name);
    let sql = fs::read_to_string(&path)
        .map_err(|error| CliError::Usage(format!("cannot read {}: {error}", path.display())))?;
    let note = format!("INSERT INTO {} (name) VALUES (?)", quoted(&target.migrations_table));
    let batch = json!({ "batch": [{ "sql": sql }, { "sql": note, "params": [name] }] });
    run(desk, &target.database, &batch).await.map(|_| ())
}

/// What the server says of a statement, with the migration that has it.
fn failed(error: CliError, name: &str, applied: usize) -> CliError {
    match error {
        CliError::Api { status, code, message, advice } => {
            let before = if applied == 0 {
                String::new()
            } else {
                format!("; {} before it stay applied", counted(applied, "migration"))
            };
            let message = format!("migration {}: {message}\nNothing of it was kept{before}.", one_line(name));
            CliError::Api { status, code, message, advice }
        }
        other => other,
    }
}

/// The names of migrations that are files and not noted, in their order.
async fn unapplied(desk: &Desk<'_>, target: &Target) -> Result<Vec<Migration>, CliError> {
    let files = files(&target.migrations)?;
    let applied = applied(desk, target).await?;
    Ok(files.into_iter().filter(|name| !applied.contains(name)).map(|name| Migration { name }).collect())
}

async fn applied(desk: &Desk<'_>, target: &Target) -> Result<Vec<String>, CliError> {
    let table = &target.migrations_table;
    let there = json!({ "sql": "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?", "params": [table] });
    if names_in(run(desk, &target.database, &there).await?)?.is_empty() {
        return Ok(Vec::new());
    }
    let noted = json!({ "sql": format!("SELECT name FROM {} ORDER BY id", quoted(table)) });
    names_in(run(desk, &target.database, &noted).await?)
}

fn names_in(results: Value) -> Result<Vec<String>, CliError> {
    let results: Vec<Rows> = serde_json::from_value(results).map_err(anyhow::Error::from)?;
    Ok(results.into_iter().flat_map(|result| result.results).map(|row| row.name).collect())
}

async fn run(desk: &Desk<'_>, database: &str, body: &Value) -> Result<Value, CliError> {
    let ask = Ask::new(Method::POST, &["d1", "database", database, "query"]);
    desk.client.ask(ask.body(Body::Json(body.to_string()))).await?.parse()
}

/// As wrangler makes it.
fn table_sql(table: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, \
         applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
        quoted(table)
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Migrations in a directory, in the order of their names.
fn files(directory: &Path) -> Result<Vec<String>, CliError> {
    let cannot = |error: io::Error| {
        CliError::Usage(format!(
            "cannot read the migrations in {}: {error}\n`stepwell d1 migrations create` makes the first one, and \
             migrations_dir in the wrangler configuration says where they are.",
            directory.display()
        ))
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|extension| extension == "sql") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The number before the first underscore.
fn number(name: &str) -> Option<u64> {
    name.split('_').next()?.parse().ok()
}

fn names(migrations: &[Migration]) -> String {
    migrations.iter().map(|migration| format!("  {}\n", one_line(&migration.name))).collect()
}
