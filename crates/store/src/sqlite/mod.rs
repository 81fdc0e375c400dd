//! SQLite: one file that a user can open and copy.
//!
//! Write-ahead log, one writing connection, reading connections beside it. The log is copied into the database by us
//! and not by SQLite's own hook, which would hide a failed sync.

mod catalog_read;
mod catalog_write;
mod databases;
mod fault;
mod look;
mod read;
mod schema;
mod scoped_name;
mod streams;
mod tails;
mod write;

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};
use stepwell_engine::{Batch, InstanceKey};

use self::tails::Tails;
use crate::OpenError;
use crate::backend::{Backend, Fault, Reader};
use crate::counters::Deltas;
use crate::data_dir::DataDir;
use crate::database_file::DatabaseFile;
use crate::limits::{BUSY_MS, READER_CACHE_KIB, WAL_PAGES_MAX, WRITER_CACHE_KIB};

pub use look::{Look, look};
pub use schema::FORMAT;

/// How much a crash can take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was acknowledged.
    #[default]
    Full,
    /// The last commits, where the machine loses power or its kernel dies. What was acknowledged survives the death of
    /// the process.
    MayLoseLastCommitsOnPowerLoss,
}

/// How to open a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// How much a crash can take.
    pub durability: Durability,
}

/// The writing connection of a data directory that this process has for itself.
pub struct Sqlite {
    connection: Connection,
    file: DatabaseFile,
    /// Which ownership of the database this is.
    epoch: i64,
    /// Of the transaction.
    deltas: Deltas,
    /// Rows that the connection had changed when the transaction began.
    changes_before: u64,
    tails: Tails,
    /// Dropped after the connection, so that nobody comes in while it closes.
    _dir: DataDir,
}

impl Sqlite {
    /// Claims the directory, migrates the database and takes ownership.
    ///
    /// # Errors
    /// [`OpenError`], each saying what to do.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let claimed = DataDir::claim(dir)?;
        let path = claimed.database();
        let opened = Connection::open(&path).map_err(|error| fault::open(&error, dir, &path))?;
        let connection = prepare(opened, dir, &path, options)?;
        let epoch = take_over(&connection).map_err(|error| fault::open(&error, dir, &path))?;
        streams::drop_all_open(&connection).map_err(|error| fault::open(&error, dir, &path))?;
        let file = DatabaseFile::at(&path).map_err(|error| OpenError::Damaged { path, reason: error.to_string() })?;
        Ok(Self {
            connection,
            file,
            epoch,
            deltas: Deltas::default(),
            changes_before: 0,
            tails: Tails::default(),
            _dir: claimed,
        })
    }
}

impl Sqlite {
    pub(crate) fn file(&self) -> &DatabaseFile {
        &self.file
    }

    fn write_counters(&mut self) -> Result<(), Fault> {
        let deltas = std::mem::take(&mut self.deltas);
        write::count(&self.connection, &deltas).map_err(fault::control)
    }

    /// What is first in a transaction is taken back with it, which costs nothing until it happens: a savepoint keeps a copy
    /// of every page that is changed.
    fn apply_first(&mut self, batch: &Batch) -> Result<(Vec<InstanceKey>, Deltas), Fault> {
        let applied = write::apply(&self.connection, &mut self.tails, batch);
        if matches!(applied, Err(Fault::Fenced(_))) {
            self.rollback();
            self.begin().map_err(fault::of_all)?;
        }
        applied
    }
}

fn prepare(connection: Connection, dir: &Path, path: &Path, options: Options) -> Result<Connection, OpenError> {
    let failed = |error: rusqlite::Error| fault::open(&error, dir, path);
    let format = known_format(&connection, dir, path)?;
    configure(&connection, options).map_err(failed)?;
    schema::migrate(&connection, format).map_err(failed)?;
    Ok(connection)
}

