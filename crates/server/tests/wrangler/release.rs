//! Releases of wrangler, and how they are installed: once for each state of the lock file, in cargo's directory for the
//! tests of this package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The npm package with all of them.
const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/wrangler");
const FILES: [&str; 2] = ["package.json", "package-lock.json"];
/// A copy of the lock file, written when its installation is complete.
const STAMP: &str = "installed-lock";

/// A release of wrangler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 3.114, which projects of CruzJS pin.
    V3,
    /// 4.86, the last that runs on Node.js 20.
    V4,
    /// The newest when the lock file was written.
    Newest,
}

impl Release {
    /// As it stands in names of snapshots.
    pub fn name(self) -> &'static str {
        match self {
            Self::V3 => "3.114",
            Self::V4 => "4.86",
            Self::Newest => "newest",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::V3 => "wrangler-3",
            Self::V4 => "wrangler-4-86",
            Self::Newest => "wrangler-4-164",
        }
    }

    /// A command of this release, still without arguments, with nothing of this user's environment but what programs need.
    pub fn command(self, home: &Path) -> tokio::process::Command {
        let installed = &*INSTALLED;
        let mut command = tokio::process::Command::new(node(installed));
        command.arg(installed.join("node_modules").join(self.package()).join("bin/wrangler.js"));
        command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs([("CI", "1"), ("NO_COLOR", "1"), ("TZ", "UTC"), ("LANG", "C.UTF-8")]);
        command.envs([("WRANGLER_SEND_METRICS", "false"), ("WRANGLER_HIDE_BANNER", "true")]);
        // What tells of newer releases must not make output depend on the day: nobody answers there, and what others were
        // answered, which lies among the temporary files, is not seen.
        command.env("npm_config_registry", "http://127.0.0.1:9/").env("TMPDIR", home);
        command.env("NODE_COMPILE_CACHE", installed.join("compiled"));
        command
    }
}

/// Where the releases are.
static INSTALLED: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrangler");
    let lock = fs::read(Path::new(PACKAGE).join("package-lock.json")).expect("the lock file");
    if fs::read(directory.join(STAMP)).is_ok_and(|installed| installed == lock) {
        return directory;
    }
    fs::create_dir_all(&directory).expect("a directory for the releases");
    for file in FILES {
        fs::copy(Path::new(PACKAGE).join(file), directory.join(file)).expect(file);
    }
    // Not `npm ci`, which refuses a lock file without the packages of platforms that a registry does not have.
    let mut npm = Command::new("npm");
    npm.current_dir(&directory).stdin(Stdio::null()).args(["install", "--no-save", "--no-audit", "--no-fund"]);
    let output = npm.args(["--ignore-scripts", "--loglevel=error"]).output().expect("npm can be started");
    assert!(output.status.success(), "npm: {}", String::from_utf8_lossy(&output.stderr));
    fs::write(directory.join(STAMP), lock).expect("a note of what is installed");
    directory
});

fn node(installed: &Path) -> PathBuf {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => panic!("there is no Node.js for {other} among the packages"),
    };
    installed.join(format!("node_modules/node-linux-{architecture}/bin/node"))
}
