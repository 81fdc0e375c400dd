//! `stepwell dev`: deploys projects from disk, again whenever they change, and lets anybody on this machine in.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::json;
use stepwell_engine::StepConfig;
use stepwell_engine::engine::Chaos;
use stepwell_runtime::Outbound;
use stepwell_store::{AccountId, DatabaseKey, ScopedName};

use super::faces::{FaceSettings, Listeners, Wanted};
use super::ground::{self, Ground};
use super::projects::{Built, build, extra};
use super::watch::Watch;
use super::{logging, run_until_stopped};
use crate::auth::Auth;
use crate::cli::{DevOptions, ExitCode, Kept};
use crate::clock::TestClock;
use crate::core::CoreConfig;
use crate::creation_rate::CreationRates;
use crate::d1::D1;
use crate::deploy::Deployer;
use crate::project::{OutboundTarget, ProjectConfig};
use crate::registry::Policy;
use crate::workers::{Workers, WorkersConfig};

/// Where the state is kept unless `--persist-to` says otherwise.
const STATE_DIRECTORY: &str = ".stepwell";

/// Runs the server until it is stopped.
///
/// # Errors
/// What keeps it from starting, with what to do.
pub async fn dev(options: DevOptions) -> anyhow::Result<ExitCode> {
    logging::start();
    options.test_clock.into_iter().for_each(TestClock::set);
    let loopback = |port, option| Wanted { address: (Ipv4Addr::LOCALHOST, port).into(), option };
    let (ingress, api) = (loopback(options.port, "--port"), loopback(options.api_port, "--api-port"));
    let listeners = Listeners::bind(ingress, api).await?;
    let (ingress, api) = (listeners.ingress_address()?, listeners.api_address()?);
    let first = options.projects.first().cloned().unwrap_or_else(|| PathBuf::from("."));
    let state = options.persist_to.clone().unwrap_or_else(|| root_of(&first).join(STATE_DIRECTORY));
    let defaults = if options.fast_retries { StepConfig::FAST } else { StepConfig::DEFAULT };
    let chaos = options.chaos.map_or(Chaos::None, Chaos::from);
    let policy = Policy { follows_newest: !options.pin, retention: Kept::default().into() };
    let (data_dir, creation_rates) = (state.clone(), CreationRates::default());
    let workers = |workers| WorkersConfig { defaults, ..workers };
    let discards_secrets = false;
    let config =
        |base| CoreConfig { data_dir, workers: workers(base), policy, creation_rates, chaos, discards_secrets };
    let Ground { core, esbuild, host_socket, sockets: _sockets } = ground::open(Outbound::Any, 1, config).await?;
    let d1 = D1::open(state.join("d1"), core.store.clone());
    let mut projects = Projects {
        esbuild,
        deployer: core.deployer.clone(),
        workers: core.workers.clone(),
        d1: d1.clone(),
        directories: if options.projects.is_empty() { vec![first] } else { options.projects },
        environment: options.env,
        watch: Watch::new().context("cannot watch files")?,
        is_json: options.json,
    };
    // Before anything goes on that was under way: it is to meet the code that is on disk now.
    let scripts = projects.deploy_all().await?;
    let core = core.start().await?;
    let default_script = (scripts.len() == 1).then(|| ScopedName::in_default(&*scripts[0]));
    let settings = FaceSettings { auth: Auth::Open, d1, default_script, is_dev: true, host_socket };
    listeners.serve(&core, settings)?;
    let urls = scripts.iter().map(|script| (script, format!("http://{script}.localhost:{}", ingress.port())));
    let api = format!("http://{api}/client/v4");
    if options.json {
        let (ingress, state, workers) =
            (format!("http://{ingress}"), state.display(), urls.collect::<BTreeMap<_, _>>());
        println!("{}", json!({ "ingress": ingress, "api": api, "state": state.to_string(), "workers": workers }));
    } else {
        urls.for_each(|(script, url)| println!("{script:<16} {url}"));
        println!("{:<16} {api}", "API");
        println!("{:<16} {}", "State", state.display());
        println!("ready");
    }
    tokio::spawn(projects.redeploy_on_change());
    Ok(run_until_stopped(core).await)
}

