//! `stepwell account`: accounts of a server. What belongs to one is out of reach of the others.

use clap::{Args, Subcommand};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::address::ServerAddress;
use super::client::{Ask, Body};
use super::desk::Desk;
use super::screen::Screen;
use super::table::Table;
use super::text::one_line;
use super::{CliError, ExitCode, prompt};

/// Make, list and delete accounts
#[derive(Debug, Args)]
pub struct AccountArgs {
    #[command(subcommand)]
    command: AccountCommand,
    #[command(flatten)]
    server: ServerAddress,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Make an account
    Create {
        /// Its name, a part of its Workers' host names: <worker>.<name>.localhost
        name: String,
    },
    /// List the accounts that the token may use
    List,
    /// Delete an account that has nothing left but tokens
    Delete {
        /// Its id, as `account list` shows it
        id: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Deserialize)]
struct Account {
    id: String,
    name: String,
}

impl AccountArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let desk = Desk::of(&self.server, screen)?;
        match self.command {
            AccountCommand::Create { name } => {
                let body = Body::Json(json!({ "name": name }).to_string());
                let ask = Ask::of_server(Method::POST, &["accounts"]).body(body);
                desk.tell(ask, |Account { id, name }| {
                    let name = one_line(&name);
                    format!(
                        "Account {name} has been made; its id is {id}.\n\
                         Use it with --account {id}, and give its users a token of it:\n\
                         \x20 stepwell token create NAME --scope all --account {id}\n"
                    )
                })
                .await
            }
            AccountCommand::List => {
                let ask = Ask::of_server(Method::GET, &["accounts"]).query("per_page", "1000");
                desk.tell(ask, |accounts: Vec<Account>| {
                    let rows = accounts.into_iter().map(|account| vec![account.name.into(), account.id.into()]);
                    Table { headings: &["NAME", "ID"], shrinking: &[0], rows: rows.collect() }.render(screen)
                })
                .await
            }
            AccountCommand::Delete { id, yes } => {
                prompt::confirm(&format!("Delete the account {}?", one_line(&id)), yes)?;
                let ask = Ask::of_server(Method::DELETE, &["accounts", &id]);
                desk.tell(ask, |_: serde::de::IgnoredAny| format!("Account {} has been deleted.\n", one_line(&id)))
                    .await
            }
        }
    }
}
