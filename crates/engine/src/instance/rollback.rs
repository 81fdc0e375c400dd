//! The rollback of an instance that fails: the handlers that its steps registered run one after the other, the step that
//! began last first, each with its own retries. The first that fails for good ends it.
//!
//! That a step has a handler is recorded with its beginning; the handler itself lives in user code. So a run that is lost
//! meanwhile is followed by one that replays the code, to have the handlers again, and starts no step.

use std::sync::Arc;

use super::{Decision, Failure, Instance, Leaving, Phase, Rejection, Report, Severity, Tell};
use crate::limits::WORKER_KILLS_MAX;
use crate::{CallId, End, Entry, ErrorRecord, Millis, Source, StepConfig, error_text};

/// A rollback under way. The handler that is its turn is the last of those that are left.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rollback {
    /// What handlers are told.
    cause: Arc<ErrorRecord>,
    /// How the instance ends afterwards.
    end: End,
    /// The attempt of the handler whose turn it is.
    attempt: u32,
    state: HandlerState,
}

/// Where that attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandlerState {
    Ready,
    InFlight {
        deadline: Millis,
    },
    /// Started in a run that is lost.
    Interrupted,
    Delayed {
        until: Millis,
    },
}

/// A handler that a step registered, with the configuration of its attempts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Handler {
    call: CallId,
    config: StepConfig,
}

impl Rollback {
    pub fn wait_until(&self) -> Option<Millis> {
        match self.state {
            HandlerState::Delayed { until } => Some(until),
            _ => None,
        }
    }

    fn due(&self) -> Option<Millis> {
        match self.state {
            HandlerState::Delayed { until: at } | HandlerState::InFlight { deadline: at } => Some(at),
            HandlerState::Ready | HandlerState::Interrupted => None,
        }
    }
}

impl Instance {
    pub(super) fn apply_rollback_registered(&mut self, call: CallId, config: &StepConfig) {
        self.handlers.push(Handler { call, config: config.clone() });
    }

    pub(super) fn apply_rollback_started(&mut self, cause: &ErrorRecord, end: &End, at: Millis) {
        self.note_news();
        self.open.clear();
        self.kills = 0;
        self.phase = Phase::RollingBack { since: at };
        self.rollback = Some(Box::new(Rollback {
            cause: Arc::new(cause.clone()),
            end: end.clone(),
            attempt: 1,
            state: HandlerState::Ready,
        }));
    }

    pub(super) fn apply_rollback_attempt_started(&mut self, number: u32, at: Millis) {
        let (Some(rollback), Some(handler)) = (&mut self.rollback, self.handlers.last()) else { return };
        rollback.attempt = number;
        rollback.state = HandlerState::InFlight { deadline: super::deadline(&handler.config, at) };
    }

    pub(super) fn apply_rollback_attempt_failed(&mut self, number: u32, retry_at: Option<Millis>) {
        if let (Some(rollback), Some(until)) = (&mut self.rollback, retry_at) {
            rollback.attempt = number + 1;
            rollback.state = HandlerState::Delayed { until };
        }
    }

    pub(super) fn apply_rolled_back(&mut self) {
        self.handlers.pop();
        if let Some(rollback) = &mut self.rollback {
            rollback.attempt = 1;
            rollback.state = HandlerState::Ready;
        }
    }

    /// The retry delay of the handler whose turn it is has passed.
    pub(super) fn mark_handler_ready(&mut self) {
        if let Some(rollback) = &mut self.rollback {
            rollback.state = HandlerState::Ready;
        }
    }

    pub(super) fn interrupt_handler(&mut self) {
        if let Some(rollback) = &mut self.rollback
            && matches!(rollback.state, HandlerState::InFlight { .. })
        {
            rollback.state = HandlerState::Interrupted;
        }
    }

    /// When [`super::Input::Due`] has something to do for the rollback that began at `since`.
    pub(super) fn rollback_due(&self, since: Millis) -> Option<Millis> {
        let due = self.rollback.as_ref().and_then(|rollback| rollback.due());
        due.or(self.has_lost_handler().then_some(since))
    }

    /// A handler without retries was lost with its worker: it must not run again, so the rollback has failed.
    pub(super) fn has_lost_handler(&self) -> bool {
        let interrupted = self.rollback.as_ref().is_some_and(|rollback| rollback.state == HandlerState::Interrupted);
        interrupted && self.handlers.last().is_some_and(|handler| handler.config.is_at_most_once())
    }

    /// The instance is to end: at once where nothing can be rolled back. Handlers are told `cause`.
    pub(super) fn decide_failure(&self, cause: ErrorRecord, end: End, decision: &mut Decision) {
        if self.handlers.is_empty() {
            decision.entries.push(end.into());
        } else {
            decision.entries.push(Entry::RollbackStarted { cause, end });
        }
    }

    /// `run()` threw, and its run stays to run the handlers.
    pub(super) fn decide_undoing(&self, error: ErrorRecord, cause: Option<ErrorRecord>, decision: &mut Decision) {
        let cause = cause.unwrap_or_else(|| error.clone());
        self.decide_failure(cause.clone(), End::Errored(error), decision);
        match self.handlers.last() {
            None => decision.tells.push(Tell::Forget { force: true }),
            Some(handler) if self.may_undo() => start_attempt(handler.call, 1, Arc::new(cause), decision),
            Some(_) => {}
        }
    }

    /// A user terminates the instance once it is rolled back.
    pub(super) fn decide_roll_back(&self, source: Source, decision: &mut Decision) -> Result<(), Rejection> {
        if self.is_final() {
            return Err(Rejection::CannotTerminate);
        }
        if self.rollback.is_none() {
            self.decide_failure(error_text::terminated_with_rollback(), End::Terminated(source), decision);
            let tell = if self.handlers.is_empty() { Tell::Forget { force: true } } else { Tell::RollBack };
            decision.tells.push(tell);
        }
        Ok(())
    }

