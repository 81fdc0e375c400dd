//! What can go wrong in D1, in D1's words: the client in workerd puts `D1_ERROR: ` before them, and
//! programs compare the texts. Which Rust type failed is of no interest here.

use rusqlite::{Error as SqlError, ErrorCode, ffi};
use stepwell_store::Stall;

use super::limits::{RESULT_BYTES_MAX, STATEMENTS_MAX};

/// A failed call. Nothing of the call's statements has been kept.
#[derive(Debug, thiserror::Error)]
pub enum D1Error {
    /// SQLite refused a statement; the text ends in its code, for example `no such table: x: SQLITE_ERROR`.
    #[error("{0}")]
    Sql(String),
    /// `BEGIN`, `COMMIT`, `SAVEPOINT` and their kin, which would break the call's own transaction.
    #[error(
        "To execute a transaction, please use the state.storage.transaction() or \
         state.storage.transactionSync() APIs instead of the SQL BEGIN TRANSACTION or SAVEPOINT \
         statements. The JavaScript API is safer because it will automatically roll back on \
         exceptions, and because it interacts correctly with Durable Objects' automatic atomic \
         write coalescing."
    )]
    Transaction,
    /// The call held nothing but blanks and comments.
    #[error("No SQL statements detected.")]
    Empty,
    /// Other than one parameter per placeholder.
    #[error("Wrong number of parameter bindings for SQL query.")]
    Bindings,
    /// A placeholder in a statement that others follow in the same text.
    #[error("When executing multiple SQL statements in a single call, only the last statement can have parameters.")]
    EarlyBindings,
    /// The statements ran for longer than a call may.
    #[error("D1 DB exceeded its CPU time limit and was reset.")]
    TooSlow,
    /// The results are larger than the server holds for one call.
    #[error("the results of one call exceed {RESULT_BYTES_MAX} bytes; ask for fewer rows (LIMIT) or columns")]
    ResultTooLarge,
    /// More statements than one call may have.
    #[error("{0} statements in one call, at most {STATEMENTS_MAX} are allowed; split the batch")]
    TooManyStatements(usize),
    /// The request is not what D1's client sends.
    #[error("{0}")]
    Request(String),
    /// A statement of several; the error is why.
    #[error("statement {number} (line {line}): {error}")]
    Statement {
        /// Which one, from 1.
        number: u64,
        /// The line on which it begins, from 1.
        line: u64,
        /// What is wrong with it.
        error: Box<D1Error>,
    },
    /// A statement of a script is longer than one may be.
    #[error("the statement is longer than {bytes_max} bytes; split it, for example into several INSERTs")]
    StatementTooLong {
        /// The bound.
        bytes_max: usize,
    },
    /// The text of a script cannot be read.
    #[error("the SQL script cannot be read: {0}")]
    Script(String),
    /// The text of an export cannot be written.
    #[error("the export cannot be written: {0}")]
    Export(String),
    /// What an SQL text cannot recreate.
    #[error(
        "cannot export databases with virtual tables ({table}): their data is kept in a form of its own. Drop the table \
         before the export and create it again afterwards, or name the other tables"
    )]
    VirtualTable {
        /// The first one.
        table: String,
    },
    /// The database is gone, and nobody may make an empty one in its place unasked.
    #[error("D1 database {name:?} ({database_id}) was deleted; {advice}")]
    Deleted {
        /// Its last name.
        name: String,
        /// Its id.
        database_id: String,
        /// What can be done.
        advice: &'static str,
    },
    /// No database can be added now.
    #[error(transparent)]
    Stalled(Stall),
    /// Which databases there are cannot be read or changed.
    #[error("the catalogue of databases failed: {0}")]
    Catalogue(String),
    /// The database's file cannot be opened.
    #[error("cannot open D1 database {database_id:?} at {path}: {reason}")]
    Open {
        /// The id the Worker's configuration gives.
        database_id: String,
        /// Where its file is, or would be.
        path: String,
        /// What the system said.
        reason: String,
    },
}

impl D1Error {
    /// Whether there was no room on the disk.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Sql(text) => text.ends_with("SQLITE_FULL"),
            Self::Statement { error, .. } => error.is_disk_full(),
            _ => false,
        }
    }

    /// This error as one of the statement of that number, which begins on that line.
    #[must_use]
    pub fn at(self, number: u64, line: u64) -> Self {
        Self::Statement { number, line, error: Box::new(self) }
    }
}

