//! Waits for a change of files, and for the quiet after it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Editors write a file in several steps; after this long without another change it is taken as done.
const QUIET: Duration = Duration::from_millis(80);

/// Watches the directories of some files. Dropping it ends the watch.
pub struct Watch {
    changes: mpsc::UnboundedReceiver<PathBuf>,
    watcher: notify::RecommendedWatcher,
    directories: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
}

impl Watch {
    /// A watch of nothing yet.
    ///
    /// # Errors
    /// Where the system gives no watch.
    pub fn new() -> notify::Result<Self> {
        let (sender, changes) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if event.kind.is_access() {
                return;
            }
            for path in event.paths {
                // A watch that is gone needs no changes.
                let _ = sender.send(path);
            }
        })?;
        Ok(Self { changes, watcher, directories: BTreeSet::new(), files: BTreeSet::new() })
    }

    /// Watches these files as well: their directories, because editors replace files. A directory stands for all in it.
    pub fn add(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        for file in files {
            let directory = if file.is_dir() { Some(file.as_path()) } else { file.parent() };
            if let Some(directory) = directory {
                self.add_directory(directory);
            }
            self.files.insert(file);
        }
    }

    fn add_directory(&mut self, directory: &Path) {
        if self.directories.contains(directory) {
            return;
        }
        match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.directories.insert(directory.to_owned());
            }
            Err(error) => tracing::warn!(%error, directory = %directory.display(), "changes here will not be seen"),
        }
    }

    /// Resolves when one of the files has changed and nothing more did for a moment.
    pub async fn changed(&mut self) {
        while let Some(path) = self.changes.recv().await {
            if self.concerns(&path) {
                break;
            }
        }
        while let Ok(Some(_)) = tokio::time::timeout(QUIET, self.changes.recv()).await {}
    }

    fn concerns(&self, path: &Path) -> bool {
        self.files.contains(path) || path.parent().is_some_and(|parent| self.files.contains(parent))
    }
}
