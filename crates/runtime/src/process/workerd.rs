//! The workerd executable: found, and of the version this crate was written for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::config::WORKERD_DATE;
use crate::process::SpawnError;

/// How long `workerd --version` may take: far longer than a cold start from a slow disk.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a Worker may load. Cold starts take some 30 ms; large bundles on a busy machine take seconds.
const LOAD_TIMEOUT: Duration = Duration::from_secs(15);

/// A workerd executable whose version was checked.
#[derive(Debug, Clone)]
pub struct Workerd {
    path: PathBuf,
    load_timeout: Duration,
}

impl Workerd {
    /// Asks the executable at `path` for its version.
    ///
    /// Fails with [`SpawnError::WorkerdMissing`] where it cannot be run and with [`SpawnError::WorkerdVersion`] where it
    /// says anything but the pinned version.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, SpawnError> {
        let path = path.into();
        let mut command = Command::new(&path);
        command.arg("--version").kill_on_drop(true);
        let missing = |reason: String| SpawnError::WorkerdMissing { path: path.clone(), reason };
        let output = tokio::time::timeout(VERSION_TIMEOUT, command.output()).await;
        let output = output.map_err(|_| missing("it does not answer --version".to_owned()))?;
        let output = output.map_err(|error| missing(error.to_string()))?;
        let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if found == format!("workerd {WORKERD_DATE}") {
            return Ok(Self { path, load_timeout: LOAD_TIMEOUT });
        }
        Err(SpawnError::WorkerdVersion { path, found })
    }

    /// The same executable with another bound on how long a Worker may load than the 15 s it has otherwise.
    pub fn with_load_timeout(self, load_timeout: Duration) -> Self {
        Self { load_timeout, ..self }
    }

    /// How long a Worker may load.
    pub fn load_timeout(&self) -> Duration {
        self.load_timeout
    }

    /// Path of the executable.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
