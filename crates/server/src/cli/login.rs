//! `stepwell login` and `logout`: a server and its token, checked and kept as a profile.

use std::env;

use clap::Args;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{Ask, Client, base};
use super::profiles::{Profile, ProfileFile, check_name};
use super::screen::Screen;
use super::text::one_line;
use super::{ACCOUNT_ID, CliError, ExitCode, prompt, warn};

/// The name of a profile unless told.
const NAME: &str = "default";
const STANDARD_INPUT: &str = "-";

/// Check a token with a server and keep both as a profile, which is in use from then on
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Where the server's API listens, such as http://127.0.0.1:8788
    url: String,
    /// Read the token from standard input; without this, STEPWELL_TOKEN is taken, or you are asked
    #[arg(long, value_name = "-", value_parser = [STANDARD_INPUT], hide_possible_values = true)]
    token: Option<String>,
    /// Name of the profile
    #[arg(long, default_value = NAME)]
    name: String,
    /// The account on the server [default: the first]
    #[arg(long, value_name = "ID")]
    account: Option<String>,
}

/// Forget a profile with its token
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// Name of the profile [default: the one in use]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    id: String,
}

impl LoginArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        check_name(&self.name)?;
        let url = base(&self.url)?;
        let file = ProfileFile::of_user()?;
        let token = self.checked_token(&url).await?;
        let client = Client::new(&url, token.clone())?;
        let account = account(&client, self.account).await?;
        if token.is_some() && !is_on_this_machine(&url) {
            warn("the token travels to this server unencrypted; reach it through a tunnel or a private network");
        }
        let has_token = token.is_some();
        let profile = Profile::new(url.clone(), token, Some(account.clone()));
        file.change(|profiles| {
            profiles.profiles.insert(self.name.clone(), profile);
            profiles.current = Some(self.name.clone());
            Ok(())
        })?;
        let path = file.path().display().to_string();
        let result =
            json!({ "profile": self.name, "url": url, "account": account, "has_token": has_token, "file": path });
        screen.show(&result, || {
            let token = if has_token { "" } else { ", which wants no token" };
            format!("Logged in to {url}{token}.\nProfile {} is in use now; it is kept in {path}.\n", self.name)
        })?;
        Ok(ExitCode::Ok)
    }

    /// A token that the server takes; none where it wants none.
    async fn checked_token(&self, url: &str) -> Result<Option<String>, CliError> {
        let given = match &self.token {
            Some(_) => Some(prompt::input()?.trim().to_owned()),
            None => env::var("STEPWELL_TOKEN").ok().filter(|token| !token.is_empty()),
        };
        let token = match given {
            Some(token) => token,
            None if is_open(url).await? => return Ok(None),
            None => prompt::hidden(&format!("Token of {url}"))?.ok_or_else(untold)?.trim().to_owned(),
        };
        if token.is_empty() {
            return Err(CliError::Usage("the token is empty".to_owned()));
        }
        verify(&Client::new(url, Some(token.clone()))?).await?;
        Ok(Some(token))
    }
}

fn untold() -> CliError {
    let message = "this server wants a token: pipe it to `stepwell login URL --token -`, or set STEPWELL_TOKEN";
    CliError::Usage(message.to_owned())
}

async fn verify(client: &Client) -> Result<(), CliError> {
    client.ask(Ask::of_server(Method::GET, &["user", "tokens", "verify"])).await.map(|_| ())
}

/// Whether the server lets anybody in, as `dev` does on its own machine.
async fn is_open(url: &str) -> Result<bool, CliError> {
    match verify(&Client::new(url, None)?).await {
        Ok(()) => Ok(true),
        Err(CliError::Unauthorized { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

/// The account that was asked for, if it is one; else the server's first.
async fn account(client: &Client, wanted: Option<String>) -> Result<String, CliError> {
    if let Some(id) = wanted {
        let ask = Ask::of_server(Method::GET, &["accounts", &id]);
        return Ok(client.ask(ask).await?.parse::<Account>()?.id);
    }
    let ask = Ask::of_server(Method::GET, &["accounts"]).query("page", "1");
    let accounts: Vec<Account> = client.ask(ask).await?.parse()?;
    match accounts.as_slice() {
        [only] => Ok(only.id.clone()),
        several if several.iter().any(|account| account.id == ACCOUNT_ID) => Ok(ACCOUNT_ID.to_owned()),
        several => {
            let ids = several.iter().map(|account| one_line(&account.id)).collect::<Vec<_>>().join(", ");
            Err(CliError::Usage(format!("the token is good for these accounts: {ids}; choose one with --account ID")))
        }
    }
}

fn is_on_this_machine(url: &str) -> bool {
    let host = url.parse::<hyper::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl LogoutArgs {
    pub fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let file = ProfileFile::of_user()?;
        let name = file.change(|profiles| {
            let Some(name) = self.name.or_else(|| profiles.current.clone()) else {
                let message = "no profile is in use; `stepwell profiles list` shows which there are";
                return Err(CliError::NotFound(message.to_owned()));
            };
            check_name(&name)?;
            profiles.find(&name)?;
            profiles.profiles.remove(&name);
            profiles.current.take_if(|current| *current == name);
            Ok(name)
        })?;
        screen.show(&json!({ "profile": name }), || {
            format!(
                "Profile {name} has been forgotten, with its token. The server takes the token until it is revoked.\n"
            )
        })?;
        Ok(ExitCode::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stays_on_the_machine_where_the_address_says_so() {
        for url in ["http://127.0.0.1:8788", "http://localhost", "http://[::1]:1", "http://a.localhost:1"] {
            assert!(is_on_this_machine(url), "{url}");
        }
        for url in ["http://10.0.0.1:8788", "http://localhost.example.com", "http://example.com"] {
            assert!(!is_on_this_machine(url), "{url}");
        }
    }
}
