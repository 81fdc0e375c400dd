//! The events of a rollback.

use stepwell_engine::{CallId, ErrorRecord, Millis};

use super::event::Body;
use super::fold::{Bodies, Fold, Shown};

/// A handler that a step registered.
#[derive(Debug)]
pub(super) struct Handler {
    /// Of its step.
    name: String,
    attempt: u32,
}

impl Fold {
    /// The step that began just before has a handler.
    pub(super) fn register_handler(&mut self, call: CallId) {
        let name = std::mem::take(&mut self.last_step);
        self.handlers.insert(call, Handler { name, attempt: 0 });
    }

    pub(super) fn start_rollback(&mut self, bodies: &mut Bodies) {
        self.open.clear();
        self.waiting = 0;
        self.show(Shown::RollingBack, Body::RollbackStarted, bodies);
    }

    /// An attempt that is begun anew because its worker was lost is the same attempt.
    pub(super) fn start_handler(&mut self, call: CallId, attempt: u32, bodies: &mut Bodies) {
        let Some(handler) = self.handlers.get_mut(&call).filter(|handler| attempt > handler.attempt) else { return };
        let step_name = handler.name.clone();
        if handler.attempt == 0 {
            bodies.add(Body::RollbackStepStarted { step_name: step_name.clone() });
        }
        handler.attempt = attempt;
        bodies.add(Body::RollbackAttemptStarted { step_name, attempt });
    }

    pub(super) fn fail_handler(
        &mut self,
        call: CallId,
        attempt: u32,
        error: ErrorRecord,
        retry_delay_ms: Option<Millis>,
        bodies: &mut Bodies,
    ) {
        let Some(handler) = self.handlers.get(&call) else { return };
        let step_name = handler.name.clone();
        let error = error.into();
        bodies.add(Body::RollbackAttemptErrored { step_name: step_name.clone(), attempt, retry_delay_ms, error });
        if retry_delay_ms.is_none() {
            bodies.add(Body::RollbackStepErrored { step_name });
        }
    }

    pub(super) fn complete_handler(&mut self, call: CallId, attempt: u32, bodies: &mut Bodies) {
        let Some(Handler { name: step_name, .. }) = self.handlers.remove(&call) else { return };
        bodies.add(Body::RollbackAttemptCompleted { step_name: step_name.clone(), attempt });
        bodies.add(Body::RollbackStepCompleted { step_name });
    }
}
