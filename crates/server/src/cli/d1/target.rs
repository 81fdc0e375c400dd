//! Which database a command is about: the one of a binding or a name in the wrangler configuration at hand, or else the one
//! that the server knows by that id or name.

use std::path::{Path, PathBuf};

use clap::Args;

use super::super::{CliError, error, warn};
use crate::project::{ConfigError, D1Config, ProjectConfig};

const MIGRATIONS_DIRECTORY: &str = "migrations";
const MIGRATIONS_TABLE: &str = "d1_migrations";

/// The flags that say where the configuration is, as in wrangler.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// The wrangler configuration, or its directory
    #[arg(long, short, value_name = "FILE", default_value = ".", global = true)]
    config: PathBuf,
    /// The environment of the configuration, as in [env.NAME]
    #[arg(long, short, value_name = "NAME", global = true)]
    env: Option<String>,
    /// Use the server's database, as is always done: for lines that were written for wrangler
    #[arg(long, global = true)]
    remote: bool,
    /// Refused: wrangler's own database in a project's directory is none of the server's
    #[arg(long, global = true, hide = true)]
    local: bool,
}

/// A database that is meant.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// What the server is asked for.
    pub database: String,
    /// Where its migrations are.
    pub migrations: PathBuf,
    /// The table in which those are noted that were applied.
    pub migrations_table: String,
}

impl TargetArgs {
    /// Refuses what cannot be meant here.
    ///
    /// # Errors
    /// For `--local`.
    pub fn check(&self) -> Result<(), CliError> {
        if self.local {
            let message = "--local: Stepwell has no databases beside those of a server, of which `stepwell dev` is one; leave \
                           --local out, and name another server with --api";
            return Err(CliError::Usage(message.to_owned()));
        }
        Ok(())
    }

    /// The database that a person named.
    ///
    /// # Errors
    /// The name is empty, or there is a configuration that cannot be read.
    pub fn find(&self, named: &str) -> Result<Target, CliError> {
        if named.is_empty() {
            return Err(CliError::Usage("the name of a database cannot be empty".to_owned()));
        }
        let configured = match ProjectConfig::d1_databases(&self.config, self.env.as_deref()) {
            Ok((configured, warnings)) => {
                warnings.iter().for_each(|warning| warn(warning));
                configured
            }
            // Databases need no project, unless one was named.
            Err(ConfigError::Missing { .. }) if self.config == Path::new(".") && self.env.is_none() => Vec::new(),
            Err(other) => return Err(error::told(other)),
        };
        Ok(choose(named, configured, &self.directory()))
    }

    fn directory(&self) -> PathBuf {
        let parent = || self.config.parent().map_or_else(PathBuf::new, Path::to_owned);
        if self.config.is_file() { parent() } else { self.config.clone() }
    }
}

/// A binding comes before a name, as in wrangler.
fn choose(named: &str, configured: Vec<D1Config>, directory: &Path) -> Target {
    let by_binding = configured.iter().position(|database| database.binding == named);
    let by_name = || configured.iter().position(|database| database.database_name.as_deref() == Some(named));
    let by_id = || configured.iter().position(|database| database.database_id == named);
    match by_binding.or_else(by_name).or_else(by_id).and_then(|place| configured.into_iter().nth(place)) {
        Some(D1Config { database_id, migrations_dir, migrations_table, .. }) => Target {
            database: database_id,
            migrations: migrations_dir,
            migrations_table: migrations_table.unwrap_or_else(|| MIGRATIONS_TABLE.to_owned()),
        },
        None => Target {
            database: named.to_owned(),
            migrations: directory.join(MIGRATIONS_DIRECTORY),
            migrations_table: MIGRATIONS_TABLE.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(binding: &str, name: Option<&str>, id: &str) -> D1Config {
        D1Config {
            binding: binding.to_owned(),
            database_name: name.map(str::to_owned),
            database_id: id.to_owned(),
            migrations_dir: format!("/of/{id}").into(),
            migrations_table: None,
        }
    }

    #[test]
    fn a_database_is_meant_by_its_binding_its_name_or_its_id() {
        let all = || vec![configured("DB", Some("shop"), "1"), configured("shop", None, "2")];
        for (named, database, migrations) in
            [("DB", "1", "/of/1"), ("shop", "2", "/of/2"), ("1", "1", "/of/1"), ("other", "other", "/here/migrations")]
        {
            let target = choose(named, all(), Path::new("/here"));
            assert_eq!((target.database.as_str(), target.migrations.as_path()), (database, Path::new(migrations)));
        }
    }

    #[test]
    fn no_project_is_needed_unless_one_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let named = TargetArgs { config: directory.path().to_owned(), env: None, remote: false, local: false };
        assert!(named.find("shop").is_err());
        std::fs::write(
            directory.path().join("wrangler.toml"),
            "[[d1_databases]]\nbinding = \"DB\"\ndatabase_id = \"x\"\n",
        )
        .expect("written");
        assert_eq!(named.find("DB").expect("a database").database, "x");
    }
}
