//! Worker processes: started on demand, one for each deployment (and one more for suspects), watched, and stopped when
//! nobody needs them. The driver wants sessions, the ingress wants sockets; both come from here.

mod leaving;
mod session;
mod worker;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use stepwell_engine::scheduler::{Pool, Quarantine};
use stepwell_engine::{DeploymentId, ErrorRecord, SessionId, StepConfig};
use stepwell_runtime::{Outbound, SpawnError, WorkerSpec, Workerd};
use stepwell_store::{ScopedName, Store};
use tokio::sync::{OnceCell, mpsc};
use worker::Worker;

use crate::api_error::ApiError;
use crate::driver::{SessionEvent, WorkerPool};
use crate::ingress::{Door, WorkerConnection, WorkerGate};
use crate::locks::lock;
use crate::script::{Extra, Script, ScriptBinding, ScriptSettings, SecretChanges};
use crate::secrets::Secrets;
use crate::stacks::SourceMaps;

/// First wait after a worker that did not start; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// How often idle workers are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// A worker without runs and requests for so long is stopped.
const IDLE: Duration = Duration::from_secs(300);
/// A worker whose deployment is not the newest, or one in quarantine, is not kept.
const IDLE_RETIRED: Duration = Duration::from_secs(2);

/// What all workers have in common.
#[derive(Debug, Clone)]
pub struct WorkersConfig {
    /// The workerd to run.
    pub workerd: Workerd,
    /// Socket on which bindings are answered.
    pub host_socket: PathBuf,
    /// Where user code may connect to.
    pub outbound: Outbound,
    /// What a step's configuration leaves out.
    pub defaults: StepConfig,
    /// Processes for each deployment, over which its runs are spread; at least 1.
    pub replicas: u32,
}

/// Where a worker process belongs: one of the replicas of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    pool: Pool,
    replica: u32,
}

impl Place {
    /// Where a deployment's requests go.
    fn of_requests(deployment: DeploymentId) -> Self {
        Self { pool: Pool { deployment, quarantine: Quarantine::Free }, replica: 0 }
    }
}

/// A process whose code has loaded, and which nobody has used. Dropping it ends it.
pub struct TriedOut {
    worker: Worker,
    generation: u64,
}

/// The pool of worker processes. Cheap to clone.
#[derive(Clone)]
pub struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    config: WorkersConfig,
    store: Store,
    secrets: Secrets,
    events: mpsc::Sender<SessionEvent>,
    workers: Mutex<HashMap<Place, Arc<OnceCell<Arc<Worker>>>>>,
    /// Places for which a session is being opened.
    opening: Mutex<HashSet<Place>>,
    extras: Mutex<HashMap<ScopedName, Extra>>,
    generations: Mutex<HashMap<ScopedName, u64>>,
    /// Workers that get no new work and end with what they have.
    leaving: Mutex<Vec<Arc<Worker>>>,
    next_session: AtomicU32,
}

impl Workers {
    /// A pool without workers.
    #[must_use]
    pub fn new(config: WorkersConfig, store: Store, secrets: Secrets, events: mpsc::Sender<SessionEvent>) -> Self {
        let workers = Self {
            shared: Arc::new(Shared {
                config,
                store,
                secrets,
                events,
                workers: Mutex::default(),
                opening: Mutex::default(),
                extras: Mutex::default(),
                generations: Mutex::default(),
                leaving: Mutex::default(),
                next_session: AtomicU32::new(1),
            }),
        };
        tokio::spawn(sweep(Arc::downgrade(&workers.shared)));
        workers
    }

    /// What a script's processes get beside their deployment, from their next start on. Gives what they got before.
    pub fn set_extra(&self, script: &ScopedName, extra: Extra) -> Option<Extra> {
        lock(&self.shared.extras).insert(script.clone(), extra)
    }

    /// Starts a process for code that is not deployed yet, to see that it loads. It has the secrets that the code will have.
    ///
    /// # Errors
    /// What is wrong with the code.
    pub async fn try_out(&self, script: &Script) -> Result<TriedOut, ApiError> {
        let generation = self.shared.generation(&script.settings.script);
        let spec = self.shared.spec(script, &script.settings.secret_changes).await?;
        let worker = self.shared.spawn(script, &WorkerSpec { checks_classes: true, ..spec }).await?;
        Ok(TriedOut { worker, generation })
    }

    /// Lets the process in which a deployment was tried out serve it, so that its first request need not wait for another.
    pub fn adopt(&self, deployment: DeploymentId, tried: TriedOut) {
        let TriedOut { worker, generation } = tried;
        // Secrets may have changed after it read them.
        if generation != self.shared.generation(worker.script()) {
            return;
        }
        // Where a process is there or being started for the same code, this one is not needed.
        let _ = self.shared.cell(Place::of_requests(deployment)).set(Arc::new(worker));
    }

