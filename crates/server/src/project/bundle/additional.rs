//! Modules that no import names: with `find_additional_modules` (or `no_bundle`) every file below the base directory that a
//! rule's glob matches is uploaded under its own path, so that the Worker can import it at run time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::{BundleError, Module};
use crate::project::{ModuleKind, ProjectConfig, glob};

/// Directories of tools, never part of a Worker.
const PASSED_OVER: &[&str] = &[".git", ".wrangler", ".stepwell"];

#[derive(Debug)]
pub(super) struct Found {
    pub module: Module,
    pub path: PathBuf,
}

/// All modules of a project that are found by its rules, in the order of their names; the entry is not among them.
pub(super) fn find(project: &ProjectConfig) -> Result<Vec<Found>, BundleError> {
    let mut found = Vec::new();
    if !project.build.find_additional_modules {
        return Ok(found);
    }
    let rules = compiled(project);
    let base = project.build.base_dir.as_deref().or(project.main.parent()).unwrap_or(&project.root);
    let mut paths = Vec::new();
    walk(base, &mut paths)?;
    for path in paths.into_iter().filter(|path| *path != project.main && *path != project.path) {
        let Ok(below) = path.strip_prefix(base) else { continue };
        let name = below.to_string_lossy().replace('\\', "/");
        if let Some((kind, _)) = rules.iter().find(|(_, pattern)| pattern.is_match(&name)) {
            let bytes = super::read(&path)?;
            found.push(Found { module: Module { name, kind: *kind, bytes }, path });
        }
    }
    found.sort_by(|one, other| one.module.name.cmp(&other.module.name));
    Ok(found)
}

fn compiled(project: &ProjectConfig) -> Vec<(ModuleKind, Regex)> {
    let globs = project.build.rules.rules.iter().flat_map(|rule| rule.globs.iter().map(|glob| (rule.kind, glob)));
    globs.map(|(kind, glob)| (kind, Regex::new(&glob::path_pattern(glob)).expect("all is escaped"))).collect()
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<(), BundleError> {
    let at = |cause: io::Error| BundleError::Io { path: directory.to_owned(), cause };
    for entry in fs::read_dir(directory).map_err(at)? {
        let entry = entry.map_err(at)?;
        let path = entry.path();
        if !entry.file_type().map_err(at)?.is_dir() {
            paths.push(path);
        } else if !PASSED_OVER.iter().any(|name| *name == entry.file_name()) {
            walk(&path, paths)?;
        }
    }
    Ok(())
}
