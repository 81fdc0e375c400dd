//! `stepwell whoami`: which server is meant and why, and whom it takes the caller for.

use clap::Args;
use hyper::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::address::ServerAddress;
use super::client::{Ask, Client};
use super::screen::{Screen, Tone};
use super::table::{Cell, Table};
use super::text::{one_line, pad};
use super::{CliError, ExitCode};

const LABEL_WIDTH: usize = 10;

/// Say which server is meant, and whom it takes you for
#[derive(Debug, Args)]
pub struct WhoamiArgs {
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    email: String,
}

/// What `--json` prints. The server's answers are as it gave them.
#[derive(serde::Serialize)]
struct Told<'a> {
    url: &'a str,
    origin: String,
    has_token: bool,
    account: &'a str,
    user: &'a RawValue,
    token: &'a RawValue,
    accounts: &'a RawValue,
}

impl WhoamiArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let connection = self.server.connection()?;
        let client = Client::connect(&connection)?;
        let ask = |segments: &[&str]| Ask::of_server(Method::GET, segments);
        let token = client.ask(ask(&["user", "tokens", "verify"])).await?;
        let user = client.ask(ask(&["user"])).await?;
        let accounts = client.ask(ask(&["accounts"]).query("page", "1")).await?;
        let told = Told {
            url: client.url(),
            origin: connection.origin.told(),
            has_token: connection.token.is_some(),
            account: &connection.account,
            user: &user.result,
            token: &token.result,
            accounts: &accounts.result,
        };
        let (User { email }, accounts) = (user.parse()?, accounts.parse()?);
        screen.show(&told, || text(&told, &email, accounts, screen))?;
        Ok(ExitCode::Ok)
    }
}

fn text(told: &Told<'_>, email: &str, accounts: Vec<Account>, screen: &Screen) -> String {
    let field = |label: &str, value: &str| format!("{}{value}\n", screen.paint(Tone::Dim, &pad(label, LABEL_WIDTH)));
    let mut text = field("Server", &format!("{} ({})", told.url, told.origin));
    text += &field("User", &one_line(email));
    text += &field("Token", if told.has_token { "valid" } else { "none, and none is wanted" });
    let rows = accounts.into_iter().map(|account| {
        let in_use = if account.id == told.account { ("in use", Tone::Good) } else { ("", Tone::Plain) };
        vec![account.name.into(), account.id.into(), Cell(in_use.0.to_owned(), in_use.1)]
    });
    let table = Table { headings: &["ACCOUNT", "ID", ""], shrinking: &[0], rows: rows.collect() };
    format!("{text}\n{}", table.render(screen))
}
