//! `stepwell setup`: workerd and esbuild, ready before they are needed.

use clap::Args;
use serde_json::json;

use super::screen::Screen;
use super::{CliError, ExitCode, error};
use crate::tools::{ESBUILD_VERSION, Tools, WORKERD_RELEASE};

/// Install the pinned workerd and esbuild, or check that they are there
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Print only {"workerd":"/path","esbuild":"/path"}; progress goes to standard error
    #[arg(long)]
    json: bool,
}

impl SetupArgs {
    pub fn run(&self, screen: &Screen) -> Result<ExitCode, CliError> {
        let tools = ensure_tools()?;
        if self.json {
            screen.line(&json!({ "workerd": tools.workerd, "esbuild": tools.esbuild }).to_string())?;
        } else {
            screen.line(&format!("{WORKERD_RELEASE}  {}", tools.workerd.display()))?;
            screen.line(&format!("esbuild {ESBUILD_VERSION}      {}", tools.esbuild.display()))?;
        }
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