/// The directory of a project that is named by its directory or its configuration file.
fn root_of(project: &Path) -> PathBuf {
    if project.is_file() {
        project.parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
    } else {
        project.to_owned()
    }
}

/// Which project brings a Worker or a workflow: each name is one on a server, and the second would take it over.
#[derive(Default)]
struct Owners(HashMap<String, PathBuf>);

impl Owners {
    fn claim(&mut self, built: &Built) -> anyhow::Result<()> {
        let settings = &built.script.settings;
        self.claim_name(format!("Worker {:?}", settings.script.name), &built.config.path)?;
        for workflow in &settings.workflows {
            self.claim_name(format!("workflow {:?}", workflow.name), &built.config.path)?;
        }
        Ok(())
    }

    fn claim_name(&mut self, name: String, path: &Path) -> anyhow::Result<()> {
        match self.0.insert(name.clone(), path.to_owned()) {
            None => Ok(()),
            Some(other) => bail!("{} and {} both define the {name}: rename one", other.display(), path.display()),
        }
    }
}

/// The projects of this server, and what deploys them.
struct Projects {
    esbuild: PathBuf,
    deployer: Deployer,
    workers: Workers,
    d1: D1,
    directories: Vec<PathBuf>,
    environment: Option<String>,
    watch: Watch,
    /// Whether a program reads what is told.
    is_json: bool,
}

impl Projects {
    /// Deploys every project, its stubs first.
    async fn deploy_all(&mut self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        let mut owners = Owners::default();
        for directory in self.directories.clone() {
            names.push(self.deploy(&directory, &mut owners).await?);
        }
        Ok(names)
    }

    async fn deploy(&mut self, directory: &Path, owners: &mut Owners) -> anyhow::Result<String> {
        let built = self.build(directory, self.environment.clone()).await?;
        owners.claim(&built)?;
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
        let (directory, esbuild) = (directory.to_owned(), self.esbuild.clone());
        let config = ProjectConfig::load(&directory, environment.as_deref());
        let whole = config.map_or_else(|_| vec![root_of(&directory)], |config| config.watched());
        let built = tokio::task::spawn_blocking(move || build(&directory, environment.as_deref(), &esbuild)).await?;
        // Whole directories only where nothing names the files: the server's own log may stand in one.
        if built.as_ref().map_or(true, |built| built.config.build.reads_unnamed_files()) {
            self.watch.add(whole);
        }
        let built = built?;
        for warning in &built.warnings {
            eprintln!("warning: {warning}");
        }
        self.watch.add(built.inputs.iter().cloned());
        Ok(built)
    }

    async fn put(&self, built: &Built, stubs: &[(PathBuf, String)]) -> anyhow::Result<()> {
        self.workers.set_extra(&built.script.settings.script, extra(&built.config, stubs));
        self.deployer
            .deploy(&built.script)
            .await
            .with_context(|| format!("{} cannot be deployed", built.config.path.display()))?;
        Ok(())
    }

    async fn seed(&self, config: &ProjectConfig) -> anyhow::Result<()> {
        for seed in &config.dev.d1_seeds {
            let script = tokio::fs::read_to_string(&seed.file)
                .await
                .with_context(|| format!("cannot read {}", seed.file.display()))?;
            let key = DatabaseKey { account: AccountId::DEFAULT, id: seed.database_id.clone() };
            let key = self.d1.catalogue.resolve(&key).await?;
            let ran = self.d1.seed(&key, script).await;
            ran.with_context(|| format!("{} cannot be executed", seed.file.display()))?;
        }
        Ok(())
    }

    /// Deploys again whenever a file changes. What fails is told, and the old code goes on.
    async fn redeploy_on_change(mut self) {
        loop {
            self.watch.changed().await;
            match self.deploy_all().await {
                Ok(names) if self.is_json => println!("{}", json!({ "deployed": names })),
                Ok(names) => println!("deployed {}", names.join(", ")),
                Err(error) => eprintln!("error: {error:#}\nthe code deployed before goes on running"),
            }
        }
    }
}
