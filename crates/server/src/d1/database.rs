//! One open database: a connection to one SQLite file, which runs the statements of a call in one
//! transaction and says what they did. It blocks; who calls it sees to a thread.
//!
//! Stock SQLite does not count rows as Cloudflare's does: `rows_read` counts scanned and returned rows, and
//! `rows_written` changed rows, so that lookups by index and index entries are left out of both.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::limits::Limit;
use rusqlite::{Batch, Connection, StatementStatus};

use super::Size;
use super::error::D1Error;
use super::guard::Guard;
use super::limits;
use super::value::Value;
use crate::locks::lock;

/// A statement with its parameters, as D1's client sends it.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// One statement, or several of which the last may have parameters and gives the result.
    pub sql: String,
    /// One value per placeholder.
    pub params: Vec<Value>,
    /// Where it stands, if that is to be told where it fails.
    pub place: Option<Place>,
}

/// Where a statement stands in a text of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which one, from 1.
    pub number: u64,
    /// The line on which it begins, from 1.
    pub line: u64,
}

/// What one statement gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Names as SQLite gives them; they may repeat.
    pub columns: Vec<String>,
    /// Each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
    /// What it cost and changed.
    pub meta: Meta,
}

/// What one statement cost and changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// Time inside SQLite.
    pub duration: Duration,
    /// Rows inserted, updated or deleted, by triggers too.
    pub changes: u64,
    /// The row id of the connection's latest insert.
    pub last_row_id: i64,
    /// Whether rows, the latest row id or the size changed.
    pub changed_db: bool,
    /// The database's size afterwards.
    pub size_after_bytes: u64,
    /// Rows scanned or returned.
    pub rows_read: u64,
    /// Rows changed.
    pub rows_written: u64,
}

/// An open database.
pub struct Database {
    pub(super) connection: Connection,
    pub(super) guard: Guard,
    deadline: Deadline,
    page_bytes: u64,
}

/// When the running call must end; read by SQLite's progress callback.
type Deadline = Arc<Mutex<Option<Instant>>>;

impl Database {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// The file cannot be made or read, or is no database.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(limits::LOCK_WAIT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        limit(&connection)?;
        let page_bytes = connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?;
        let guard = Guard::install(&connection);
        let deadline = watch_clock(&connection);
        Ok(Self { connection, guard, deadline, page_bytes: page_bytes.unsigned_abs() })
    }

    /// Runs the statements in order in one transaction, which is durable when this returns.
    ///
    /// # Errors
    /// The first statement that fails; then nothing of the call is kept.
    pub fn run(&mut self, statements: &[Statement]) -> Result<Vec<Outcome>, D1Error> {
        if statements.len() > limits::STATEMENTS_MAX {
            return Err(D1Error::TooManyStatements(statements.len()));
        }
        self.transaction(|database| {
            let mut budget = limits::RESULT_BYTES_MAX;
            let outcomes = statements
                .iter()
                .filter_map(|statement| database.run_one(statement, &mut budget).transpose())
                .collect::<Result<Vec<_>, _>>()?;
            if outcomes.is_empty() { Err(D1Error::Empty) } else { Ok(outcomes) }
        })
    }

    /// Runs a script in one transaction if the database has no tables yet, and says whether it did.
    ///
    /// # Errors
    /// As `run`; then nothing of the script is kept.
    pub fn seed(&mut self, script: &str) -> Result<bool, D1Error> {
        if self.tables()? > 0 {
            return Ok(false);
        }
        let statement = Statement { sql: script.to_owned(), params: Vec::new(), place: None };
        self.connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, limits::SCRIPT_BYTES_MAX)?;
        let result = self.run(std::slice::from_ref(&statement));
        self.connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, limits::STATEMENT_BYTES_MAX)?;
        result.map(|_| true)
    }

    /// Whether no transaction is open, as it must be between calls.
    pub fn is_settled(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// How large it is.
    pub fn size(&self) -> Result<Size, D1Error> {
        Ok(Size { tables: self.tables()?, bytes: self.counters()?.size_bytes })
    }

    /// Tables that users made.
    fn tables(&self) -> Result<u64, D1Error> {
        let count: i64 = self.connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
            [],
            |row| row.get(0),
        )?;
        Ok(count.unsigned_abs())
    }

    pub(super) fn transaction<T>(&mut self, work: impl FnOnce(&Self) -> Result<T, D1Error>) -> Result<T, D1Error> {
        self.control("BEGIN IMMEDIATE")?;
        self.set_deadline(Some(Instant::now() + limits::CALL_MAX));
        let result = work(self);
        self.set_deadline(None);
        let result = result.and_then(|value| {
            self.control("COMMIT")?;
            Ok(value)
        });
        if result.is_err() && !self.connection.is_autocommit() {
            self.control("ROLLBACK")?;
        }
        result
    }

    fn control(&self, sql: &str) -> Result<(), D1Error> {
        Ok(self.guard.as_server(|| self.connection.execute_batch(sql))?)
    }

    pub(super) fn set_deadline(&self, at: Option<Instant>) {
        *lock(&self.deadline) = at;
    }

    /// Runs one text and answers what its last statement gave, or nothing if it holds no statement.
    fn run_one(&self, statement: &Statement, budget: &mut usize) -> Result<Option<Outcome>, D1Error> {
        let before = self.counters()?;
        let begun = Instant::now();
        let ran = self.run_text(statement, budget);
        let placed = |error: D1Error| match statement.place {
            Some(Place { number, line }) => error.at(number, line),
            None => error,
        };
        let Some((table, scanned)) = ran.map_err(placed)? else {
            return Ok(None);
        };
        let meta = self.meta_since(&before, begun.elapsed(), scanned)?;
        Ok(Some(Outcome { columns: table.columns, rows: table.rows, meta }))
    }

    pub(super) fn meta_since(&self, before: &Counters, duration: Duration, rows_read: u64) -> Result<Meta, D1Error> {
        let after = self.counters()?;
        let changes = after.changes - before.changes;
        Ok(Meta {
            duration,
            changes,
            last_row_id: after.last_row_id,
            changed_db: *before != after,
            size_after_bytes: after.size_bytes,
            rows_read,
            rows_written: changes,
        })
    }

    fn run_text(&self, statement: &Statement, budget: &mut usize) -> Result<Option<(Table, u64)>, D1Error> {
        self.guard.take_transaction_refused();
        self.guard.take_reads_table();
        let mut batch = Batch::new(&self.connection, &statement.sql);
        let mut last = None;
        let mut rows_read = 0;
        while let Some(prepared) = self.prepared(&mut batch)? {
            if matches!(last, Some((_, placeholders)) if placeholders > 0) {
                return Err(D1Error::EarlyBindings);
            }
            let placeholders = prepared.parameter_count();
            let (table, read) = self.step(prepared, &statement.params, budget)?;
            rows_read += read;
            last = Some((table, placeholders));
        }
        match last {
            Some((_, placeholders)) if placeholders != statement.params.len() => Err(D1Error::Bindings),
            Some((table, _)) => Ok(Some((table, rows_read))),
            None => Ok(None),
        }
    }

    fn step(
        &self,
        mut prepared: rusqlite::Statement<'_>,
        params: &[Value],
        budget: &mut usize,
    ) -> Result<(Table, u64), D1Error> {
        let placeholders = prepared.parameter_count();
        if placeholders > 0 && placeholders != params.len() {
            return Err(D1Error::Bindings);
        }
        for (index, value) in params.iter().take(placeholders).enumerate() {
            prepared.raw_bind_parameter(index + 1, value)?;
        }
        let reads_table = self.guard.take_reads_table();
        let table = Table::collect(&mut prepared, budget)?;
        let returned = if reads_table { table.rows.len() as u64 } else { 0 };
        let read = Self::rows_scanned(&prepared).max(returned);
        Ok((table, read))
    }

    pub(super) fn rows_scanned(prepared: &rusqlite::Statement<'_>) -> u64 {
        u64::from(prepared.get_status(StatementStatus::FullscanStep).unsigned_abs())
    }

    /// The next statement of a text. A transaction statement is refused in D1's own words.
    pub(super) fn prepared<'c>(&self, batch: &mut Batch<'c, '_>) -> Result<Option<rusqlite::Statement<'c>>, D1Error> {
        batch.next().map_err(
            |error| {
                if self.guard.take_transaction_refused() { D1Error::Transaction } else { error.into() }
            },
        )
    }

    pub(super) fn counters(&self) -> Result<Counters, D1Error> {
        let pages: i64 = self
            .guard
            .as_server(|| self.connection.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0)))?;
        Ok(Counters {
            changes: self.connection.total_changes(),
            last_row_id: self.connection.last_insert_rowid(),
            size_bytes: pages.unsigned_abs() * self.page_bytes,
        })
    }
}

