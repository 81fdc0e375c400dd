//! Puts the pinned packages into a directory with `npm ci`: into a neighbour first, then renamed into place, so that a
//! directory with the final name is always complete. A lock file beside it lets one process install while others wait.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{ESBUILD_VERSION, PACKAGE_JSON, PACKAGE_LOCK, Platform, ToolsError, WORKERD_VERSION};

/// npm's own summary is about this long; more hides it.
const ERROR_LINES_MAX: usize = 12;

pub(super) fn install(
    npm: &OsStr,
    directory: &Path,
    platform: Platform,
    progress: &mut dyn FnMut(&str),
) -> Result<(), ToolsError> {
    let parent = directory.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(at(parent))?;
    let _held = lock(&directory.with_extension("lock"), progress)?;
    if platform.tools_in(directory).is_some() {
        return Ok(());
    }
    progress(&format!(
        "Installing workerd {WORKERD_VERSION} and esbuild {ESBUILD_VERSION} from npm into {} (once, about 170 MB)",
        directory.display()
    ));
    let staging = tempfile::Builder::new().prefix(".installing-").tempdir_in(parent).map_err(at(parent))?;
    write_package(staging.path())?;
    run_npm(npm, staging.path(), directory)?;
    move_into_place(staging.path(), directory)
}

fn lock(path: &Path, progress: &mut dyn FnMut(&str)) -> Result<File, ToolsError> {
    let file = File::create(path).map_err(at(path))?;
    if file.try_lock().is_err() {
        progress("Waiting for another Stepwell that is installing workerd and esbuild");
        file.lock().map_err(at(path))?;
    }
    Ok(file)
}

fn write_package(staging: &Path) -> Result<(), ToolsError> {
    for (name, text) in [("package.json", PACKAGE_JSON), ("package-lock.json", PACKAGE_LOCK)] {
        let path = staging.join(name);
        fs::write(&path, text).map_err(at(&path))?;
    }
    Ok(())
}

/// Install scripts stay off: the packages need none, and it is one thing less that runs foreign code.
fn run_npm(npm: &OsStr, staging: &Path, directory: &Path) -> Result<(), ToolsError> {
    let output = Command::new(npm)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--include=optional"])
        .current_dir(staging)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(ToolsError::NpmMissing),
        other => other.map_err(at(Path::new(npm)))?,
    };
    if output.status.success() {
        return Ok(());
    }
    Err(ToolsError::NpmFailed { directory: directory.to_owned(), last_lines: last_lines(&output.stderr) })
}

fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(ERROR_LINES_MAX)..].join("\n")
}

/// What is there under the final name is incomplete (the caller has looked), so it gives way.
fn move_into_place(staging: &Path, directory: &Path) -> Result<(), ToolsError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(directory)(error)),
        _ => {}
    }
    fs::rename(staging, directory).map_err(at(directory))
}

fn at(path: &Path) -> impl Fn(io::Error) -> ToolsError + '_ {
    move |cause| ToolsError::Io { path: path.to_owned(), cause }
}
