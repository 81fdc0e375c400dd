//! A look at a database as opening it would find it, for whoever asks what is wrong: nothing is owned, migrated or written, and
//! another process may have it open.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{fault, known_format};
use crate::data_dir::DATABASE_FILE;
use crate::limits::{BUSY_MS, LOOKED_THROUGH_BYTES_MAX};
use crate::{OpenError, ScopedName, Secret};

/// What there is to see.
pub struct Look {
    /// Its format; below [`FORMAT`](super::FORMAT), opening it migrates it.
    pub format: u32,
    /// All secrets, as they are kept.
    pub secrets: Vec<(ScopedName, Secret)>,
}

/// Looks at the database of a data directory; `None` where there is none yet. A small one is read as a whole.
///
/// # Errors
/// [`OpenError`], as of opening it.
pub fn look(dir: &Path) -> Result<Option<Look>, OpenError> {
    let path = dir.join(DATABASE_FILE);
    let Ok(metadata) = path.metadata() else { return Ok(None) };
    let failed = |error: rusqlite::Error| fault::open(&error, dir, &path);
    let db = open(&path).map_err(failed)?;
    db.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(failed)?;
    let format = known_format(&db, dir, &path)?;
    if metadata.len() <= LOOKED_THROUGH_BYTES_MAX {
        let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if found != "ok" {
            return Err(OpenError::Damaged { path, reason: found.replace('\n', " ") });
        }
    }
    let secrets = if format == 0 { Vec::new() } else { secrets(&db).map_err(failed)? };
    Ok(Some(Look { format, secrets }))
}

/// Without a log nobody has it open, and what nobody changes can be read without making one.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let immutable = if Path::new(&log).exists() { "" } else { "?immutable=1" };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{}{immutable}", encoded(path)), flags)
}

fn encoded(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().fold(String::new(), |mut uri, byte| {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push((*byte).into()),
            _ => drop(write!(uri, "%{byte:02X}")),
        }
        uri
    })
}

fn secrets(db: &Connection) -> rusqlite::Result<Vec<(ScopedName, Secret)>> {
    let mut statement = db.prepare("SELECT script, name, value FROM secrets ORDER BY script, name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, Secret { name: row.get(1)?, value: row.get(2)? })))?;
    rows.collect()
}
