//! `stepwell env`: what a shell needs so that `npx wrangler …` speaks to this server.

use clap::Args;
use serde_json::json;

use super::address::ServerAddress;
use super::client::Client;
use super::screen::Screen;
use super::{CliError, ExitCode};

/// `dev` takes any token, but wrangler wants one.
const DEV_TOKEN: &str = "dev";

/// Print the variables that make wrangler speak to this server
///
/// For a shell: eval "$(stepwell env)". With --json, they are the members of an object.
#[derive(Debug, Args)]
pub struct EnvArgs {
    #[command(flatten)]
    server: ServerAddress,
}

impl EnvArgs {
    pub fn run(&self, screen: &Screen) -> Result<ExitCode, CliError> {
        let connection = self.server.connection()?;
        let base = Client::connect(&connection)?.api_base();
        let token = connection.token.as_deref().unwrap_or(DEV_TOKEN);
        let variables = [
            ("CLOUDFLARE_API_BASE_URL", base.as_str()),
            ("CLOUDFLARE_ACCOUNT_ID", connection.account.as_str()),
            ("CLOUDFLARE_API_TOKEN", token),
        ];
        let object: serde_json::Map<_, _> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        screen.show(&object, || {
            variables.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect()
        })?;
        Ok(ExitCode::Ok)
    }
}

/// As one word of a POSIX shell, whatever is in it.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_one_word_of_the_shell() {
        for (value, word) in [("http://h:1/a", "http://h:1/a"), ("", "''"), ("a b", "'a b'"), ("$(x)'", r"'$(x)'\'''")]
        {
            assert_eq!(quoted(value), word);
        }
    }
}
