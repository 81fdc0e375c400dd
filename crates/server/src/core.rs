//! The server without its faces: store, driver, workers and deployer, put together.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use stepwell_engine::engine::Chaos;
use stepwell_engine::{Engine, InstanceKey};
use stepwell_store::{CommitError, Options, Store};
use tokio::sync::oneshot;

use crate::accounts::Accounts;
use crate::creation_rate::{CreationRate, CreationRates};
use crate::deploy::Deployer;
use crate::driver::{Driver, DriverPorts};
use crate::platform::Platform;
use crate::registry::{Policy, Registry};
use crate::retirement::retire;
use crate::secrets::{Secrets, discard_shut};
use crate::tail::Tails;
use crate::tail::runs::RunFollower;
use crate::workers::{Workers, WorkersConfig};

/// Instances that run at once on one server, waiting ones apart.
const RUNS_MAX: usize = 10_000;

/// What a core is made from.
pub struct CoreConfig {
    /// Where the store lives.
    pub data_dir: PathBuf,
    /// For worker processes.
    pub workers: WorkersConfig,
    /// For all workflows.
    pub policy: Policy,
    /// How fast instances may be created.
    pub creation_rates: CreationRates,
    /// What is done to runs on purpose.
    pub chaos: Chaos,
    /// Whether secrets go that the key does not open.
    pub discards_secrets: bool,
}

/// A live core.
pub struct Core {
    /// Commands and reads.
    pub platform: Platform,
    /// Worker processes.
    pub workers: Workers,
    /// Deploying.
    pub deployer: Deployer,
    /// Workflows.
    pub registry: Registry,
    /// Whose things there are.
    pub accounts: Accounts,
    retirement: tokio::task::JoinHandle<()>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), CommitError>>,
    failed: Option<oneshot::Receiver<CommitError>>,
}

/// A core that is open and does nothing yet: code can be deployed, before anything that was under way goes on with what
/// was deployed before.
pub struct OpenCore {
    /// Worker processes.
    pub workers: Workers,
    /// Deploying.
    pub deployer: Deployer,
    /// What is deployed, and all that is kept.
    pub store: Store,
    registry: Registry,
    ports: DriverPorts,
    creation_rates: CreationRates,
    chaos: Chaos,
}

impl OpenCore {
    /// Opens the store.
    ///
    /// # Errors
    /// Where the data directory cannot be used; the message says what to do.
    pub async fn open(config: CoreConfig) -> anyhow::Result<Self> {
        let data_dir = config.data_dir.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&data_dir, Options::default())).await??;
        let ports = DriverPorts::new();
        if config.discards_secrets {
            discard_shut(&config.data_dir, &store).await?;
        }
        let secrets = Secrets::open(&config.data_dir, store.clone()).await?;
        let workers = Workers::new(config.workers, store.clone(), secrets.clone(), ports.sessions.clone());
        let registry = Registry::new(store.clone(), ports.handle.clone(), config.policy);
        let deployer = Deployer::new(store.clone(), workers.clone(), registry.clone(), secrets);
        let CoreConfig { creation_rates, chaos, .. } = config;
        Ok(Self { workers, deployer, registry, store, ports, creation_rates, chaos })
    }

    /// Starts the driver, which takes up whatever was under way.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn start(self) -> anyhow::Result<Core> {
        let Self { workers, deployer, registry, store, mut ports, creation_rates, chaos } = self;
        deployer.list_bound_databases().await?;
        let tails = Tails::default();
        ports.follower = Arc::new(RunFollower::start(tails.clone(), store.clone()));
        let known = registry.all().await?;
        let accounts = Accounts::open(store.clone()).await?;
        let next_key = InstanceKey(store.max_key().await?.0 + 1);
        let engine = Engine::new(next_key, RUNS_MAX).with_chaos(chaos);
        let driver = ports.handle.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (fail, failed) = oneshot::channel();
        let (runtime, pool, memory) = (tokio::runtime::Handle::current(), workers.clone(), store.clone());
        let thread = std::thread::Builder::new().name("driver".to_owned()).spawn(move || {
            let local = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let local = local.expect("a runtime can be made");
            let stop = async {
                // A core that was dropped stops as well.
                let _ = stopped.await;
            };
            let result = local.block_on(Driver::run(engine, known, memory, pool, runtime, ports, stop));
            if let Err(error) = &result {
                let _ = fail.send(error.clone());
            }
            result
        });
        let thread = thread.context("the driver's thread cannot be started")?;
        let retirement = tokio::spawn(retire(store.clone()));
        let platform = Platform { store, driver, rate: CreationRate::new(creation_rates), tails };
        Ok(Core { platform, workers, deployer, registry, accounts, retirement, stop, thread, failed: Some(failed) })
    }
}

impl Core {
    /// Resolves when the store has failed for good: the process must end. Pending for ever otherwise.
    pub fn failed(&mut self) -> impl Future<Output = CommitError> + Send + 'static {
        let failed = self.failed.take();
        async move {
            match failed {
                Some(failed) => match failed.await {
                    Ok(error) => error,
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        }
    }

    /// Stops the driver, then the workers. What was acknowledged is durable.
    pub async fn shut_down(self) {
        let Self { workers, retirement, stop, thread, .. } = self;
        retirement.abort();
        // A driver that has stopped by itself needs no word.
        let _ = stop.send(());
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if let Ok(Err(_)) | Err(_) = joined {
            tracing::error!("the driver panicked");
        }
        workers.shut_down().await;
    }
}
