//! Who follows runs live: is told what they write and how they end, beside what is kept of it. What nobody follows costs
//! one question for each word of a session.

use std::sync::Arc;

use stepwell_engine::engine::Fault;
use stepwell_engine::instance::{Report, Severity};
use stepwell_engine::{ErrorRecord, InstanceKey, Millis, RunId, SessionId, WorkflowId};
use stepwell_runtime::translate::ConsoleLine;
use stepwell_store::ScopedName;

use super::session_io::SessionCatalog;
use super::{Driver, RunIo, now_ms};

/// Follows runs. It is asked on the driver's own thread and must not wait.
pub trait Follower: Send + Sync + 'static {
    /// Whether the runs of a script are followed now.
    fn follows(&self, script: &ScopedName) -> bool;
    /// Something happened to a run of a script that is followed.
    fn tell(&self, news: RunNews);
}

/// What happened to a run.
#[derive(Debug)]
pub struct RunNews {
    /// Which run.
    pub of: FollowedRun,
    /// When.
    pub at: Millis,
    /// What.
    pub word: RunWord,
}

/// A run that is followed.
#[derive(Debug)]
pub struct FollowedRun {
    /// Its number.
    pub run: RunId,
    /// Whose.
    pub key: InstanceKey,
    /// The instance's id, where it is at hand.
    pub id: Option<Arc<str>>,
    /// Of which workflow, which stands in the catalog.
    pub workflow: WorkflowId,
    /// The code that runs.
    pub catalog: Arc<SessionCatalog>,
    /// When the run began.
    pub started_at: Millis,
}

/// What a run says of itself.
#[derive(Debug)]
pub enum RunWord {
    /// It wrote to its console.
    Wrote(ConsoleLine),
    /// It threw and goes on, to undo what it did.
    Threw(ErrorRecord),
    /// It is over.
    Over(RunEnd),
}

/// How a run is over.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEnd {
    /// It returned, or waits without a run.
    Ok,
    /// Its instance ends with this error.
    Threw(ErrorRecord),
    /// It was told to end: its instance was paused, terminated or restarted, or its process goes.
    Canceled,
    /// It computed without end.
    Hung,
    /// Its process died.
    Lost,
}

impl RunWord {
    /// What a report means to a follower, if anything. `is_forced`: the run was told to be forgotten whatever it did.
    pub(super) fn of(report: &Report, is_forced: bool) -> Option<Self> {
        Some(match report {
            Report::Completed(_) => Self::Over(RunEnd::Ok),
            Report::Threw(error) => Self::Over(RunEnd::Threw(error.clone())),
            Report::Forgotten => Self::Over(if is_forced { RunEnd::Canceled } else { RunEnd::Ok }),
            Report::Undoing { error, .. } | Report::Failed { severity: Severity::Fatal(error), .. } => {
                Self::Threw(error.clone())
            }
            _ => return None,
        })
    }
}

impl From<Fault> for RunEnd {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::None | Fault::Killed { .. } => Self::Canceled,
            Fault::Crashed { .. } => Self::Lost,
            Fault::Hung { .. } => Self::Hung,
        }
    }
}

impl<P> Driver<P> {
    pub(super) fn is_followed(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|io| self.follower.follows(&io.catalog.script))
    }

    pub(super) fn tell_follower(&self, run: RunId, word: impl FnOnce(&RunIo) -> Option<RunWord>) {
        let Some(io) = self.runs.get(&run) else { return };
        let Some(session) = self.sessions.get(&io.session) else { return };
        let Some(word) = word(io) else { return };
        let of = FollowedRun {
            run,
            key: io.key,
            id: io.id.clone(),
            workflow: io.workflow,
            catalog: Arc::clone(&session.catalog),
            started_at: io.started_at,
        };
        self.follower.tell(RunNews { of, at: now_ms(), word });
    }

    /// A session is gone with its runs.
    pub(super) fn tell_of_loss(&self, session: SessionId, fault: Fault) {
        for (run, _) in self.runs.iter().filter(|(_, io)| io.session == session) {
            self.tell_follower(*run, |_| Some(RunWord::Over(fault.into())));
        }
    }
}

/// Follows nothing.
#[derive(Debug)]
pub(super) struct Nobody;

impl Follower for Nobody {
    fn follows(&self, _: &ScopedName) -> bool {
        false
    }

    fn tell(&self, _: RunNews) {}
}
