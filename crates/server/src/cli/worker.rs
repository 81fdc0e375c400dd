//! Which Worker a command is about: the one that is named, or that of the wrangler configuration at hand.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, warn};
use crate::project::{ConfigError, ProjectConfig};

/// The flags that say it, as in wrangler.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// Name of the Worker [default: that of the wrangler configuration]
    #[arg(long, global = true)]
    name: Option<String>,
    /// The wrangler configuration, or its directory
    #[arg(long, short, value_name = "FILE", default_value = ".", global = true)]
    config: PathBuf,
    /// The environment of the configuration, as in [env.NAME]
    #[arg(long, short, value_name = "NAME", global = true)]
    env: Option<String>,
}

impl WorkerArgs {
    /// The Worker's name. With both, the name is that of the Worker in the environment, as in wrangler.
    ///
    /// # Errors
    /// Where neither a name nor a configuration says it.
    pub fn name(&self) -> Result<String, CliError> {
        match (&self.name, &self.env) {
            (Some(name), _) if name.is_empty() => {
                Err(CliError::Usage("the name of a Worker cannot be empty".to_owned()))
            }
            (Some(name), Some(env)) => Ok(format!("{name}-{env}")),
            (Some(name), None) => Ok(name.clone()),
            (None, env) => {
                let read = ProjectConfig::script_name(&self.config, env.as_deref());
                let (name, warnings) = read.map_err(|error| unnamed(&error))?;
                warnings.iter().for_each(|warning| warn(warning));
                Ok(name)
            }
        }
    }
}

fn unnamed(error: &ConfigError) -> CliError {
    CliError::Usage(format!("{error}\nName the Worker with --name, or its project's directory with --config."))
}
