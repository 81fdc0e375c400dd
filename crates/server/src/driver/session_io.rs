//! A session as the driver sees it: where to write, and what its code can run.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stepwell_engine::instance::Tell;
use stepwell_engine::{DeploymentId, RunId, WorkflowId};
use stepwell_runtime::session::{FRAME_BYTES_MAX, SessionSender};
use stepwell_runtime::translate::{Frame, write_tell};
use stepwell_store::ScopedName;

use super::start::StartInfo;

/// The code of a session, and the workflows that it implements.
#[derive(Debug)]
pub struct SessionCatalog {
    /// The script.
    pub script: ScopedName,
    /// Its deployment.
    pub deployment: DeploymentId,
    /// By the store's number.
    pub workflows: HashMap<WorkflowId, StartInfo>,
    /// What its process shows when it speaks of its runs by HTTP.
    pub token: String,
}

impl SessionCatalog {
    /// What a start message says of a workflow.
    #[must_use]
    pub fn start_info(&self, workflow: WorkflowId) -> Option<&StartInfo> {
        self.workflows.get(&workflow)
    }
}

/// How busy a session is: read by its watchdog and by what recycles it.
#[derive(Debug, Default)]
pub struct SessionLoad {
    live: AtomicUsize,
    started: AtomicUsize,
}

impl SessionLoad {
    pub(super) fn enter(&self) {
        self.live.fetch_add(1, Ordering::Relaxed);
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    /// Runs that it holds.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Runs that it has ever held.
    #[must_use]
    pub fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }
}

/// The sending side of a session.
pub(super) struct SessionIo {
    pub sender: Arc<SessionSender>,
    pub catalog: Arc<SessionCatalog>,
    pub load: Arc<SessionLoad>,
    pub frame: Frame,
}

impl SessionIo {
    pub fn new(sender: Arc<SessionSender>, catalog: Arc<SessionCatalog>, load: Arc<SessionLoad>) -> Self {
        Self { sender, catalog, load, frame: Frame::default() }
    }

    pub fn tell(&mut self, run: RunId, tell: &Tell) {
        write_tell(run, tell, &mut self.frame);
        if self.frame.len_bytes() >= FRAME_BYTES_MAX {
            self.send();
        }
    }

    /// Sends what has been gathered. A session that is gone says so elsewhere.
    pub fn send(&mut self) {
        if !self.frame.is_empty() {
            self.sender.post(self.frame.take());
        }
    }
}
