//! A copy of the suite's Workers that a run may change: held before a kill, and with what was noted after it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::case::Worker;
use crate::project;

/// What stands for the module of Cloudflare in Workers that are held.
const HELD: (&str, &str) = ("'cloudflare:workers'", "'../held.js'");
/// What their driver is told.
const TOLD: &str = "kill.js";

/// The copy. It is removed with this.
pub struct Projects<'a> {
    directory: TempDir,
    workers: &'a [Worker],
}

impl<'a> Projects<'a> {
    /// Copies all Workers.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn copy(workers: &'a [Worker]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("parity-workers-").tempdir()?;
        for path in files(&project::root().join(super::WORKERS))? {
            fs::copy(&path, directory.path().join(name(&path)?))?;
        }
        Ok(Self { directory, workers })
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Holds all instances but those whose ids begin with one of these.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn hold(&self, unheld: &[&str]) -> Result<()> {
        self.write(|text| text.replace(HELD.0, HELD.1))?;
        self.tell(&json!(unheld), &json!({}))
    }

    /// Holds nothing any more; what instances have noted stands.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn release(&self, journals: &Json) -> Result<()> {
        self.write(|text| text)?;
        self.tell(&json!([]), journals)
    }

    /// Writes each Worker with its code changed.
    fn write(&self, code: impl Fn(String) -> String) -> Result<()> {
        for worker in self.workers {
            let own = self.directory.path().join(&worker.name);
            fs::create_dir_all(&own)?;
            for path in files(&project::root().join(super::WORKERS).join(&worker.name))? {
                fs::write(own.join(name(&path)?), code(fs::read_to_string(&path)?))?;
            }
        }
        Ok(())
    }

    fn tell(&self, unheld: &Json, journals: &Json) -> Result<()> {
        let text = format!("export const unheld = {unheld};\nexport const journals = {journals};\n");
        fs::write(self.directory.path().join(TOLD), text).context(TOLD)
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.is_file());
    Ok(paths)
}

fn name(path: &Path) -> Result<&str> {
    path.file_name().and_then(|name| name.to_str()).with_context(|| path.display().to_string())
}