/// The format of a database of ours that this version can read; 0 where there is nothing in it yet.
fn known_format(connection: &Connection, dir: &Path, path: &Path) -> Result<u32, OpenError> {
    match schema::inspect(connection).map_err(|error| fault::open(&error, dir, path))? {
        schema::Found::Known(format) => Ok(format),
        schema::Found::Newer(found) => Err(OpenError::NewerFormat { path: path.into(), found, known: FORMAT }),
        schema::Found::Foreign => {
            Err(OpenError::Damaged { path: path.into(), reason: "another program's database".to_owned() })
        }
    }
}

fn configure(connection: &Connection, options: Options) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::MayLoseLastCommitsOnPowerLoss => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // What a savepoint keeps would otherwise go to a file in another directory, with its own room.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.wal_hook(Some(count_wal_pages));
    Ok(())
}

/// A later owner of a database that is shared against all locks makes every commit of this one fail.
fn take_over(connection: &Connection) -> rusqlite::Result<i64> {
    // By itself, a statement that returns a row gives it before its commit, which can still fail.
    let taking = connection.unchecked_transaction()?;
    taking.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'", [])?;
    let epoch = taking.query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get(0))?;
    taking.commit()?;
    Ok(epoch)
}

thread_local! {
    /// The hook is a plain function that SQLite calls on the committing thread, which belongs to one connection.
    static WAL_PAGES: Cell<i32> = const { Cell::new(0) };
}

fn count_wal_pages(_wal: &Wal, pages: i32) -> rusqlite::Result<()> {
    WAL_PAGES.set(pages);
    Ok(())
}

impl Backend for Sqlite {
    fn reader(&self) -> Result<Box<dyn Reader>, OpenError> {
        let path = &self.file.path;
        let failed = |error: rusqlite::Error| fault::open(&error, path.parent().unwrap_or(path), path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(failed)?;
        connection.pragma_update(None, "cache_size", -READER_CACHE_KIB).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Box::new(SqliteReader { connection }))
    }

    fn begin(&mut self) -> Result<(), Fault> {
        self.deltas = Deltas::default();
        self.changes_before = self.connection.total_changes();
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]))
            .map_err(fault::write)?;
        let sql = "SELECT value FROM meta WHERE name = 'epoch'";
        let epoch: i64 = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut epoch| epoch.query_row([], |row| row.get(0)))
            .map_err(fault::write)?;
        if epoch == self.epoch {
            Ok(())
        } else {
            Err(Fault::Fenced(format!(
                "another process took the database over (ownership {epoch}, not {})",
                self.epoch
            )))
        }
    }

    fn apply(&mut self, batch: &Batch) -> Result<Vec<InstanceKey>, Fault> {
        let is_first = self.connection.total_changes() == self.changes_before;
        let (refused, deltas) = if is_first {
            self.apply_first(batch)?
        } else {
            write::apply_apart(&self.connection, &mut self.tails, batch)?
        };
        self.deltas.merge(deltas);
        Ok(refused)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        self.write_counters()?;
        self.connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).map_err(fault::write)?;
        // Nobody is told that something is kept where a restart would not find it.
        if self.file.is_in_place() { Ok(()) } else { Err(Fault::Gone(self.file.path.clone())) }
    }

    fn rollback(&mut self) {
        self.deltas = Deltas::default();
        self.tails.forget_all();
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.connection.execute_batch("ROLLBACK") {
            tracing::warn!(%error, "a transaction could not be rolled back");
        }
    }

    fn collect_garbage(&mut self) -> Result<bool, Fault> {
        if !write::has_garbage(&self.connection).map_err(fault::write)? {
            return Ok(false);
        }
        self.begin()?;
        write::collect_garbage(&self.connection).map_err(fault::write)?;
        self.commit()?;
        write::has_garbage(&self.connection).map_err(fault::write)
    }

    fn tidy(&mut self) -> Result<(), Fault> {
        if WAL_PAGES.get() < WAL_PAGES_MAX {
            return Ok(());
        }
        WAL_PAGES.set(0);
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(fault::write)
    }

    fn limit_pages(&mut self, pages: u32) -> Result<(), Fault> {
        let sql = format!("PRAGMA max_page_count = {pages}");
        self.connection.query_row(&sql, [], |_| Ok(())).map_err(fault::write)
    }
}

/// A reading connection.
struct SqliteReader {
    connection: Connection,
}
