//! Checks the types of the project's own JavaScript with the TypeScript pinned in `tools/js-check`.

use std::fs;

use anyhow::{Context as _, Result};

use crate::project;

const PACKAGE: &str = "tools/js-check";
/// Where the checked files are; its `vendor` is others' code.
const SOURCES: &str = "crates/runtime/js";
/// A copy of the lock file, written when its installation is complete.
const STAMP: &str = "node_modules/.installed-lock";

/// Checks all files, if there are any.
///
/// # Errors
/// npm or the type checker fails.
pub fn check() -> Result<()> {
    let files = project::files()?;
    if !files.iter().any(|path| path.starts_with(SOURCES) && !project::is_foreign(path)) {
        println!("no JavaScript in {SOURCES}");
        return Ok(());
    }
    install(PACKAGE, &["ci"])?;
    project::succeed(project::command("node").args([
        &format!("{PACKAGE}/node_modules/typescript/bin/tsc"),
        "--project",
        PACKAGE,
    ]))
}

/// Installs a package, given by its directory, with this npm command, unless what is installed is what the lock file says.
///
/// # Errors
/// npm fails.
pub fn install(package: &str, npm_command: &[&str]) -> Result<()> {
    let package = project::root().join(package);
    let lock = package.join("package-lock.json");
    let lock = fs::read(&lock).with_context(|| format!("reading {}", lock.display()))?;
    if fs::read(package.join(STAMP)).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = project::command("npm");
    npm.current_dir(&package).args(npm_command).args([
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--loglevel=error",
    ]);
    project::succeed(&mut npm)?;
    fs::write(package.join(STAMP), lock).context("noting what is installed")
}
