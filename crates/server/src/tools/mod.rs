//! The two foreign programs that Stepwell needs: workerd, which runs user code, and esbuild, which bundles it; with them the
//! packages that stand in for modules of Node's that workerd does not have at a Worker's date.
//!
//! All come from npm at pinned versions, with the integrity of each package in the lock file that is built into the binary.
//! The programs are native and the packages only bundled, so that nothing needs Node once they are there. What is left out: updating (a new
//! pin is a new directory) and removing old directories.

mod install;

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

/// The version of the workerd package in `tools/package.json`.
pub const WORKERD_VERSION: &str = "1.20261117.1";
/// What `workerd --version` says for [`WORKERD_VERSION`].
pub const WORKERD_RELEASE: &str = "workerd 2026-11-17";
/// The version of esbuild in `tools/package.json`.
pub const ESBUILD_VERSION: &str = "0.28.2";

const PACKAGE_JSON: &str = include_str!("../../../../tools/package.json");
const PACKAGE_LOCK: &str = include_str!("../../../../tools/package-lock.json");
/// Enough of the lock's hash that two pins never share a directory, short enough to read.
const LOCK_HASH_HEX_CHARS: usize = 12;

/// Paths of the two native programs, checked to be of the pinned versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    pub workerd: PathBuf,
    pub esbuild: PathBuf,
}

impl Tools {
    /// Finds the tools without installing anything or starting a process; versions are not checked.
    ///
    /// `STEPWELL_WORKERD` and `STEPWELL_ESBUILD` win over the tools directory.
    #[must_use]
    pub fn locate() -> Option<Self> {
        Sources::from_environment().locate()
    }

    /// Finds the tools, installs what is missing with `npm ci`, and checks both versions.
    ///
    /// `progress` gets lines for the user, and only when something is installed. Blocking: an installation takes seconds.
    /// Several processes may call this at once; one installs and the others wait for it.
    ///
    /// # Errors
    /// When npm is missing or fails, when this platform has no pinned package, or when a program is of another version.
    pub fn ensure(progress: &mut dyn FnMut(&str)) -> Result<Self, ToolsError> {
        Sources::from_environment().ensure(progress)
    }
}

/// The `node_modules` directory with the packages that stand in for Node's modules: that in which `esbuild` is installed, else
/// that of the tools directory. None where they are not installed.
pub(crate) fn polyfills(esbuild: &Path) -> Option<PathBuf> {
    let beside = esbuild.ancestors().filter(|directory| directory.ends_with("node_modules")).map(Path::to_owned);
    let installed = Sources::from_environment().directory().map(|directory| directory.join("node_modules"));
    beside.chain(installed).find(|directory| has_polyfills(directory))
}

fn has_polyfills(modules: &Path) -> bool {
    ["unenv", "@cloudflare/unenv-preset"].iter().all(|package| modules.join(package).is_dir())
}

/// Where tools may come from: the environment, read once so that everything below can be tested.
#[derive(Debug, Default, Clone)]
struct Sources {
    workerd: Option<PathBuf>,
    esbuild: Option<PathBuf>,
    /// Holds one directory per pinned set.
    cache: Option<PathBuf>,
    /// The program called as `npm`.
    npm: OsString,
}

impl Sources {
    fn from_environment() -> Self {
        let path = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = path("STEPWELL_TOOLS")
            .or_else(|| path("XDG_CACHE_HOME").filter(|dir| dir.is_absolute()).map(|dir| dir.join("stepwell")))
            .or_else(|| path("HOME").map(|home| home.join(".cache").join("stepwell")));
        Self { workerd: path("STEPWELL_WORKERD"), esbuild: path("STEPWELL_ESBUILD"), cache, npm: "npm".into() }
    }

    fn locate(&self) -> Option<Tools> {
        let installed = self.directory().and_then(|dir| Platform::current().ok()?.tools_in(&dir));
        let pick = |named: &Option<PathBuf>, installed: Option<&PathBuf>| {
            named.as_ref().filter(|path| path.is_file()).or(installed.filter(|_| named.is_none())).cloned()
        };
        Some(Tools {
            workerd: pick(&self.workerd, installed.as_ref().map(|tools| &tools.workerd))?,
            esbuild: pick(&self.esbuild, installed.as_ref().map(|tools| &tools.esbuild))?,
        })
    }

    fn ensure(&self, progress: &mut dyn FnMut(&str)) -> Result<Tools, ToolsError> {
        self.refuse_missing_overrides()?;
        let tools = match self.locate() {
            Some(tools) => tools,
            None => self.install(progress)?,
        };
        check_version(&tools.workerd, "workerd", WORKERD_RELEASE)?;
        check_version(&tools.esbuild, "esbuild", ESBUILD_VERSION)?;
        Ok(tools)
    }

    fn refuse_missing_overrides(&self) -> Result<(), ToolsError> {
        for (variable, path) in [("STEPWELL_WORKERD", &self.workerd), ("STEPWELL_ESBUILD", &self.esbuild)] {
            if let Some(path) = path.as_ref().filter(|path| !path.is_file()) {
                return Err(ToolsError::OverrideMissing { variable, path: path.clone() });
            }
        }
        Ok(())
    }

