//! The rollback in a timeline: a step of its own for each handler that ran, and how it ended.

use stepwell_engine::{CallId, ErrorRecord, Millis, StepConfig};

use super::{Timeline, begun_attempt, new_step};
use crate::rest::detail::{Attempt, Do, RollbackView, Step};
use crate::rest::times::Iso;

/// A handler that a step registered.
#[derive(Debug)]
pub(super) struct Handler {
    /// Of its step.
    name: String,
    config: StepConfig,
    /// Where its own step stands, once it has run.
    place: Option<usize>,
}

impl Timeline {
    /// The step that began just before has a handler.
    pub(super) fn register_handler(&mut self, call: CallId, config: StepConfig) {
        if let Some(Step::Do(step)) = self.steps.last() {
            self.handlers.insert(call, Handler { name: step.name.clone(), config, place: None });
        }
    }

    pub(super) fn start_handler(&mut self, call: CallId, number: u32, at: Millis) {
        let next_place = self.steps.len();
        let Some(handler) = self.handlers.get_mut(&call) else { return };
        if handler.place.is_none() {
            handler.place = Some(next_place);
            let step = new_step(handler.name.clone(), &handler.config, at, Vec::new());
            self.steps.push(Step::Rollback(step));
        }
        let Some(step) = self.handler_step(call) else { return };
        step.retry_at = None;
        match step.attempts.get_mut(number.saturating_sub(1) as usize) {
            None => step.attempts.push(begun_attempt(at)),
            Some(attempt) => {
                attempt.interruptions += 1;
                attempt.start = Iso(at);
            }
        }
    }

    pub(super) fn end_handler(
        &mut self,
        call: CallId,
        failure: Option<ErrorRecord>,
        retry_at: Option<Millis>,
        at: Millis,
    ) {
        let Some(step) = self.handler_step(call) else { return };
        let success = failure.is_none();
        if let Some(attempt) = step.attempts.last_mut() {
            *attempt = Attempt {
                end: Some(Iso(at)),
                success: Some(success),
                error: failure.map(Into::into),
                ..attempt.clone()
            };
        }
        step.retry_at = retry_at.map(Iso);
        if retry_at.is_none() {
            step.end = Some(Iso(at));
            step.success = Some(success);
        }
    }

    pub(super) fn end_rollback(&mut self, error: Option<ErrorRecord>) {
        self.rollback = Some(RollbackView::of(error));
    }

    fn handler_step(&mut self, call: CallId) -> Option<&mut Do> {
        match self.steps.get_mut(self.handlers.get(&call)?.place?)? {
            Step::Rollback(step) => Some(step),
            _ => None,
        }
    }
}