    /// A user terminates the instance in the middle of its rollback.
    pub(super) fn decide_rollback_cut(&self, source: Source, decision: &mut Decision) {
        decision.entries.push(Entry::RollbackEnded { error: Some(error_text::terminated_with_rollback()) });
        decision.entries.push(Entry::Terminated { source });
        decision.tells.push(Tell::Forget { force: true });
    }

    pub(super) fn decide_rollback_report(&self, report: Report, now: Millis, decision: &mut Decision) {
        match report {
            Report::UndoReady | Report::Undoing { .. } => self.grant_handler(decision),
            Report::Undone { call, attempt, failure } if self.is_in_flight(call, attempt) => match failure {
                None => self.decide_undone(call, attempt, decision),
                Some(failure) => self.decide_handler_failed(failure, now, decision),
            },
            Report::Completed(_) => decision.detach = true,
            Report::Threw(_) => {
                decision.detach = true;
                if self.run.is_some_and(|run| run.leaving != Leaving::Told) {
                    // There are no handlers in the code, or it cannot be started at all.
                    self.decide_rollback_end(Some(error_text::rollback_missing()), decision);
                }
            }
            _ => {}
        }
    }

    pub(super) fn decide_rollback_due(&self, now: Millis, decision: &mut Decision) {
        let (Some(rollback), Some(Handler { call, config })) = (&self.rollback, self.handlers.last()) else { return };
        match rollback.state {
            HandlerState::Delayed { until } if until <= now => {
                if self.may_undo() {
                    start_attempt(*call, rollback.attempt, Arc::clone(&rollback.cause), decision);
                } else {
                    decision.ready.push(*call);
                }
            }
            HandlerState::InFlight { deadline } if deadline <= now => {
                let failure = Failure {
                    error: error_text::timed_out(config.timeout_ms),
                    severity: Severity::Ordinary,
                    delay_ms: None,
                };
                self.decide_handler_failed(failure, now, decision);
            }
            HandlerState::Interrupted if config.is_at_most_once() => {
                let error = error_text::attempt_lost();
                let failure = Failure { error, severity: Severity::NonRetryable, delay_ms: None };
                self.decide_handler_failed(failure, now, decision);
            }
            _ => {}
        }
    }

    /// The handler whose turn it is may run, if the live run is able to.
    pub(super) fn grant_handler(&self, decision: &mut Decision) {
        let (Some(rollback), Some(handler)) = (&self.rollback, self.handlers.last()) else { return };
        let waits = matches!(rollback.state, HandlerState::Ready | HandlerState::Interrupted);
        if waits && self.may_undo() && !self.has_lost_handler() {
            start_attempt(handler.call, rollback.attempt, Arc::clone(&rollback.cause), decision);
        }
    }

    /// A worker that this instance's code killed while it rolled back.
    pub(super) fn decide_killed_in_rollback(&self, kills: u32, decision: &mut Decision) {
        if kills >= WORKER_KILLS_MAX {
            self.decide_rollback_end(Some(error_text::worker_killed(kills)), decision);
        }
    }

    /// The live run has the handlers at hand, and a place.
    fn may_undo(&self) -> bool {
        self.run.is_some_and(|run| run.undoes && run.has_place && run.leaving != Leaving::Told)
    }

    fn is_in_flight(&self, call: CallId, attempt: u32) -> bool {
        let is_next = self.handlers.last().is_some_and(|handler| handler.call == call);
        let in_flight = |rollback: &Rollback| {
            rollback.attempt == attempt && matches!(rollback.state, HandlerState::InFlight { .. })
        };
        is_next && self.rollback.as_deref().is_some_and(in_flight)
    }

    fn decide_undone(&self, call: CallId, attempt: u32, decision: &mut Decision) {
        decision.entries.push(Entry::RolledBack { call, attempt });
        let next = self.handlers.len().checked_sub(2).and_then(|place| self.handlers.get(place));
        match (next, &self.rollback) {
            (Some(handler), Some(rollback)) => {
                if self.may_undo() {
                    start_attempt(handler.call, 1, Arc::clone(&rollback.cause), decision);
                }
            }
            _ => self.decide_rollback_end(None, decision),
        }
    }

    fn decide_handler_failed(&self, failure: Failure, now: Millis, decision: &mut Decision) {
        let Failure { error, severity, delay_ms } = failure;
        let (Some(rollback), Some(Handler { call, config })) = (&self.rollback, self.handlers.last()) else { return };
        let (call, attempt) = (*call, rollback.attempt);
        let retries = severity == Severity::Ordinary && config.limit.allows_after(attempt);
        let retry_at = retries.then(|| now.saturating_add_unsigned(config.delay_after(attempt, delay_ms)));
        decision.entries.push(Entry::RollbackAttemptFailed { call, attempt, error: error.clone(), retry_at });
        if retry_at.is_none() {
            self.decide_rollback_end(Some(error), decision);
        }
    }

    fn decide_rollback_end(&self, failure: Option<ErrorRecord>, decision: &mut Decision) {
        let Some(rollback) = &self.rollback else { return };
        decision.entries.push(Entry::RollbackEnded { error: failure });
        decision.entries.push(rollback.end.clone().into());
        decision.tells.push(Tell::Forget { force: true });
    }
}

fn start_attempt(call: CallId, attempt: u32, cause: Arc<ErrorRecord>, decision: &mut Decision) {
    decision.entries.push(Entry::RollbackAttemptStarted { call, attempt });
    decision.tells.push(Tell::Undo { call, attempt, cause });
}
