//! Which project of a `dev` server brings which name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::projects::Built;

/// Which project brings a Worker or a workflow: each name is one on a server, and the second would take it over.
#[derive(Default)]
pub(super) struct Owners(HashMap<String, PathBuf>);

impl Owners {
    pub fn claim(&mut self, built: &Built) -> anyhow::Result<()> {
        let settings = &built.script.settings;
        self.claim_name(format!("Worker {:?}", settings.script.name), &built.config.path)?;
        for workflow in &settings.workflows {
            self.claim_name(format!("workflow {:?}", workflow.name), &built.config.path)?;
        }
        Ok(())
    }

    fn claim_name(&mut self, name: String, path: &Path) -> anyhow::Result<()> {
        match self.0.entry(name.clone()).or_insert_with(|| path.to_owned()) {
            owner if owner == path => Ok(()),
            other => bail!("{} and {} both define the {name}: rename one", other.display(), path.display()),
        }
    }
}
