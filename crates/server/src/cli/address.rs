//! The flags of every command that speaks to a server, and what the environment adds to them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use super::CliError;
use super::client::Client;
use super::connection::{Connection, Decision, Environment, Layer, TokenSource, decide};
use super::profiles::UserProfiles;

pub use crate::accounts::ACCOUNT_ID;
pub use crate::auth::OPERATOR_TOKEN_FILE;

/// The heading of these flags in the help.
pub const HEADING: &str = "Server";

/// Which server, and as whom.
#[derive(Debug, Clone, Default, Args)]
pub struct ServerAddress {
    /// Where the server's API listens (or STEPWELL_API) [default: http://127.0.0.1:8788]
    #[arg(long, value_name = "URL", global = true, help_heading = HEADING)]
    pub api: Option<String>,
    /// The server's token (better: STEPWELL_TOKEN or a profile); `stepwell dev` wants none
    #[arg(long, value_name = "TOKEN", global = true, help_heading = HEADING)]
    pub token: Option<String>,
    /// The data directory of a server on this machine, where the operator's token is read (or STEPWELL_DATA)
    #[arg(long, value_name = "DIR", global = true, help_heading = HEADING)]
    pub data: Option<PathBuf>,
    /// A profile of `stepwell login` (or STEPWELL_PROFILE)
    #[arg(long, value_name = "NAME", global = true, help_heading = HEADING)]
    pub profile: Option<String>,
    /// The account on the server (or STEPWELL_ACCOUNT)
    #[arg(long, value_name = "ID", global = true, help_heading = HEADING)]
    pub account: Option<String>,
}

impl ServerAddress {
    /// A client of the server that is meant.
    ///
    /// # Errors
    /// When the address is none, the profile is unknown, or a file cannot be read.
    pub fn client(&self) -> Result<Client, CliError> {
        Client::connect(&self.connection()?)
    }

    /// The server that is meant, its token in hand.
    ///
    /// # Errors
    /// When the profile is unknown, or a file cannot be read.
    pub fn connection(&self) -> Result<Connection, CliError> {
        let flags = Layer {
            api: self.api.clone(),
            token: self.token.clone(),
            data: self.data.clone(),
            profile: self.profile.clone(),
            account: self.account.clone(),
        };
        let Decision { url, token, account, origin } = decide(flags, environment(), &UserProfiles)?;
        let token = match token {
            TokenSource::None => None,
            TokenSource::Given(token) => Some(token),
            TokenSource::DataDirectory(data) => Some(operator_token(&data)?),
        };
        Ok(Connection { url, token, account, origin })
    }
}

fn environment() -> Environment {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let own = Layer {
        api: variable("STEPWELL_API"),
        token: variable("STEPWELL_TOKEN"),
        data: env::var_os("STEPWELL_DATA").filter(|value| !value.is_empty()).map(PathBuf::from),
        profile: variable("STEPWELL_PROFILE"),
        account: variable("STEPWELL_ACCOUNT"),
    };
    let cloudflare = Layer {
        api: variable("CLOUDFLARE_API_BASE_URL"),
        token: variable("CLOUDFLARE_API_TOKEN"),
        account: variable("CLOUDFLARE_ACCOUNT_ID"),
        ..Layer::default()
    };
    Environment { own, cloudflare }
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
