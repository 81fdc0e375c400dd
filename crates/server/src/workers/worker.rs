//! One worker process, with its sessions and what it says on its standard output.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stepwell_engine::SessionId;
use stepwell_runtime::session::{SessionReceiver, SessionSender};
use stepwell_runtime::{Exit, SpawnError, WorkerProcess, WorkerSpec, Workerd, session};
use stepwell_store::ScopedName;
use tokio::sync::OnceCell;

use crate::driver::SessionLoad;
use crate::ingress::{Door, WorkerConnection};
use crate::locks::lock;
use crate::script::ScriptSettings;
use crate::stacks::SourceMaps;

/// How long a process may take to end by itself.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// How long one turn of user code may compute unless its script says otherwise (Cloudflare's default).
const CPU_MS_DEFAULT: u32 = 30_000;

/// A live worker process.
pub(super) struct Worker {
    process: WorkerProcess,
    settings: ScriptSettings,
    sessions: Mutex<Vec<OpenSession>>,
    /// Each connection of the ingress has a copy.
    connections: Arc<()>,
    used_at: Mutex<Instant>,
    /// It has ended, or nobody is to find it any more.
    gone: Arc<AtomicBool>,
    /// We have killed it ourselves.
    killed: AtomicBool,
    /// When it last answered a probe.
    answered_at: tokio::sync::Mutex<Instant>,
    /// Read when the first error is recorded.
    source_maps: OnceCell<SourceMaps>,
}

struct OpenSession {
    id: SessionId,
    sender: Arc<SessionSender>,
    load: Arc<SessionLoad>,
}

impl Worker {
    pub async fn spawn(workerd: &Workerd, spec: &WorkerSpec, settings: &ScriptSettings) -> Result<Self, SpawnError> {
        let mut process = WorkerProcess::spawn(workerd, spec).await?;
        let gone = Arc::new(AtomicBool::new(false));
        let (exited, flag, script) = (process.exited(), Arc::clone(&gone), settings.script.clone());
        tokio::spawn(async move {
            let exit = exited.await;
            if flag.swap(true, Ordering::AcqRel) {
                tracing::debug!(%script, %exit, "a worker process ended");
            } else {
                tracing::warn!(%script, %exit, "a worker process ended that nobody here had stopped");
            }
        });
        if let Some(mut lines) = process.take_lines() {
            let script = settings.script.clone();
            tokio::spawn(async move {
                while let Some(line) = lines.recv().await {
                    tracing::info!(target: "worker", %script, "{}", line.text);
                }
            });
        }
        Ok(Self {
            process,
            settings: settings.clone(),
            sessions: Mutex::default(),
            connections: Arc::default(),
            used_at: Mutex::new(Instant::now()),
            gone,
            killed: AtomicBool::new(false),
            answered_at: tokio::sync::Mutex::new(Instant::now()),
            source_maps: OnceCell::new(),
        })
    }

    pub fn script(&self) -> &ScopedName {
        &self.settings.script
    }

    pub fn settings(&self) -> &ScriptSettings {
        &self.settings
    }

    /// The maps of its code; `read` is called once.
    pub async fn source_maps(&self, read: impl AsyncFnOnce() -> SourceMaps) -> &SourceMaps {
        self.source_maps.get_or_init(async || read().await).await
    }

    /// How long one turn of its code may compute.
    pub fn cpu_bound(&self) -> Duration {
        Duration::from_millis(u64::from(self.settings.cpu_ms.unwrap_or(CPU_MS_DEFAULT)))
    }

    /// What its process alone knows.
    pub fn token(&self) -> &str {
        self.process.session_token()
    }

    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        self.process.exited()
    }

    pub fn touch(&self) {
        *lock(&self.used_at) = Instant::now();
    }

    pub fn is_idle_for(&self, patience: Duration) -> bool {
        let is_connected = Arc::strong_count(&self.connections) > 1;
        if is_connected || lock(&self.sessions).iter().any(|session| session.load.live() > 0) {
            self.touch();
        }
        lock(&self.used_at).elapsed() >= patience
    }

    pub async fn connect(&self, door: Door) -> std::io::Result<WorkerConnection> {
        let in_use = Arc::clone(&self.connections);
        self.touch();
        let socket = match door {
            Door::Plain => self.process.ingress_socket(),
            Door::Followed => self.process.traced_socket(),
        };
        Ok(WorkerConnection { stream: socket.connect().await?, in_use })
    }

    pub async fn connect_session(&self) -> Result<(SessionSender, SessionReceiver), session::SessionError> {
        let stream = self.process.session_socket().connect().await?;
        session::open(stream, self.process.session_token()).await
    }

    pub fn add_session(&self, id: SessionId, sender: Arc<SessionSender>, load: Arc<SessionLoad>) {
        self.touch();
        lock(&self.sessions).push(OpenSession { id, sender, load });
    }

    pub fn remove_session(&self, id: SessionId) {
        lock(&self.sessions).retain(|session| session.id != id);
    }

    pub fn session_ids(&self) -> Vec<SessionId> {
        lock(&self.sessions).iter().map(|session| session.id).collect()
    }

    pub fn has_session(&self, id: SessionId) -> bool {
        lock(&self.sessions).iter().any(|session| session.id == id)
    }

    /// Ends the process at once; nobody finds it any more.
    pub fn kill(&self) {
        self.gone.store(true, Ordering::Release);
        self.killed.store(true, Ordering::Release);
        self.process.kill();
    }

    /// Whether this server killed it.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// When it last answered a probe; whoever holds this is the one who probes.
    pub async fn answered_at(&self) -> tokio::sync::MutexGuard<'_, Instant> {
        self.answered_at.lock().await
    }

    /// Ends its sessions, then the process.
    pub async fn shut_down(&self) {
        self.gone.store(true, Ordering::Release);
        let sessions: Vec<_> = lock(&self.sessions).drain(..).collect();
        for session in sessions {
            session.sender.say_bye();
        }
        self.process.shutdown(SHUTDOWN_GRACE).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Release);
    }
}