    fn install(&self, progress: &mut dyn FnMut(&str)) -> Result<Tools, ToolsError> {
        let platform = Platform::current()?;
        let directory = self.directory().ok_or(ToolsError::NoDirectory)?;
        install::install(&self.npm, &directory, platform, progress)?;
        self.locate().ok_or(ToolsError::Incomplete { directory })
    }

    /// The directory of the pinned set, whether it exists or not.
    fn directory(&self) -> Option<PathBuf> {
        let hash = Sha256::digest(format!("{PACKAGE_JSON}{PACKAGE_LOCK}"));
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.cache.as_ref().map(|cache| cache.join(format!("tools-{}", &hex[..LOCK_HASH_HEX_CHARS])))
    }
}

/// Names of the native packages for one operating system and processor.
#[derive(Debug, Clone, Copy)]
struct Platform {
    workerd_package: &'static str,
    esbuild_package: &'static str,
}

impl Platform {
    fn current() -> Result<Self, ToolsError> {
        match (env::consts::OS, env::consts::ARCH) {
            ("linux", "x86_64") => Ok(Self { workerd_package: "workerd-linux-64", esbuild_package: "linux-x64" }),
            ("linux", "aarch64") => Ok(Self { workerd_package: "workerd-linux-arm64", esbuild_package: "linux-arm64" }),
            (os, arch) => Err(ToolsError::NoPackage { os, arch }),
        }
    }

    fn tools_in(self, directory: &Path) -> Option<Tools> {
        let modules = directory.join("node_modules");
        let tools = Tools {
            workerd: modules.join("@cloudflare").join(self.workerd_package).join("bin/workerd"),
            esbuild: modules.join("@esbuild").join(self.esbuild_package).join("bin/esbuild"),
        };
        (tools.workerd.is_file() && tools.esbuild.is_file() && has_polyfills(&modules)).then_some(tools)
    }
}

/// Runs `program --version` and compares its first line.
fn check_version(program: &Path, tool: &'static str, expected: &'static str) -> Result<(), ToolsError> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| ToolsError::CannotRun { program: program.to_owned(), cause })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().next().unwrap_or_default().trim();
    if found == expected {
        return Ok(());
    }
    Err(ToolsError::WrongVersion { tool, program: program.to_owned(), found: found.to_owned(), expected })
}

/// Why the tools cannot be had; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    #[error(
        "npm is needed once, to install workerd {WORKERD_VERSION} and esbuild {ESBUILD_VERSION}, and was not found.\n\
         Install Node.js (which brings npm), or set STEPWELL_WORKERD and STEPWELL_ESBUILD to programs of these versions."
    )]
    NpmMissing,
    #[error(
        "npm could not install workerd {WORKERD_VERSION} and esbuild {ESBUILD_VERSION} into {}:\n{last_lines}\n\
         Check that this machine reaches the npm registry (`npm ping`), then try again.",
        .directory.display()
    )]
    NpmFailed { directory: PathBuf, last_lines: String },
    #[error(
        "{} is {found}, but this Stepwell is built for {expected}.\n{}",
        .program.display(), WrongVersionAdvice(tool)
    )]
    WrongVersion { tool: &'static str, program: PathBuf, found: String, expected: &'static str },
    #[error("{} cannot be run: {cause}.\nCheck that the file is a program for this machine.", .program.display())]
    CannotRun { program: PathBuf, cause: io::Error },
    #[error("{variable} names {}, which is no file. Correct it, or unset it to use the installed version.", .path.display())]
    OverrideMissing { variable: &'static str, path: PathBuf },
    #[error(
        "npm ended well but left no programs in {}.\nDelete that directory and try again; an `omit=optional` in your npm \
         configuration would also explain it.",
        .directory.display()
    )]
    Incomplete { directory: PathBuf },
    #[error(
        "there is no pinned workerd for {os} on {arch}.\nSet STEPWELL_WORKERD to workerd {WORKERD_VERSION} and \
         STEPWELL_ESBUILD to esbuild {ESBUILD_VERSION} for this machine."
    )]
    NoPackage { os: &'static str, arch: &'static str },
    #[error(
        "neither STEPWELL_TOOLS nor XDG_CACHE_HOME nor HOME is set; set STEPWELL_TOOLS to a directory for workerd and esbuild."
    )]
    NoDirectory,
    #[error("{}: {cause}.\nCheck that the directory is writable, or set STEPWELL_TOOLS to one that is.", .path.display())]
    Io { path: PathBuf, cause: io::Error },
}

struct WrongVersionAdvice<'a>(&'a str);

impl fmt::Display for WrongVersionAdvice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable = format!("STEPWELL_{}", self.0.to_uppercase());
        write!(f, "Unset {variable} to use the pinned one, or delete the tools directory if it is not set.")
    }
}

#[cfg(test)]
mod tests;
