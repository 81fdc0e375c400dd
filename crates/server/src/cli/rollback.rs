//! `stepwell rollback`: an earlier version of a Worker serves again.

use clap::Args;

use super::address::ServerAddress;
use super::desk::Desk;
use super::release::{self, release};
use super::screen::Screen;
use super::text::one_line;
use super::version::{Version, find, versions_of};
use super::worker::WorkerArgs;
use super::{CliError, ExitCode, prompt};

/// Let an earlier version of a Worker serve again; instances that have started stay on theirs
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Number, id or tag of the version [default: the one that served before]
    version: Option<String>,
    /// Why
    #[arg(long, short)]
    message: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    server: ServerAddress,
}

impl RollbackArgs {
    pub async fn run(self, screen: &Screen) -> Result<ExitCode, CliError> {
        let desk = Desk::of(&self.server, screen)?;
        let worker = self.worker.name()?;
        let version = match &self.version {
            Some(version) => find(&desk.client, &worker, version).await?,
            None => desk.version_before(&worker).await?,
        };
        let (number, told) = (version.number, one_line(&worker));
        prompt::confirm(&format!("Let version {number} of {told} serve again?"), self.yes)?;
        let answer = release(&desk.client, &worker, &version, self.message.as_deref()).await?;
        match screen.is_json {
            true => screen.line(answer.result.get())?,
            false => screen.line(&format!("Version {number} of {told} serves again: {}", one_line(&version.id)))?,
        }
        Ok(ExitCode::Ok)
    }
}

impl Desk<'_> {
    /// The version that served last before the current one, and is still there.
    async fn version_before(&self, worker: &str) -> Result<Version, CliError> {
        let releases = release::read(&self.client.ask(release::ask(worker)).await?)?;
        let mut versions = versions_of(&self.client, worker).await?;
        let ids = releases.iter().filter_map(release::Release::version_id);
        let before = ids.filter_map(|id| versions.iter().position(|version| version.id == id && !version.is_current));
        match before.take(1).next() {
            Some(place) => Ok(versions.swap_remove(place)),
            None => Err(CliError::NotFound(format!(
                "no other version of Worker \"{}\" has served before; `stepwell versions list` shows those that there are, and \
                 `stepwell versions deploy VERSION` lets one serve",
                one_line(worker)
            ))),
        }
    }
}
