//! esbuild's metafile: what went in, what came out, what is exported. Only the fields that are used are read.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::BundleError;

#[derive(Debug, Deserialize)]
struct Report {
    inputs: BTreeMap<String, serde::de::IgnoredAny>,
    outputs: BTreeMap<String, Output>,
}

#[derive(Debug, Deserialize, Clone)]
struct Output {
    imports: Vec<Import>,
    exports: Vec<String>,
}

#[derive(Debug, Deserialize, Clone)]
struct Import {
    path: String,
    #[serde(default)]
    external: bool,
}

#[derive(Debug)]
pub(super) struct Metafile {
    inputs: Vec<String>,
    main: Output,
}

impl Metafile {
    pub fn parse(bytes: &[u8], main_module: &str) -> Result<Self, BundleError> {
        let report: Report =
            serde_json::from_slice(bytes).map_err(|error| BundleError::Metafile { detail: error.to_string() })?;
        let main = report.outputs.iter().find(|(path, _)| file_name(path) == main_module);
        let main = main.map(|(_, output)| output.clone());
        let main = main.ok_or_else(|| BundleError::Metafile { detail: format!("it does not name {main_module}") })?;
        let mut inputs: Vec<_> = report.inputs.into_keys().filter_map(|path| real_file(&path)).collect();
        inputs.dedup();
        Ok(Self { inputs, main })
    }

    /// Files that went in, relative to the project.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(String::as_str)
    }

    pub fn exports(&self) -> &[String] {
        &self.main.exports
    }

    /// Each once, as `node:fs`.
    pub fn node_imports(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.external_node().map(|import| import.path.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn external_node(&self) -> impl Iterator<Item = &Import> {
        self.main.imports.iter().filter(|import| import.external && import.path.starts_with("node:"))
    }
}

/// esbuild also names modules that are no files: `(disabled):…`, `<define:…>`.
fn real_file(path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap_or(path);
    (!path.starts_with(['(', '<'])).then(|| path.to_owned())
}

fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}
