//! Imports and exports: what takes longer than a request. A file comes or is made, a task works on it, and clients ask how
//! far it is. Each is known to its client by a token that nobody can guess, and is forgotten after an hour.
//!
//! Files lie in one directory, which is emptied when a server starts: what was under way then is over, and a database is
//! as it was before the import, or has all of it.

mod exports;
mod imports;
mod table;

use std::path::Path;

pub use exports::{Export, ExportStage, Exports};
pub use imports::{Import, ImportStage, Imports, Upload};

use super::limits::{IMPORT_BYTES_MAX, TRANSFERS_MAX};

/// Below the databases; no database's file is named so.
pub(super) const DIRECTORY: &str = "@transfers";

/// Why there is no transfer.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Too many are under way or can still be fetched.
    #[error("{TRANSFERS_MAX} imports and exports are under way or can still be fetched; try again later")]
    TooMany,
    /// It was never there, or its time is over.
    #[error("{0}")]
    Unknown(&'static str),
    /// The file is just being uploaded.
    #[error("this file is being uploaded already; wait for that, or begin the import again")]
    Uploading,
    /// The file is too large.
    #[error("the file is larger than {IMPORT_BYTES_MAX} bytes; split it into several")]
    TooLarge,
    /// The file that came is not the one that was announced.
    #[error("the uploaded file has MD5 {found}, and {announced} was announced; upload it again")]
    OtherFile {
        /// Of the file that came.
        found: String,
        /// What its client had said.
        announced: String,
    },
    /// The client broke off.
    #[error("the upload broke off: {0}")]
    BrokenOff(String),
    /// The file cannot be kept.
    #[error("the file cannot be kept: {0}")]
    Disk(#[from] std::io::Error),
}

/// Removes what an earlier server left. What cannot be removed is told and left: it only takes room.
pub(super) fn clear(databases: &Path) {
    let directory = databases.join(DIRECTORY);
    match std::fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, directory = %directory.display(), "files of imports and exports cannot be removed");
        }
        _ => {}
    }
}

fn new_file(directory: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    std::fs::create_dir_all(directory)?;
    tempfile::Builder::new().suffix(".sql").tempfile_in(directory)
}
