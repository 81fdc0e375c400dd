//! Rollback handlers in a simulated run: which the code has registered, and those that execute.

use std::collections::BTreeMap;
use std::rc::Rc;

use stepwell_engine::instance::{Failure, Report, Severity};
use stepwell_engine::{CallId, ErrorRecord};

use super::program::{Undo, UndoBody};
use super::turn::{Poison, Seen};

/// How late a worker may hear of what is recorded: a slow commit and a slow message.
const LATE_MS: i64 = 10_000;

/// How far a run has come with its rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// There is none.
    Forward,
    /// The code is replayed for its handlers.
    Replay,
    /// Handlers run.
    Undoing,
}

/// An attempt of a handler.
#[derive(Debug)]
struct Attempt {
    call: CallId,
    number: u32,
    undo: Rc<Undo>,
    started_at: i64,
    ends_at: Option<i64>,
}

/// The handlers of a run.
#[derive(Debug)]
pub struct Handlers {
    pub phase: Phase,
    pub registered: BTreeMap<CallId, Rc<Undo>>,
    asked: Vec<(CallId, u32)>,
    attempts: Vec<Attempt>,
    /// The server will ask for a handler in any case.
    expects: bool,
}

impl Handlers {
    pub fn new(rolls_back: bool) -> Self {
        let phase = if rolls_back { Phase::Replay } else { Phase::Forward };
        Self { phase, registered: BTreeMap::new(), asked: Vec::new(), attempts: Vec::new(), expects: false }
    }

    /// `run()` threw; says whether the run stays.
    pub fn begin(&mut self, error: &ErrorRecord, out: &mut Vec<Report>) -> bool {
        if self.registered.is_empty() {
            return false;
        }
        self.phase = Phase::Undoing;
        self.expects = true;
        out.push(Report::Undoing { error: error.clone(), cause: None });
        true
    }

    pub fn ready(&mut self, out: &mut Vec<Report>) {
        self.phase = Phase::Undoing;
        out.push(Report::UndoReady);
    }

    pub fn roll_back(&mut self, out: &mut Vec<Report>) {
        match self.phase {
            Phase::Forward => self.phase = Phase::Replay,
            Phase::Replay => {}
            Phase::Undoing => out.push(Report::UndoReady),
        }
    }

    pub fn ask(&mut self, call: CallId, attempt: u32) {
        self.expects = false;
        self.asked.push((call, attempt));
    }

    /// It must not be forgotten gently.
    pub fn is_busy(&self) -> bool {
        self.phase == Phase::Replay || self.expects || !self.attempts.is_empty() || !self.asked.is_empty()
    }

    /// It executes a handler whose attempt cannot have timed out: its time runs from when its beginning was recorded,
    /// which is before the worker hears of it.
    pub fn is_executing(&self, now: i64) -> bool {
        let certain = |attempt: &Attempt| attempt.started_at.saturating_add_unsigned(attempt.undo.config.timeout_ms);
        self.attempts.iter().any(|attempt| certain(attempt) - LATE_MS > now)
    }

    pub fn wake_at(&self) -> Option<i64> {
        self.attempts.iter().filter_map(|attempt| attempt.ends_at).min()
    }

    /// Goes on as far as it can; says whether anything moved.
    pub fn advance(&mut self, now: i64, out: &mut Vec<Report>, seen: &mut Vec<Seen>) -> (bool, Option<Poison>) {
        let asked = std::mem::take(&mut self.asked);
        let mut moved = !asked.is_empty();
        let mut poison = None;
        for (call, number) in asked {
            let Some(undo) = self.registered.get(&call).cloned() else {
                let error = ErrorRecord::new("RollbackMissing", "no handler");
                out.push(undone(call, number, Some((error, Severity::NonRetryable))));
                continue;
            };
            seen.push(Seen::HandlerStarted { call, attempt: number, at_most_once: undo.config.is_at_most_once() });
            let ends_at = match undo.body {
                UndoBody::Instant => Some(now),
                UndoBody::Takes(ms) => Some(now + ms),
                UndoBody::Never => None,
                UndoBody::KillsWorker => {
                    poison = Some(Poison::Kill);
                    None
                }
            };
            self.attempts.push(Attempt { call, number, undo, started_at: now, ends_at });
        }
        let (over, left) = std::mem::take(&mut self.attempts)
            .into_iter()
            .partition::<Vec<_>, _>(|attempt| attempt.ends_at.is_some_and(|at| at <= now));
        self.attempts = left;
        moved |= !over.is_empty();
        for Attempt { call, number, undo, .. } in over {
            let error = ErrorRecord::new("Error", format!("attempt {number} of the handler of {call}"));
            out.push(undone(call, number, (number <= undo.fails).then(|| (error, undo.severity.clone()))));
        }
        (moved, poison)
    }
}

fn undone(call: CallId, attempt: u32, failure: Option<(ErrorRecord, Severity)>) -> Report {
    let failure = failure.map(|(error, severity)| Failure { error, severity, delay_ms: None });
    Report::Undone { call, attempt, failure }
}
