//! What every command that asks a server works with: the server, the screen, and how an answer gets from one to the other.

use serde::Deserialize;

use super::address::ServerAddress;
use super::client::{Ask, Client};
use super::screen::Screen;
use super::{CliError, ExitCode};

/// A client and a screen.
pub struct Desk<'a> {
    pub client: Client,
    pub screen: &'a Screen,
}

impl<'a> Desk<'a> {
    /// For the server that is meant.
    ///
    /// # Errors
    /// As [`ServerAddress::client`].
    pub fn of(server: &ServerAddress, screen: &'a Screen) -> Result<Self, CliError> {
        Ok(Self { client: server.client()?, screen })
    }

    /// Prints the result for a program, or what `tell` makes of it for people.
    ///
    /// # Errors
    /// Those of the question and the answer.
    pub async fn tell<T: for<'de> Deserialize<'de>>(
        &self,
        ask: Ask,
        tell: impl FnOnce(T) -> String,
    ) -> Result<ExitCode, CliError> {
        let answer = self.client.ask(ask).await?;
        if self.screen.is_json {
            self.screen.line(answer.result.get())?;
        } else {
            self.screen.print(&tell(answer.parse()?))?;
        }
        Ok(ExitCode::Ok)
    }
}
