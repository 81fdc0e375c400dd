//! Waits for a change of files, and for the quiet after it.
//!
//! The system watches a directory, not its path: when another one takes its place, as `git checkout` and `npm install` have
//! it, its watch is over. So what stands at each path is looked at again, and the watch begun anew.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Editors write a file in several steps; after this long without another change it is taken as done.
const QUIET: Duration = Duration::from_millis(80);
/// How often directories are looked at that were replaced or have come: a moment for a person, and next to no work.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Device and number of a directory: what is watched where its path is not.
type Identity = (u64, u64);

/// Watches the directories of some files. Dropping it ends the watch.
pub struct Watch {
    events: mpsc::UnboundedReceiver<Event>,
    watcher: notify::RecommendedWatcher,
    /// What is watched at each path; nothing where there is no directory now, or its watch is over.
    directories: BTreeMap<PathBuf, Option<Identity>>,
    files: BTreeSet<PathBuf>,
    /// A change has been seen and not been told yet.
    has_changed: bool,
}

impl Watch {
    /// A watch of nothing yet.
    ///
    /// # Errors
    /// Where the system gives no watch.
    pub fn new() -> notify::Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let Ok(event) = event else { return };
            if !event.kind.is_access() {
                // A watch that is gone needs no changes.
                let _ = sender.send(event);
            }
        })?;
        Ok(Self { events, watcher, directories: BTreeMap::new(), files: BTreeSet::new(), has_changed: false })
    }

    /// Watches these files as well: their directories, because editors replace files. A directory stands for all in it.
    pub fn add(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        for file in files {
            let directory = if file.is_dir() { Some(file.as_path()) } else { file.parent() };
            if let Some(directory) = directory
                && !self.directories.contains_key(directory)
            {
                let found = identity(directory);
                if found.is_some() {
                    begin(&mut self.watcher, directory);
                }
                self.directories.insert(directory.to_owned(), found);
            }
            self.files.insert(file);
        }
    }

    /// Resolves when one of the files has changed and nothing more did for a moment. Dropped before, it loses no change.
    pub async fn changed(&mut self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        while !self.has_changed {
            self.has_changed = tokio::select! {
                Some(event) = self.events.recv() => self.concerns(&event),
                _ = look.tick() => self.renew(),
            };
        }
        while let Ok(Some(event)) = tokio::time::timeout(QUIET, self.events.recv()).await {
            self.concerns(&event);
        }
        // Before the files are read: what changes from then on is to be seen.
        self.renew();
        self.has_changed = false;
    }

    /// Whether an event is a change of a watched file. Notes the watches that it ends.
    fn concerns(&mut self, event: &Event) -> bool {
        if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
            for path in &event.paths {
                if let Some(watched) = self.directories.get_mut(path) {
                    *watched = None;
                }
            }
        }
        let is_watched = |path: &PathBuf| {
            self.files.contains(path) || path.parent().is_some_and(|parent| self.files.contains(parent))
        };
        event.need_rescan() || event.paths.iter().any(is_watched)
    }

    /// Watches what stands now at the paths of the directories. Whether any of it is another one than before.
    fn renew(&mut self) -> bool {
        let mut is_other = false;
        for (directory, watched) in &mut self.directories {
            let found = identity(directory);
            if *watched == found {
                continue;
            }
            is_other = true;
            *watched = found;
            // One that was moved away would go on to be told under this path. Most often there is none any more.
            let _ = self.watcher.unwatch(directory);
            if found.is_some() {
                begin(&mut self.watcher, directory);
            }
        }
        is_other
    }
}

fn begin(watcher: &mut notify::RecommendedWatcher, directory: &Path) {
    if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
        tracing::warn!(%error, directory = %directory.display(), "changes here will not be seen");
    }
}

/// Of the directory at a path, if there is one.
fn identity(directory: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(directory).ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}
