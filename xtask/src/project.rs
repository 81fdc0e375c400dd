//! Where the project is, what files it has, and how a command is run in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, bail, ensure};

/// The directory that holds the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// A command that runs in the project's root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that runs this.
pub fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// What cargo is told of features on this machine: the default ones, or where there is no `make`, those that do without.
pub fn features() -> &'static [&'static str] {
    static HAS_MAKE: LazyLock<bool> = LazyLock::new(|| {
        let has_make = command("make").arg("--version").output().is_ok_and(|made| made.status.success());
        if !has_make {
            eprintln!(
                "No `make` here: built with the system's allocator, which keeps more memory after a flood of instances"
            );
        }
        has_make
    });
    if *HAS_MAKE { &[] } else { &["--no-default-features"] }
}

/// Runs a command to its end, its output going to the terminal.
///
/// # Errors
/// It cannot be started or says that it failed.
pub fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {}", describe(command)))?;
    ensure!(status.success(), "{} failed: {status}", describe(command));
    Ok(())
}

/// Runs a command to its end and answers its standard output; its errors go to the terminal.
///
/// # Errors
/// It cannot be started, says that it failed, or writes what is not text.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("starting {}", describe(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", describe(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} wrote what is not text", describe(command)))
}

/// What cargo says of the workspace's own packages.
///
/// # Errors
/// cargo fails.
pub fn metadata() -> Result<serde_json::Value> {
    let text = read(cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    serde_json::from_str(&text).context("reading cargo metadata")
}

/// Where cargo puts what it builds.
///
/// # Errors
/// cargo fails.
pub fn target_directory() -> Result<PathBuf> {
    let directory = metadata()?["target_directory"].as_str().map(PathBuf::from);
    directory.context("cargo metadata names no target directory")
}

/// The project's own files, relative to its root: what git tracks or would track.
///
/// # Errors
/// git is missing, or this is no git repository.
pub fn files() -> Result<Vec<PathBuf>> {
    let listed = read(command("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let files = listed.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from);
    Ok(files.filter(|path| root().join(path).is_file()).collect())
}

/// Whether a file was written by others or by a program, so that no rule of ours holds for it.
pub fn is_foreign(path: &Path) -> bool {
    path.components().any(|part| matches!(part.as_os_str().to_str(), Some("vendor" | "generated" | "node_modules")))
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
