//! Where the server is, and what it wants to see.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use super::CliError;
use super::client::Client;

pub use crate::accounts::ACCOUNT_ID;
pub use crate::auth::OPERATOR_TOKEN_FILE;

const DEFAULT_API: &str = "http://127.0.0.1:8788";

/// The flags of every command that speaks to a server.
#[derive(Debug, Clone, Args)]
pub struct ServerAddress {
    /// Where the server's API listens
    #[arg(long, env = "STEPWELL_API", default_value = DEFAULT_API, value_name = "URL", global = true)]
    pub api: String,
    /// The server's token; `stepwell dev` wants none
    #[arg(long, env = "STEPWELL_TOKEN", hide_env_values = true, value_name = "TOKEN", global = true)]
    pub token: Option<String>,
    /// The data directory of a server on this machine, where the operator's token is read
    #[arg(long, env = "STEPWELL_DATA", value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
}

impl ServerAddress {
    /// A client of that server.
    ///
    /// # Errors
    /// When the address is none, or the token's file cannot be read.
    pub fn client(&self) -> Result<Client, CliError> {
        Client::new(&self.api, self.token()?)
    }

    /// The token given, or else the operator's of the data directory given.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn token(&self) -> Result<Option<String>> {
        match (&self.token, &self.data) {
            (Some(token), _) => Ok(Some(token.clone())),
            (None, Some(data)) => operator_token(data).map(Some),
            (None, None) => Ok(None),
        }
    }
}

fn operator_token(data: &Path) -> Result<String> {
    let file = data.join(OPERATOR_TOKEN_FILE);
    let text = fs::read_to_string(&file).with_context(|| {
        format!(
            "cannot read the operator's token in {}; a server writes it when it first starts with `stepwell serve --data {}`, \
             for its own user to read",
            file.display(),
            data.display()
        )
    })?;
    let token = text.trim().to_owned();
    ensure!(!token.is_empty(), "{} is empty; give the token with STEPWELL_TOKEN or --token", file.display());
    Ok(token)
}
