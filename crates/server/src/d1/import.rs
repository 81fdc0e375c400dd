//! Running a whole SQL script in a database: statement by statement, in one transaction. Its rows are thrown away.

use std::io::BufRead;
use std::time::Instant;

use rusqlite::Batch;
use rusqlite::limits::Limit;

use super::database::{Database, Meta};
use super::error::D1Error;
use super::limits;
use super::statements::Statements;

/// What a script did.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Statements that ran.
    pub statements: u64,
    /// What they changed together.
    pub meta: Meta,
}

impl Database {
    /// Runs a script in one transaction, which is durable when this returns.
    ///
    /// # Errors
    /// The first statement that fails, with its number and line; then nothing of the script is kept.
    pub fn import(&mut self, script: impl BufRead) -> Result<Imported, D1Error> {
        let longest = i32::try_from(limits::IMPORT_STATEMENT_BYTES_MAX).unwrap_or(i32::MAX);
        self.connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, longest)?;
        let result = self.transaction(|database| database.run_script(script));
        self.connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, limits::STATEMENT_BYTES_MAX)?;
        result
    }

    fn run_script(&self, script: impl BufRead) -> Result<Imported, D1Error> {
        let (begun, before) = (Instant::now(), self.counters()?);
        let mut statements = Statements::new(script, limits::IMPORT_STATEMENT_BYTES_MAX);
        let (mut count, mut rows_read) = (0, 0);
        while let Some(statement) = statements.read_next()? {
            // Each statement may take as long as a call; the script as a whole is bounded by its size.
            self.set_deadline(Some(Instant::now() + limits::CALL_MAX));
            let ran = self.run_unread(&statement.sql);
            rows_read += ran.map_err(|error| error.at(statement.number, statement.line))?;
            count = statement.number;
        }
        if count == 0 {
            return Err(D1Error::Empty);
        }
        Ok(Imported { statements: count, meta: self.meta_since(&before, begun.elapsed(), rows_read)? })
    }

    /// Runs a statement and passes over its rows. Answers how many it read.
    fn run_unread(&self, sql: &str) -> Result<u64, D1Error> {
        self.guard.take_transaction_refused();
        self.guard.take_reads_table();
        let mut rows_read = 0;
        let mut batch = Batch::new(&self.connection, sql);
        while let Some(mut prepared) = self.prepared(&mut batch)? {
            if prepared.parameter_count() > 0 {
                return Err(D1Error::Bindings);
            }
            let reads_table = self.guard.take_reads_table();
            let mut returned = 0;
            let mut cursor = prepared.raw_query();
            while cursor.next()?.is_some() {
                returned += u64::from(reads_table);
            }
            drop(cursor);
            rows_read += Self::rows_scanned(&prepared).max(returned);
        }
        Ok(rows_read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_for_which_there_is_no_room_says_so_and_leaves_the_database_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut database = Database::open(&directory.path().join("db.sqlite")).expect("open");
        database.import(&b"CREATE TABLE t (a);"[..]).expect("an import");
        database.guard.as_server(|| {
            database.connection.pragma_update_and_check(None, "max_page_count", 4, |_| Ok(())).expect("a bound");
        });
        let script = "INSERT INTO t VALUES (zeroblob(1000));\n".repeat(100);
        let error = database.import(script.as_bytes()).expect_err("no room");
        assert!(error.is_disk_full(), "{error}");
        assert!(error.to_string().starts_with("statement "), "{error}");
        let left =
            database.import(&b"INSERT INTO t SELECT 1 WHERE (SELECT count(*) FROM t) > 0;"[..]).expect("an import");
        assert_eq!(left.meta.changes, 0, "nothing was kept");
    }
}
