//! `stepwell env`: what a shell needs so that `npx wrangler …` speaks to this server.

use clap::Args;
use serde_json::json;

use super::address::{ACCOUNT_ID, ServerAddress};
use super::screen::Screen;
use super::{CliError, ExitCode};

/// `dev` takes any token, but wrangler wants one.
const DEV_TOKEN: &str = "dev";

/// Print the variables that make wrangler speak to this server
///
/// For a shell: eval "$(stepwell env)"
#[derive(Debug, Args)]
pub struct EnvArgs {
    #[command(flatten)]
    server: ServerAddress,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl EnvArgs {
    pub fn run(&self, screen: &Screen) -> Result<ExitCode, CliError> {
        let token = self.server.token()?.unwrap_or_else(|| DEV_TOKEN.to_owned());
        let base = self.server.client()?.api_base();
        let variables = [
            ("CLOUDFLARE_API_BASE_URL", base.as_str()),
            ("CLOUDFLARE_ACCOUNT_ID", ACCOUNT_ID),
            ("CLOUDFLARE_API_TOKEN", token.as_str()),
        ];
        if self.json {
            let object: serde_json::Map<_, _> =
                variables.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
            screen.line(&serde_json::Value::Object(object).to_string())?;
        } else {
            let lines: String =
                variables.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect();
            screen.print(&lines)?;
        }
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
