//! `stepwell profiles`: which servers are known by name, and which is in use. Tokens are never shown.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::connection::{DEFAULT_API, LOCAL};
use super::profiles::{ProfileFile, Profiles};
use super::screen::{Screen, Tone};
use super::table::{Cell, Table};
use super::{CliError, ExitCode};

/// List the profiles of `stepwell login`, and choose the one in use
#[derive(Debug, Args)]
pub struct ProfilesArgs {
    #[command(subcommand)]
    command: ProfilesCommand,
}

#[derive(Debug, Subcommand)]
enum ProfilesCommand {
    /// List profiles
    List,
    /// Choose the profile that commands use; `local` is the server on this machine
    Use {
        /// Name of the profile
        name: String,
    },
}

/// A profile without its token.
#[derive(Serialize)]
struct Row {
    name: String,
    url: String,
    account: Option<String>,
    has_token: bool,
    is_current: bool,
}

impl ProfilesArgs {
    pub fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let file = ProfileFile::of_user()?;
        match self.command {
            ProfilesCommand::List => {
                let rows = rows(&file.read()?);
                screen.show(&rows, || table(&rows).render(screen))?;
            }
            ProfilesCommand::Use { name } => {
                let profile = file.change(|profiles| {
                    let profile = profiles.find(&name)?;
                    profiles.current = (name != LOCAL).then(|| name.clone());
                    Ok(profile)
                })?;
                let result = json!({ "profile": name, "url": profile.url });
                screen.show(&result, || format!("Profile {name} is in use now: {}\n", profile.url))?;
            }
        }
        Ok(ExitCode::Ok)
    }
}

fn rows(profiles: &Profiles) -> Vec<Row> {
    let named = profiles.profiles.iter().map(|(name, profile)| Row {
        name: name.clone(),
        url: profile.url.clone(),
        account: profile.account.clone(),
        has_token: profile.token.is_some(),
        is_current: profiles.current.as_ref() == Some(name),
    });
    let local = Row {
        name: LOCAL.to_owned(),
        url: DEFAULT_API.to_owned(),
        account: None,
        has_token: false,
        is_current: profiles.current.is_none(),
    };
    named.chain([local]).collect()
}

fn table(rows: &[Row]) -> Table<'static> {
    let cells = |row: &Row| {
        let current = if row.is_current { ("in use", Tone::Good) } else { ("", Tone::Plain) };
        vec![
            row.name.clone().into(),
            row.url.clone().into(),
            if row.has_token { "yes" } else { "no" }.to_owned().into(),
            Cell(current.0.to_owned(), current.1),
            row.account.clone().unwrap_or_default().into(),
        ]
    };
    let headings = &["PROFILE", "SERVER", "TOKEN", "", "ACCOUNT"];
    Table { headings, shrinking: &[1], rows: rows.iter().map(cells).collect() }
}
