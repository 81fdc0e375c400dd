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
    install()?;
    project::succeed(project::command("node").args([
        &format!("{PACKAGE}/node_modules/typescript/bin/tsc"),
        "--project",
        PACKAGE,
    ]))
}

/// Installs the package unless what is installed is what the lock file says.
fn install() -> Result<()> {
    let package = project::root().join(PACKAGE);
    let lock = fs::read(package.join("package-lock.json")).context("reading tools/js-check/package-lock.json")?;
    if fs::read(package.join(STAMP)).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = project::command("npm");
    npm.current_dir(&package).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    project::succeed(&mut npm)?;
    fs::write(package.join(STAMP), lock).context("noting what is installed")
}
