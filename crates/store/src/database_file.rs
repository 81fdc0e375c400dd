//! The file of an open database, and whether it still stands at its path.
//!
//! A file that is removed or moved away goes on to take what is written to it, and nobody finds it there after a restart.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A file by its path, and by the device and number that it had when it was opened.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseFile {
    pub path: PathBuf,
    identity: (u64, u64),
}

impl DatabaseFile {
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }

    /// False only where that is certain.
    pub fn is_in_place(&self) -> bool {
        match identity(&self.path) {
            Ok(found) => found == self.identity,
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