impl From<SqlError> for D1Error {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::SqliteFailure(failure, _) if failure.code == ErrorCode::OperationInterrupted => Self::TooSlow,
            SqlError::SqliteFailure(failure, message) => {
                Self::Sql(describe(message.as_deref(), None, failure.extended_code))
            }
            SqlError::SqlInputError { error, msg, offset, .. } => {
                let offset = (offset >= 0).then_some(offset);
                Self::Sql(describe(Some(&msg), offset, error.extended_code))
            }
            other => Self::Sql(other.to_string()),
        }
    }
}

/// The form workerd gives an error: `message[ at offset n]: CODE[ (extended: CODE_DETAIL)]`.
fn describe(message: Option<&str>, offset: Option<i32>, extended: i32) -> String {
    let primary = extended & 0xff;
    let message = message.map_or_else(|| ffi::code_to_str(primary).to_owned(), str::to_owned);
    let place = offset.map_or_else(String::new, |offset| format!(" at offset {offset}"));
    let detail = extended_name(extended).map_or_else(String::new, |name| format!(" (extended: {name})"));
    format!("{message}{place}: {}{detail}", primary_name(primary))
}

fn primary_name(code: i32) -> String {
    let name = match code {
        ffi::SQLITE_ERROR => "SQLITE_ERROR",
        ffi::SQLITE_INTERNAL => "SQLITE_INTERNAL",
        ffi::SQLITE_PERM => "SQLITE_PERM",
        ffi::SQLITE_ABORT => "SQLITE_ABORT",
        ffi::SQLITE_BUSY => "SQLITE_BUSY",
        ffi::SQLITE_LOCKED => "SQLITE_LOCKED",
        ffi::SQLITE_NOMEM => "SQLITE_NOMEM",
        ffi::SQLITE_READONLY => "SQLITE_READONLY",
        ffi::SQLITE_IOERR => "SQLITE_IOERR",
        ffi::SQLITE_CORRUPT => "SQLITE_CORRUPT",
        ffi::SQLITE_FULL => "SQLITE_FULL",
        ffi::SQLITE_CANTOPEN => "SQLITE_CANTOPEN",
        ffi::SQLITE_SCHEMA => "SQLITE_SCHEMA",
        ffi::SQLITE_TOOBIG => "SQLITE_TOOBIG",
        ffi::SQLITE_CONSTRAINT => "SQLITE_CONSTRAINT",
        ffi::SQLITE_MISMATCH => "SQLITE_MISMATCH",
        ffi::SQLITE_MISUSE => "SQLITE_MISUSE",
        ffi::SQLITE_AUTH => "SQLITE_AUTH",
        ffi::SQLITE_RANGE => "SQLITE_RANGE",
        ffi::SQLITE_NOTADB => "SQLITE_NOTADB",
        other => return format!("SQLITE_{other}"),
    };
    name.to_owned()
}

/// Only constraints have details that programs look at.
fn extended_name(code: i32) -> Option<&'static str> {
    match code {
        ffi::SQLITE_CONSTRAINT_CHECK => Some("SQLITE_CONSTRAINT_CHECK"),
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Some("SQLITE_CONSTRAINT_FOREIGNKEY"),
        ffi::SQLITE_CONSTRAINT_NOTNULL => Some("SQLITE_CONSTRAINT_NOTNULL"),
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY => Some("SQLITE_CONSTRAINT_PRIMARYKEY"),
        ffi::SQLITE_CONSTRAINT_ROWID => Some("SQLITE_CONSTRAINT_ROWID"),
        ffi::SQLITE_CONSTRAINT_TRIGGER => Some("SQLITE_CONSTRAINT_TRIGGER"),
        ffi::SQLITE_CONSTRAINT_UNIQUE => Some("SQLITE_CONSTRAINT_UNIQUE"),
        ffi::SQLITE_CONSTRAINT_VTAB => Some("SQLITE_CONSTRAINT_VTAB"),
        ffi::SQLITE_CONSTRAINT_DATATYPE => Some("SQLITE_CONSTRAINT_DATATYPE"),
        _ => None,
    }
}