    /// A connection to the `fetch` handler of a script's newest deployment.
    ///
    /// # Errors
    /// Where there is no such script, or it does not start.
    async fn connect_to(&self, script: &ScopedName, door: Door) -> Result<WorkerConnection, ApiError> {
        let row = self.shared.store.current_deployment(script).await?.ok_or_else(|| ApiError::no_script(script))?;
        let worker = self
            .shared
            .worker(Place::of_requests(row.id))
            .await
            .map_err(|message| ApiError::new(503, 20_502, message))?;
        worker.connect(door).await.map_err(|error| {
            ApiError::new(502, 20_502, format!("the worker process of {:?} does not answer: {error}", script.name))
        })
    }

    /// Resolves when the process that answers a script's requests has hung and was stopped; says so.
    async fn until_hung(&self, script: &ScopedName) -> ApiError {
        loop {
            tokio::time::sleep(session::PROBE_EVERY).await;
            let Ok(Some(row)) = self.shared.store.current_deployment(script).await else { continue };
            let Some(worker) = self.shared.live_worker(Place::of_requests(row.id)) else { continue };
            if !session::is_alive(&self.shared, &worker).await {
                return hung(script);
            }
        }
    }

    /// New requests of a script must go to its newest deployment from now on.
    pub fn renew(&self, script: &ScopedName) {
        *lock(&self.shared.generations).entry(script.clone()).or_default() += 1;
    }

    /// Ends all sessions and processes in order.
    pub async fn shut_down(&self) {
        let mut workers: Vec<_> =
            lock(&self.shared.workers).drain().filter_map(|(_, cell)| cell.get().map(Arc::clone)).collect();
        workers.append(&mut lock(&self.shared.leaving));
        for worker in workers {
            worker.shut_down().await;
        }
    }
}

impl WorkerGate for Workers {
    fn connect<'a>(&'a self, script: &'a ScopedName, door: Door) -> BoxFuture<'a, Result<WorkerConnection, ApiError>> {
        Box::pin(self.connect_to(script, door))
    }

    fn locate<'a>(&'a self, deployment: DeploymentId, error: &'a mut ErrorRecord) -> BoxFuture<'a, ()> {
        let worker = self.shared.live_worker(Place::of_requests(deployment));
        Box::pin(async move {
            if let Some(worker) = worker {
                self.shared.locate(&worker, deployment, error).await;
            }
        })
    }

    fn hung<'a>(&'a self, script: &'a ScopedName) -> BoxFuture<'a, ApiError> {
        Box::pin(self.until_hung(script))
    }

    fn generation(&self, script: &ScopedName) -> u64 {
        self.shared.generation(script)
    }
}

impl WorkerPool for Workers {
    fn want(&self, pool: Pool) {
        let replicas = if pool.quarantine.is_free() { self.shared.config.replicas.max(1) } else { 1 };
        for replica in 0..replicas {
            self.shared.want_session(Place { pool, replica });
        }
    }

    fn fault(&self, session: SessionId, reason: &'static str) {
        tracing::error!(%session, reason, "a worker broke the protocol: its process is stopped");
        let workers = lock(&self.shared.workers);
        let leaving = lock(&self.shared.leaving);
        let all = workers.values().filter_map(|cell| cell.get()).chain(leaving.iter());
        all.filter(|worker| worker.has_session(session)).for_each(|worker| worker.kill());
    }
}

impl Shared {
    fn generation(&self, script: &ScopedName) -> u64 {
        lock(&self.generations).get(script).copied().unwrap_or(0)
    }

    /// Has a session opened in the worker of a place, unless that is under way.
    fn want_session(self: &Arc<Self>, place: Place) {
        if lock(&self.opening).insert(place) {
            tokio::spawn(Arc::clone(self).open_session(place));
        }
    }

    /// Opens a session, however long it takes.
    async fn open_session(self: Arc<Self>, place: Place) {
        let mut retry = RETRY_FIRST;
        while let Err(message) = self.try_open_session(place).await {
            tracing::error!(deployment = %place.pool.deployment, %message, "a worker does not start");
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(RETRY_MAX);
        }
    }

    async fn try_open_session(self: &Arc<Self>, place: Place) -> Result<(), String> {
        let worker = self.worker(place).await?;
        let session = SessionId(self.next_session.fetch_add(1, Ordering::Relaxed));
        session::open(self, &worker, session, place).await
    }

    /// The live worker of a place, started where there is none.
    async fn worker(self: &Arc<Self>, place: Place) -> Result<Arc<Worker>, String> {
        let cell = self.cell(place);
        let worker = cell.get_or_try_init(|| self.start(place.pool.deployment)).await?;
        Ok(Arc::clone(worker))
    }

    /// The worker of a place, if it has been started.
    fn live_worker(&self, place: Place) -> Option<Arc<Worker>> {
        lock(&self.workers).get(&place).and_then(|cell| cell.get().cloned())
    }

    /// Where the live worker of a place is, or will be.
    fn cell(&self, place: Place) -> Arc<OnceCell<Arc<Worker>>> {
        let mut workers = lock(&self.workers);
        let cell = workers.entry(place).or_default();
        if cell.get().is_some_and(|worker| worker.is_gone()) {
            *cell = Arc::default();
        }
        Arc::clone(cell)
    }

