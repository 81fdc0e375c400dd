//! The projects of a `dev` server: deployed from disk, again whenever their files change.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use stepwell_store::{AccountId, DatabaseKey};

use super::owners::Owners;
use super::projects::{Built, build, extra};
use super::watch::Watch;
use crate::api_error::ApiError;
use crate::cli::{CliError, complain, warn};
use crate::d1::D1;
use crate::deploy::Deployer;
use crate::project::{OutboundTarget, ProjectConfig};
use crate::workers::Workers;

/// First wait before a deploy is tried again that failed for no fault of its project; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// How late it is noticed that the reason has gone, and how often a bundle is made for nothing until then.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// The projects of this server, and what deploys them.
pub(super) struct Workspace {
    pub esbuild: PathBuf,
    pub deployer: Deployer,
    pub workers: Workers,
    pub d1: D1,
    pub directories: Vec<PathBuf>,
    pub environment: Option<String>,
    pub watch: Watch,
    pub owners: Owners,
    /// Whether a program reads what is told.
    pub is_json: bool,
}

impl Workspace {
    /// Deploys every project, each by itself: one that fails keeps none of the others back.
    pub async fn deploy_all(&mut self) -> Round {
        self.owners = Owners::default();
        self.deploy_each(self.directories.clone()).await
    }

    async fn deploy_each(&mut self, directories: Vec<PathBuf>) -> Round {
        let mut round = Round::default();
        for directory in directories {
            match self.deploy(&directory).await {
                Ok(name) => round.deployed.push(name),
                Err(error) => {
                    let text = self.of_project(&directory, format!("{error:#}"));
                    round.failed.push(Failure { may_pass: may_pass(&error), text, directory });
                }
            }
        }
        round
    }

    /// Deploys a project, its stubs first.
    async fn deploy(&mut self, directory: &Path) -> anyhow::Result<String> {
        let built = self.build(directory, self.environment.clone()).await?;
        self.owners.claim(&built)?;
        let mut stubs = Vec::new();
        for stub in &built.config.dev.outbound {
            if let OutboundTarget::Directory(path) = &stub.target {
                let stub = self.build(path, None).await?;
                self.put(&stub, &[]).await?;
                stubs.push((path.clone(), stub.config.name));
            }
        }
        self.put(&built, &stubs).await?;
        self.seed(&built.config).await?;
        Ok(built.config.name)
    }

    async fn build(&mut self, directory: &Path, environment: Option<String>) -> anyhow::Result<Built> {
        let config = ProjectConfig::load(directory, environment.as_deref());
        let whole = config.map_or_else(|_| vec![root_of(directory)], |config| config.watched());
        let (project, esbuild) = (directory.to_owned(), self.esbuild.clone());
        let built = tokio::task::spawn_blocking(move || build(&project, environment.as_deref(), &esbuild)).await?;
        // Whole directories only where nothing names the files: the server's own log may stand in one.
        if built.as_ref().map_or(true, |built| built.config.build.reads_unnamed_files()) {
            self.watch.add(whole);
        }
        let built = built?;
        for warning in &built.warnings {
            warn(&self.of_project(directory, warning.clone()));
        }
        self.watch.add(built.inputs.iter().cloned());
        Ok(built)
    }

    async fn put(&self, built: &Built, stubs: &[(PathBuf, String)]) -> anyhow::Result<()> {
        let script = &built.script.settings.script;
        let extra = extra(&built.config, stubs);
        let before = self.workers.set_extra(script, extra.clone()).filter(|before| *before != extra);
        let deployed = self.deployer.deploy(&built.script).await;
        if let Some(before) = before {
            if deployed.is_err() {
                self.workers.set_extra(script, before);
            }
            // Processes of unchanged code go on with what they got; those that have started meanwhile may have got the other.
            self.workers.replace(script).await;
        }
        deployed.with_context(|| format!("{} cannot be deployed", built.config.path.display()))?;
        Ok(())
    }

