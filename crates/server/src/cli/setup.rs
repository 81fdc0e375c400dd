//! `stepwell setup`: workerd and esbuild, ready before they are needed.

use clap::Args;
use serde_json::json;

use super::screen::Screen;
use super::{CliError, ExitCode, error};
use crate::tools::{ESBUILD_VERSION, Tools, WORKERD_RELEASE};

/// Install the pinned workerd and esbuild, or check that they are there
///
/// With --json, only {"workerd":"/path","esbuild":"/path"} is printed; progress goes to standard error.
#[derive(Debug, Args)]
pub struct SetupArgs {}

impl SetupArgs {
    pub fn run(&self, screen: &Screen) -> Result<ExitCode, CliError> {
        let tools = ensure_tools()?;
        screen.show(&json!({ "workerd": tools.workerd, "esbuild": tools.esbuild }), || {
            let (workerd, esbuild) = (tools.workerd.display(), tools.esbuild.display());
            format!("{WORKERD_RELEASE}  {workerd}\nesbuild {ESBUILD_VERSION}      {esbuild}\n")
        })?;
        Ok(ExitCode::Ok)
    }
}

/// The tools, installed where they are missing, with progress on standard error.
///
/// # Errors
/// As [`Tools::ensure`].
pub fn ensure_tools() -> Result<Tools, CliError> {
    Tools::ensure(&mut |line| eprintln!("{line}")).map_err(error::told)
}