    async fn start(&self, deployment: DeploymentId) -> Result<Arc<Worker>, String> {
        let found = self.store.deployment(deployment).await.map_err(|error| error.to_string())?;
        let found = found.ok_or_else(|| format!("deployment {deployment} is gone"))?;
        let upload = Script::from_deployment(&found).map_err(|error| error.to_string())?;
        loop {
            let generation = self.generation(&upload.settings.script);
            let spec = self.spec(&upload, &SecretChanges::default()).await.map_err(|error| error.to_string())?;
            let worker = self.spawn(&upload, &spec).await.map_err(|error| error.to_string())?;
            if generation == self.generation(&upload.settings.script) {
                return Ok(Arc::new(worker));
            }
            // Secrets may have changed after they were read: this process ends, and another one reads them.
        }
    }

    /// What a process of a script is to run, once these changes are made.
    async fn spec(&self, script: &Script, changes: &SecretChanges) -> Result<WorkerSpec, ApiError> {
        let name = &script.settings.script;
        let mut extra = lock(&self.extras).get(name).cloned().unwrap_or_default();
        extra.secrets.extend(self.secrets.after(name, changes).await?);
        Ok(script.to_spec(&self.config.host_socket, self.config.outbound.clone(), extra))
    }

    /// Starts a process. What is wrong with the code is told as its author knows it.
    async fn spawn(&self, script: &Script, spec: &WorkerSpec) -> Result<Worker, ApiError> {
        match Worker::spawn(&self.config.workerd, spec, &script.settings).await {
            Err(SpawnError::Load { script: name, message }) => {
                let script = script.clone();
                let maps = tokio::task::spawn_blocking(move || SourceMaps::of(&script)).await.unwrap_or_default();
                Err(SpawnError::Load { script: name, message: maps.rewrite(&message, "") }.into())
            }
            Err(ref error @ SpawnError::NotAWorkflow { ref class, .. }) => {
                Err(not_a_workflow(&script.settings, class, error))
            }
            spawned => Ok(spawned?),
        }
    }

    /// Has the frames of an error's stack lead to source files.
    async fn locate(&self, worker: &Worker, deployment: DeploymentId, error: &mut ErrorRecord) {
        if let Some(stack) = &mut error.stack {
            let read = async || self.source_maps(deployment).await;
            *stack = worker.source_maps(read).await.rewrite(stack, &error.message);
        }
    }

    /// The source maps of a deployment. Without them stacks name places in the bundle, which is no reason to stop.
    async fn source_maps(&self, deployment: DeploymentId) -> SourceMaps {
        let found = self.store.deployment(deployment).await;
        let script = found.ok().flatten().and_then(|found| Script::from_deployment(&found).ok());
        let Some(script) = script else {
            tracing::warn!(%deployment, "its source maps cannot be read: stacks name places in the bundle");
            return SourceMaps::default();
        };
        // Maps of large bundles take tens of milliseconds.
        tokio::task::spawn_blocking(move || SourceMaps::of(&script)).await.unwrap_or_default()
    }

    /// Stops workers that nobody needs.
    async fn sweep(&self) {
        let workers: Vec<_> = lock(&self.workers)
            .iter()
            .filter_map(|(place, cell)| cell.get().map(|worker| (*place, Arc::clone(worker))))
            .collect();
        for (place, worker) in workers {
            let current = self.store.current_deployment(worker.script()).await.ok().flatten();
            let kept = place.pool.quarantine.is_free() && current.is_some_and(|row| row.id == place.pool.deployment);
            if worker.is_idle_for(if kept { IDLE } else { IDLE_RETIRED }) {
                lock(&self.workers).remove(&place);
                worker.shut_down().await;
            }
        }
        self.sweep_leaving().await;
    }
}

fn hung(script: &ScopedName) -> ApiError {
    let message = format!(
        "Worker {:?} did not answer and was stopped: its code computes without end, in this request or in another. \
         The next request starts it anew.",
        script.name
    );
    ApiError::new(503, 20_504, message)
}

fn not_a_workflow(settings: &ScriptSettings, class: &str, error: &SpawnError) -> ApiError {
    let refused = ApiError::new(400, 10_021, error.to_string());
    let Some(workflow) = settings.workflows.iter().find(|workflow| workflow.class_name == class) else {
        return refused;
    };
    let is_bound = |binding: &&ScriptBinding| matches!(binding, ScriptBinding::Workflow { workflow_name, .. } if *workflow_name == workflow.name);
    let binding = settings.bindings.iter().find(is_bound);
    let binding = binding.map_or_else(String::new, |binding| format!(" (binding {})", binding.name()));
    ApiError { message: format!("workflow {:?}{binding}: {}", workflow.name, refused.message), ..refused }
}

async fn sweep(shared: std::sync::Weak<Shared>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        shared.sweep().await;
    }
}
