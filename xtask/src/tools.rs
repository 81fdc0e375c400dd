//! workerd and esbuild for the stages and the example. The binary knows which versions it wants and how to
//! install them, so it is asked; only the paths it answers are used here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::project;

const WORKERD_VARIABLE: &str = "STEPWELL_WORKERD";
const ESBUILD_VARIABLE: &str = "STEPWELL_ESBUILD";

/// The installed tools.
pub struct Tools {
    workerd: PathBuf,
    esbuild: PathBuf,
}

impl Tools {
    /// Tells a command, and what it starts, where the tools are.
    pub fn set<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env(WORKERD_VARIABLE, &self.workerd).env(ESBUILD_VARIABLE, &self.esbuild)
    }

    /// The bundler.
    pub fn esbuild(&self) -> &Path {
        &self.esbuild
    }
}

/// Builds the binary and lets `stepwell setup` install what is missing.
///
/// # Errors
/// The build or the installation fails.
pub fn install() -> Result<Tools> {
    let answer = project::read(project::command(build()?).args(["setup", "--json"]))?;
    let answer: serde_json::Value =
        serde_json::from_str(&answer).with_context(|| format!("`stepwell setup --json` answered {answer:?}"))?;
    let path = |tool: &str| {
        let path = answer[tool].as_str().with_context(|| format!("`stepwell setup --json` names no {tool}"))?;
        anyhow::Ok(PathBuf::from(path))
    };
    let tools = Tools { workerd: path("workerd")?, esbuild: path("esbuild")? };
    println!("workerd {}\nesbuild {}", tools.workerd.display(), tools.esbuild.display());
    Ok(tools)
}

/// Builds `stepwell` without optimisation and answers the binary's path.
///
/// # Errors
/// The build fails.
pub fn build() -> Result<PathBuf> {
    build_as(&[], "debug")
}

/// Builds `stepwell` with optimisation and answers the binary's path.
///
/// # Errors
/// The build fails.
pub fn build_release() -> Result<PathBuf> {
    build_as(&["--release"], "release")
}

fn build_as(profile: &[&str], directory: &str) -> Result<PathBuf> {
    let mut build = project::cargo();
    build.args(["build", "--package", "stepwell", "--bin", "stepwell"]).args(profile).args(project::features());
    project::succeed(&mut build)?;
    let binary = Path::new("stepwell").with_extension(std::env::consts::EXE_EXTENSION);
    Ok(project::target_directory()?.join(directory).join(binary))
}
