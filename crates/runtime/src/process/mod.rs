//! A worker process: one workerd that runs one deployment. It is started, watched and ended here.
//!
//! Left out: when to start or replace one (the driver decides), and what is said over its session.

mod diagnosis;
mod lines;
mod socket;
mod spawner;
mod supervisor;
mod workerd;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

pub use lines::{Line, Stream};
pub use socket::SocketAddress;
pub use supervisor::Exit;
pub use workerd::Workerd;

use crate::config::{self, Identity, Refusal};
use crate::spec::WorkerSpec;
use supervisor::{Order, Sockets};

/// Why a worker process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no executable; setting up the tools helps.
    #[error("workerd at {path} cannot be run ({reason}): run `stepwell setup` or set STEPWELL_WORKERD")]
    WorkerdMissing { path: PathBuf, reason: String },
    /// There is another workerd than this crate was written for.
    #[error("{path} says \"{found}\", but this server needs workerd {}: run `stepwell setup`", config::WORKERD_DATE)]
    WorkerdVersion { path: PathBuf, found: String },
    /// The upload cannot run here; its author can change that.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The user's code failed while it was loaded.
    #[error("script \"{script}\" failed to load: {message}")]
    Load { script: String, message: String },
    /// A workflow is bound to a class that the main module does not export.
    #[error("script \"{script}\" exports no class \"{class}\"; workflow classes it exports: {}", listed(exported))]
    ClassNotExported { script: String, class: String, exported: Vec<String> },
    /// A workflow is bound to an export that no instance could run.
    #[error(
        "script \"{script}\" exports \"{class}\", which is no class with a run() method: have it extend WorkflowEntrypoint, or \
         name another class; workflow classes it exports: {}",
        listed(exported)
    )]
    NotAWorkflow { script: String, class: String, exported: Vec<String> },
    /// It neither ended nor listened: top-level code that never ends, or a machine out of breath.
    #[error("script \"{script}\" did not finish loading within {waited_ms} ms: its top-level code may never end")]
    NotReady { script: String, waited_ms: u64 },
    /// The system refused; trying again later may help.
    #[error("a worker process for script \"{script}\" could not be started: {source}")]
    System { script: String, source: std::io::Error },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A running worker process. Dropping it kills the process.
#[derive(Debug)]
pub struct WorkerProcess {
    pid: u32,
    identity: Identity,
    sockets: Sockets,
    lines: Option<mpsc::Receiver<Line>>,
    orders: mpsc::UnboundedSender<Order>,
    exit: watch::Receiver<Option<Exit>>,
}

impl WorkerProcess {
    /// Starts workerd and waits until it listens: user code has then been loaded and the exports are there.
    ///
    /// Takes about 30 ms for a small Worker and at most the bound of [`SpawnError::NotReady`]. When it fails, no process
    /// is left.
    pub async fn spawn(workerd: &Workerd, spec: &WorkerSpec) -> Result<Self, SpawnError> {
        config::check(spec)?;
        let identity = Identity::random();
        let started = supervisor::start(workerd, spec, config::encode(spec, &identity)).await?;
        Ok(Self {
            pid: started.pid,
            identity,
            sockets: started.sockets,
            lines: Some(started.lines),
            orders: started.orders,
            exit: started.exit,
        })
    }

    /// Process id, for diagnostics only.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// HTTP to the user's default export.
    pub fn ingress_socket(&self) -> &SocketAddress {
        &self.sockets.ingress
    }

    /// HTTP and WebSocket to the session entrypoint, which wants [`Self::session_token`].
    pub fn session_socket(&self) -> &SocketAddress {
        &self.sockets.session
    }

    /// HTTP to the user's default export, told of as [`crate::TRACE_HEADER`] says.
    pub fn traced_socket(&self) -> &SocketAddress {
        &self.sockets.traced
    }

    /// Secret that the session entrypoint wants to see.
    pub fn session_token(&self) -> &str {
        &self.identity.token
    }

    /// Export name of the session entrypoint.
    pub fn entrypoint(&self) -> &str {
        &self.identity.session
    }

    /// The output from the start on; `None` after the first call. The channel ends with the process.
    pub fn take_lines(&mut self) -> Option<mpsc::Receiver<Line>> {
        self.lines.take()
    }

    /// Resolves when the process has ended, however it ended; may be called and dropped any number of times.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        let mut exit = self.exit.clone();
        async move {
            match exit.wait_for(Option::is_some).await {
                Ok(exit) => (*exit).unwrap_or(Exit::Lost),
                Err(_) => Exit::Lost,
            }
        }
    }

    /// SIGTERM, and SIGKILL if the process is still there after `grace`. A workerd with an open session never heeds
    /// SIGTERM, so close sessions first.
    pub async fn shutdown(&self, grace: Duration) -> Exit {
        let _ = self.orders.send(Order::Terminate);
        if let Ok(exit) = tokio::time::timeout(grace, self.exited()).await {
            return exit;
        }
        self.kill();
        self.exited().await
    }

    /// SIGKILL. Await [`Self::exited`] to know that it is gone.
    pub fn kill(&self) {
        let _ = self.orders.send(Order::Kill);
    }
}
