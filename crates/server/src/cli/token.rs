//! `stepwell token`: API tokens of an account.

use clap::{Args, Subcommand};
use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use stepwell_engine::duration::parse_ms;

use super::address::ServerAddress;
use super::client::{Ask, Body};
use super::desk::Desk;
use super::screen::{Screen, Tone};
use super::table::{Cell, Table};
use super::text::one_line;
use super::times;
use super::{CliError, ExitCode, prompt};
use crate::auth::Scope;

/// The word for every scope.
const ALL_SCOPES: &str = "all";

/// Make, list and revoke API tokens
#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; it is printed once and then known to nobody else
    Create {
        /// What it is for, for people
        name: String,
        /// What it may do, several with commas; scopes do not include each other
        #[arg(long, required = true, value_delimiter = ',', value_parser = scope_words())]
        scope: Vec<String>,
        /// When it ends, such as "90 days" from now [default: never]
        #[arg(long, value_name = "DURATION")]
        expires_in: Option<String>,
        /// Make it good for every account of the server, not only for this one
        #[arg(long)]
        all_accounts: bool,
    },
    /// List the tokens that can use the account
    List,
    /// End a token at once
    Revoke {
        /// Its id, as `token list` shows it
        id: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

fn scope_words() -> Vec<&'static str> {
    std::iter::once(ALL_SCOPES).chain(Scope::ALL.map(Scope::word)).collect()
}

#[derive(Deserialize)]
struct Token {
    id: String,
    name: String,
    scopes: Vec<String>,
    #[serde(default)]
    all_accounts: bool,
    #[serde(default)]
    status: String,
    expires_on: Option<Timestamp>,
    value: Option<String>,
}

impl TokenArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let desk = Desk::of(&self.server, screen)?;
        match self.command {
            TokenCommand::Create { name, scope, expires_in, all_accounts } => {
                let expires_on = expires_in.as_deref().map(|text| end(text, screen.now())).transpose()?;
                let body = json!({
                    "name": name, "scopes": scope, "all_accounts": all_accounts, "expires_on": expires_on,
                });
                desk.create_token(&body.to_string()).await
            }
            TokenCommand::List => desk.list_tokens().await,
            TokenCommand::Revoke { id, yes } => {
                prompt::confirm(&format!("End the token {}? Whoever uses it is locked out.", one_line(&id)), yes)?;
                let ask = Ask::new(Method::DELETE, &["tokens", &id]);
                desk.tell(ask, |_: serde::de::IgnoredAny| format!("Token {} has been revoked.\n", one_line(&id))).await
            }
        }
    }
}

impl Desk<'_> {
    async fn create_token(&self, body: &str) -> Result<ExitCode, CliError> {
        let ask = Ask::new(Method::POST, &["tokens"]).body(Body::Json(body.to_owned()));
        self.tell(ask, |token: Token| {
            let value = token.value.as_deref().unwrap_or_default();
            let end = token.expires_on.map_or_else(
                || "until it is revoked".to_owned(),
                |at| format!("until {}", times::local_and_relative(at, self.screen.now(), &self.screen.zone)),
            );
            format!(
                "{value}\n\nThis is shown only now. It is the token {} ({}), with the scopes {}, good {end}.\n",
                one_line(&token.name),
                token.id,
                token.scopes.join(", "),
            )
        })
        .await
    }

    async fn list_tokens(&self) -> Result<ExitCode, CliError> {
        self.tell(Ask::new(Method::GET, &["tokens"]), |tokens: Vec<Token>| {
            let rows = tokens.into_iter().map(|token| self.row(token)).collect();
            Table { headings: &["ID", "NAME", "SCOPES", "ACCOUNTS", "ENDS"], shrinking: &[1, 2], rows }
                .render(self.screen)
        })
        .await
    }

    fn row(&self, token: Token) -> Vec<Cell> {
        let end = match token.expires_on {
            None => Cell("never".to_owned(), Tone::Plain),
            Some(_) if token.status == "expired" => Cell("expired".to_owned(), Tone::Bad),
            Some(at) => Cell(times::relative(at, self.screen.now()), Tone::Plain),
        };
        let accounts = if token.all_accounts { "all" } else { "this one" };
        vec![token.id.into(), token.name.into(), token.scopes.join(",").into(), accounts.to_owned().into(), end]
    }
}

/// The time that is so long after `now`.
fn end(text: &str, now: Timestamp) -> Result<String, CliError> {
    let duration = parse_ms(text).and_then(|ms| i64::try_from(ms).ok()).map(SignedDuration::from_millis);
    let end = duration.and_then(|duration| now.checked_add(duration).ok());
    end.map(|end| end.to_string())
        .ok_or_else(|| CliError::Usage(format!("--expires-in: {text:?} is not a duration such as \"90 days\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_duration_from_now() {
        let now: Timestamp = "2026-11-01T00:00:00Z".parse().expect("a time");
        assert_eq!(end("2 days", now).expect("an end"), "2026-11-03T00:00:00Z");
        for wrong in ["soon", "", "9999999 years"] {
            assert!(end(wrong, now).expect_err(wrong).to_string().contains("--expires-in"), "{wrong}");
        }
    }
}
