//! The data directory: made when missing, and held by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::OpenError;

/// In a data directory.
pub(crate) const DATABASE_FILE: &str = "stepwell.db";

/// A directory that this process has for itself until this is dropped, or the process dies however it may.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Closing it gives up the lock.
    _lock: File,
}

impl DataDir {
    pub fn claim(dir: &Path) -> Result<Self, OpenError> {
        let not_writable =
            |error: std::io::Error| OpenError::NotWritable { dir: dir.into(), reason: error.to_string() };
        if let Some(file) = dir.ancestors().find(|above| above.is_file()) {
            return Err(OpenError::NotADirectory { dir: dir.into(), file: file.into() });
        }
        // What users compute is nobody else's; a directory that is there already keeps the rights its owner chose.
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(not_writable)?;
        let mut options = OpenOptions::new();
        let mut lock =
            options.read(true).write(true).create(true).truncate(false).open(dir.join("lock")).map_err(not_writable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(OpenError::InUse { dir: dir.into(), pid: owner(&mut lock) });
            }
            Err(errno) => return Err(not_writable(errno.into())),
        }
        // The number is for people; a disk too full to hold it takes nothing from the lock.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Self { path: dir.into(), _lock: lock })
    }

    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }
}

fn owner(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
