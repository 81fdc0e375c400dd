//! The tables, as numbered migrations. A migration that was released is never edited; a new one is added.

use rusqlite::Connection;

/// Marks a database as ours (`application_id`): "STPW".
pub(super) const APPLICATION_ID: i32 = 0x5354_5057;

/// Format of a database that has had all migrations.
pub const FORMAT: u32 = MIGRATIONS.len() as u32;

const MIGRATIONS: [&str; 7] = [FIRST, RELEASES, STREAMS, SCHEDULES, ACCOUNTS, DATABASES, ENDED];

/// Times are epoch milliseconds, statuses are `Status::number`, names of scripts and workflows are `ScopedName`s, `settings` and `meta` are JSON. What is large comes last
/// in a row, so that what is small is read without it.
const FIRST: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES ('epoch', 0), ('key_max', 0);

    CREATE TABLE scripts (
        name TEXT PRIMARY KEY, current INTEGER NOT NULL, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE deployments (
        id INTEGER PRIMARY KEY AUTOINCREMENT, script TEXT NOT NULL, content_id TEXT NOT NULL,
        created_at INTEGER NOT NULL, settings TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX deployments_by_content ON deployments (script, content_id);

    CREATE TABLE deployment_modules (
        deployment INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
        hash TEXT NOT NULL, PRIMARY KEY (deployment, position)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX deployment_modules_by_hash ON deployment_modules (hash);

    CREATE TABLE modules (hash TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;

    CREATE TABLE workflows (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, script TEXT NOT NULL,
        class_name TEXT NOT NULL, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL, settings TEXT NOT NULL
    ) STRICT;

    CREATE TABLE instances (
        key INTEGER PRIMARY KEY, workflow INTEGER NOT NULL, status INTEGER NOT NULL, deployment INTEGER NOT NULL,
        wake_at INTEGER, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL, started_at INTEGER,
        ended_at INTEGER, id TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX instances_by_id ON instances (workflow, id);
    CREATE INDEX instances_by_creation ON instances (workflow, created_at);
    CREATE INDEX instances_by_status ON instances (workflow, status, created_at);
    CREATE INDEX instances_by_wake ON instances (wake_at) WHERE wake_at IS NOT NULL;

    CREATE TABLE entries (
        instance INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL, at INTEGER NOT NULL,
        value_bytes INTEGER NOT NULL, meta TEXT NOT NULL, value TEXT, exact TEXT, PRIMARY KEY (instance, seq)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE instance_counts (
        workflow INTEGER NOT NULL, status INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (workflow, status)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE live_counts (deployment INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;

    CREATE TABLE garbage (instance INTEGER PRIMARY KEY) STRICT;

    CREATE TABLE secrets (
        script TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (script, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE tokens (
        hash TEXT PRIMARY KEY, label TEXT NOT NULL, scopes TEXT NOT NULL, created_at INTEGER NOT NULL,
        expires_at INTEGER
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE logs (
        instance INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, call INTEGER, level TEXT NOT NULL,
        text TEXT NOT NULL, PRIMARY KEY (instance, number)
    ) STRICT, WITHOUT ROWID;
";

/// What became current, and what belongs to a script and to none of its deployments.
const RELEASES: &str = "
    CREATE TABLE releases (
        number INTEGER PRIMARY KEY AUTOINCREMENT, script TEXT NOT NULL, deployment INTEGER NOT NULL, at INTEGER NOT NULL,
        note TEXT NOT NULL
    ) STRICT;
    CREATE INDEX releases_by_script ON releases (script, number);
    CREATE INDEX releases_by_deployment ON releases (deployment);
    INSERT INTO releases (script, deployment, at, note) SELECT name, current, modified_at, '{}' FROM scripts;
    ALTER TABLE scripts ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
";

/// `state` is `StreamState`. A stream's pieces are numbered from 0.
const STREAMS: &str = "
    CREATE TABLE streams (
        id INTEGER PRIMARY KEY AUTOINCREMENT, instance INTEGER NOT NULL, state INTEGER NOT NULL,
        chunks INTEGER NOT NULL, bytes INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX streams_by_instance ON streams (instance);
    CREATE INDEX streams_not_kept ON streams (state) WHERE state <> 1;

    CREATE TABLE stream_chunks (
        stream INTEGER NOT NULL, number INTEGER NOT NULL, chunk BLOB NOT NULL, PRIMARY KEY (stream, number)
    ) STRICT, WITHOUT ROWID;
";

/// Up to when each schedule has been looked at. Of an instance that has ended, `wake_at` says from now on when it is to go.
const SCHEDULES: &str = "
    CREATE TABLE schedules (
        workflow INTEGER NOT NULL, cron TEXT NOT NULL, considered_at INTEGER NOT NULL, PRIMARY KEY (workflow, cron)
    ) STRICT, WITHOUT ROWID;
";

/// Accounts besides the default one, whose number is 0, and whose tokens are whose: an absent account is every account.
/// Names of scripts and workflows are texts of `ScopedName`, which those of the default account always were.
const ACCOUNTS: &str = "
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, public_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL
    ) STRICT;
    ALTER TABLE tokens ADD COLUMN id TEXT NOT NULL DEFAULT '';
    ALTER TABLE tokens ADD COLUMN account INTEGER;
    UPDATE tokens SET id = substr(hash, 1, 32);
    CREATE UNIQUE INDEX tokens_by_id ON tokens (id);
";

/// D1 databases; `origin` is `DatabaseOrigin`. A deleted one keeps its id and frees its name.
const DATABASES: &str = "
    CREATE TABLE databases (
        account INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, origin INTEGER NOT NULL,
        created_at INTEGER NOT NULL, deleted_at INTEGER, settings TEXT NOT NULL, PRIMARY KEY (account, id)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX databases_by_name ON databases (account, name) WHERE deleted_at IS NULL;
    CREATE INDEX databases_by_creation ON databases (account, created_at DESC, id) WHERE deleted_at IS NULL;
";

/// Of instances that ended before there was a time at which they are to go, the engine is still to say it. It finds them by the
/// time of their end; those that stay for ever it leaves as they were.
const ENDED: &str = "UPDATE instances SET wake_at = ended_at WHERE wake_at IS NULL AND ended_at IS NOT NULL;";

/// What a database is before it is migrated.
pub(super) enum Found {
    /// One of this format or an older one; 0 is an empty file.
    Known(u32),
    /// A newer one.
    Newer(u32),
    /// Somebody else's.
    Foreign,
}

pub(super) fn inspect(connection: &Connection) -> rusqlite::Result<Found> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, format) {
        (0, 0) if tables == 0 => Found::Known(0),
        (APPLICATION_ID, format) if format > FORMAT => Found::Newer(format),
        (APPLICATION_ID, format) => Found::Known(format),
        _ => Found::Foreign,
    })
}

/// Each migration is a transaction of its own, so that one that fails leaves the format before it.
pub(super) fn migrate(connection: &Connection, from: u32) -> rusqlite::Result<()> {
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(from as usize) {
        let format = index + 1;
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {migration}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {format}; COMMIT;"
        ))?;
    }
    Ok(())
}