/// What a connection has done so far.
#[derive(PartialEq)]
pub(super) struct Counters {
    changes: u64,
    last_row_id: i64,
    size_bytes: u64,
}

struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    fn collect(prepared: &mut rusqlite::Statement<'_>, budget: &mut usize) -> Result<Self, D1Error> {
        let columns: Vec<String> = prepared.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = Vec::new();
        let mut cursor = prepared.raw_query();
        while let Some(row) = cursor.next()? {
            let cells = (0..columns.len())
                .map(|index| Ok(Value::from_sql(row.get_ref(index)?)))
                .collect::<Result<Vec<_>, D1Error>>()?;
            let cost = cells.iter().map(Value::bytes).sum();
            *budget = budget.checked_sub(cost).ok_or(D1Error::ResultTooLarge)?;
            rows.push(cells);
        }
        Ok(Self { columns, rows })
    }
}

fn limit(connection: &Connection) -> rusqlite::Result<()> {
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, limits::VALUE_BYTES_MAX),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, limits::STATEMENT_BYTES_MAX),
        (Limit::SQLITE_LIMIT_COLUMN, limits::COLUMNS_MAX),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, limits::COMPOUND_SELECT_MAX),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, limits::LIKE_PATTERN_BYTES_MAX),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, limits::PARAMS_MAX),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, limits::TRIGGER_DEPTH_MAX),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
    ] {
        connection.set_limit(limit, value)?;
    }
    Ok(())
}

/// Lets SQLite look at the clock while a statement runs.
fn watch_clock(connection: &Connection) -> Deadline {
    let deadline = Deadline::default();
    let seen = Arc::clone(&deadline);
    let is_over = move || {
        let at = *lock(&seen);
        at.is_some_and(|at| Instant::now() >= at)
    };
    connection.progress_handler(limits::CLOCK_STEPS, Some(is_over));
    deadline
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: &str = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT count(*) FROM n";

    #[test]
    fn a_statement_past_its_deadline_ends_and_the_next_runs() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut database = Database::open(&directory.path().join("db.sqlite")).expect("open");
        let endless = Statement { sql: ENDLESS.to_owned(), params: Vec::new(), place: None };
        let ended = database.transaction(|database| {
            database.set_deadline(Some(Instant::now()));
            database.run_one(&endless, &mut 1_000)
        });
        assert!(matches!(ended, Err(D1Error::TooSlow)), "{ended:?}");
        let quick = Statement { sql: "SELECT 1".to_owned(), params: Vec::new(), place: None };
        assert!(database.run(&[quick]).is_ok());
    }
}