    async fn seed(&self, config: &ProjectConfig) -> anyhow::Result<()> {
        for seed in &config.dev.d1_seeds {
            let script = tokio::fs::read_to_string(&seed.file)
                .await
                .with_context(|| format!("cannot read {}", seed.file.display()))?;
            let key = DatabaseKey { account: AccountId::DEFAULT, id: seed.database_id.clone() };
            let key = self.d1.catalogue.resolve(&key).await.map_err(ApiError::from)?;
            let ran = self.d1.seed(&key, script).await.map_err(ApiError::from);
            ran.with_context(|| format!("{} cannot be executed", seed.file.display()))?;
        }
        Ok(())
    }

    /// What is told of a project, with its name where there are several.
    fn of_project(&self, directory: &Path, text: String) -> String {
        if self.directories.len() > 1 { format!("{}: {text}", directory.display()) } else { text }
    }

    /// Deploys again whenever a file changes, and what failed for no fault of its project also without a change. What fails
    /// is told, and the old code goes on.
    pub async fn redeploy_on_change(mut self) {
        let mut failed: Vec<Failure> = Vec::new();
        let mut delay = RETRY_FIRST;
        loop {
            let again: Vec<_> = failed.iter().filter(|failure| failure.may_pass).collect();
            let round = tokio::select! {
                () = self.watch.changed() => {
                    delay = RETRY_FIRST;
                    failed.clear();
                    self.deploy_all().await
                }
                () = tokio::time::sleep(delay), if !again.is_empty() => {
                    delay = (delay * 2).min(RETRY_MAX);
                    self.deploy_each(again.into_iter().map(|failure| failure.directory.clone()).collect()).await
                }
            };
            self.tell(&round, &failed);
            failed = round.failed;
        }
    }

    /// Tells what is new.
    fn tell(&self, round: &Round, told: &[Failure]) {
        match round.deployed.as_slice() {
            [] => {}
            names if self.is_json => println!("{}", json!({ "deployed": names })),
            names => println!("deployed {}", names.join(", ")),
        }
        for failure in round.failed.iter().filter(|failure| !told.contains(failure)) {
            let then = if failure.may_pass { ", and this is tried again by itself" } else { "" };
            let text = format!("{}\nthe code deployed before goes on running{then}", failure.text);
            complain(&CliError::Other(anyhow::Error::msg(text)));
        }
    }
}

/// Whether a deploy failed for a reason that is not in the project and may pass: a full disk, a store that is busy.
fn may_pass(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ApiError>().is_some_and(|error| error.status >= 500)
}

/// How the projects fared when they were deployed.
#[derive(Default)]
pub(super) struct Round {
    /// Names of Workers.
    deployed: Vec<String>,
    failed: Vec<Failure>,
}

/// A project that could not be deployed.
#[derive(PartialEq)]
struct Failure {
    directory: PathBuf,
    text: String,
    may_pass: bool,
}

impl Round {
    /// The names of all Workers.
    ///
    /// # Errors
    /// What is wrong with every project that failed.
    pub fn complete(self) -> anyhow::Result<Vec<String>> {
        let failed: Vec<_> = self.failed.into_iter().map(|failure| failure.text).collect();
        if failed.is_empty() { Ok(self.deployed) } else { Err(anyhow::Error::msg(failed.join("\n"))) }
    }
}

/// Refuses projects that are named twice, whichever way.
///
/// # Errors
/// Where one is.
pub(super) fn refuse_repeated(projects: &[PathBuf]) -> anyhow::Result<()> {
    let mut seen = HashMap::new();
    for project in projects {
        // What is no project is told when it is read.
        let Ok(file) = ProjectConfig::locate(project) else { continue };
        if let Some(other) = seen.insert(file, project) {
            let (project, other) = (project.display(), other.display());
            if project.to_string() == other.to_string() {
                bail!("{project} is given twice: give each project once");
            }
            bail!("{other} and {project} are the same project: give it once");
        }
    }
    Ok(())
}

/// The directory of a project that is named by its directory or its configuration file.
pub(super) fn root_of(project: &Path) -> PathBuf {
    if project.is_file() {
        project.parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
    } else {
        project.to_owned()
    }
}
