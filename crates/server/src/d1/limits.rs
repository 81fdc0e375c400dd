//! Every bound of D1 in one place. Those of a statement are D1's own, as workerd sets them; the rest
//! protect the server.

use std::time::Duration;

/// One string, blob or row: D1 says 2 MB, workerd leaves room for the row around it.
pub const VALUE_BYTES_MAX: i32 = 2_200_000;
/// The text of one statement (D1: 100 KB).
pub const STATEMENT_BYTES_MAX: i32 = 100_000;
/// Bound parameters of one statement.
pub const PARAMS_MAX: i32 = 100;
/// Columns of one table or result.
pub const COLUMNS_MAX: i32 = 100;
/// Arms of one `UNION`, `INTERSECT` or `EXCEPT`.
pub const COMPOUND_SELECT_MAX: i32 = 5;
/// Bytes of one `LIKE` or `GLOB` pattern.
pub const LIKE_PATTERN_BYTES_MAX: i32 = 50;
/// Depth of triggers that fire triggers.
pub const TRIGGER_DEPTH_MAX: i32 = 10;
/// The text of a seed script, which is read as one string; SQLite's own bound.
pub const SCRIPT_BYTES_MAX: i32 = 1_000_000_000;

/// The text of one statement of an import: more than D1's, so that a row of the largest size comes back from an export,
/// where its bytes are written in hexadecimal.
pub const IMPORT_STATEMENT_BYTES_MAX: usize = 8 << 20;
/// The file of an import (D1: 5 GiB).
pub const IMPORT_BYTES_MAX: u64 = 5 << 30;
/// Imports and exports that are under way or can still be fetched; each may be a file as large as a database.
pub const TRANSFERS_MAX: usize = 32;
/// How long an upload may take to come, and an export can be fetched (D1: one hour).
pub const TRANSFER_KEPT: Duration = Duration::from_secs(3_600);
/// How long an answer about an import or an export waits for its end, since clients ask again at once.
pub const TRANSFER_WAIT: Duration = Duration::from_secs(5);
/// Databases of an account (D1's limit on the paid plan).
pub const DATABASES_MAX: u64 = 50_000;

/// Statements of one call, since each holds a result until all are done.
pub const STATEMENTS_MAX: usize = 10_000;
/// The values of all results of one call, held in memory until they are sent. Blobs triple as JSON.
pub const RESULT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What a value costs in memory besides its own bytes.
pub const VALUE_OVERHEAD_BYTES: usize = 16;
/// A request's body: a full batch of large values, as arrays of bytes.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long the statements of one call may run (D1: 30 s), because they keep the database to themselves.
pub const CALL_MAX: Duration = Duration::from_secs(30);
/// How often a running statement looks at the clock: about every millisecond.
pub const CLOCK_STEPS: i32 = 100_000;
/// How long to wait for another program that has the file locked, such as the `sqlite3` shell.
pub const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Open databases; each costs some file descriptors and up to 2 MB of page cache.
pub const OPEN_DATABASES_MAX: usize = 64;
/// A database unused for this long is closed.
pub const IDLE_MAX: Duration = Duration::from_secs(60);
