//! `stepwell completions`: what makes a shell complete our commands and flags.

use clap::Args;
use clap_complete::Shell;
use serde_json::json;

use super::screen::Screen;
use super::{CliError, ExitCode, command};

/// Print completions for a shell
///
/// In bash, `source <(stepwell completions bash)` loads them; in fish, `stepwell completions fish | source`; in zsh, after
/// compinit, `source <(stepwell completions zsh)`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    pub fn run(&self, screen: &Screen) -> Result<ExitCode, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "stepwell", &mut script);
        let script = String::from_utf8_lossy(&script);
        screen.show(&json!({ "shell": self.shell.to_string(), "script": script }), || script.clone().into_owned())?;
        Ok(ExitCode::Ok)
    }
}
