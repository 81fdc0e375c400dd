//! What happened in an instance, as people read it: a fold over its entries, page by page. Pure.
//!
//! It holds what the answer will hold and no more: step outputs up to a bound, payloads of events until they are
//! delivered. Statuses, times of the instance and its version are in its row and stay out.

mod rollback;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use stepwell_engine::{
    CallId, End, Entry, ErrorRecord, Millis, Outcome, Payload, Recorded, StepConfig, StepKind, error_text,
};

use rollback::Handler;

use super::detail::{Attempt, Config, Do, ErrorView, RollbackView, Step, Trigger, Wait};
use super::times::Iso;

/// Instead of a sensitive step's output.
pub const REDACTED: &str = "[REDACTED]";
/// Instead of an output that the answer has no room for.
pub const LEFT_OUT: &str = "[output left out: read it with GET …/step?name=…]";

/// Which step outputs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// All, until they have so many bytes.
    Bytes(usize),
    /// Those of the steps of this name (with its count).
    OfStep(String),
}

/// A history as far as it was read.
#[derive(Debug)]
pub struct Timeline {
    keep: Keep,
    params: Payload,
    trigger: Trigger,
    steps: Vec<Step>,
    open: HashMap<CallId, Open>,
    handlers: HashMap<CallId, Handler>,
    rollback: Option<RollbackView>,
    events: HashMap<u64, Option<Arc<str>>>,
    paused_at: Option<Millis>,
    diverged: Option<Divergence>,
    output: Option<Payload>,
    error: Option<ErrorRecord>,
}

/// The code no longer does what is recorded.
#[derive(Debug)]
struct Divergence {
    message: String,
    stuck: bool,
}

/// A call that has not settled.
#[derive(Debug)]
struct Open {
    place: usize,
    sensitive: bool,
    timeout_ms: u64,
}

/// What a timeline adds up to.
#[derive(Debug)]
pub struct Folded {
    /// `event.payload`.
    pub params: Payload,
    /// Where it came from.
    pub trigger: Trigger,
    /// In the order in which they began.
    pub steps: Vec<Step>,
    /// How its rollback ended.
    pub rollback: Option<RollbackView>,
    /// What its code no longer does as recorded.
    pub diverged: Option<String>,
    /// Output, once complete.
    pub output: Option<Payload>,
    /// Error, once errored.
    pub error: Option<ErrorRecord>,
}

impl Timeline {
    /// Nothing read yet.
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            params: Payload::UNDEFINED,
            trigger: Trigger::of(""),
            steps: Vec::new(),
            open: HashMap::new(),
            handlers: HashMap::new(),
            rollback: None,
            events: HashMap::new(),
            paused_at: None,
            diverged: None,
            output: None,
            error: None,
        }
    }

    /// What was read adds up to this.
    pub fn finish(self) -> Folded {
        let Self { params, trigger, steps, rollback, diverged, output, error, .. } = self;
        let diverged = diverged.map(|divergence| divergence.message);
        Folded { params, trigger, steps, rollback, diverged, output, error }
    }

    /// Reads the next entry.
    pub fn push(&mut self, recorded: Recorded) {
        let Recorded { seq, at, entry } = recorded;
        if shows_progress(&entry) {
            self.diverged.take_if(|divergence| divergence.stuck);
        }
        match entry {
            Entry::Created { params, trigger, .. } => {
                self.params = params;
                self.trigger = Trigger::of(&trigger);
            }
            Entry::Started { .. } | Entry::PauseRequested | Entry::WorkerKilled | Entry::RollbackStarted { .. } => {}
            Entry::Begun { call, name, count, kind, started, .. } => self.begin(call, &name, count, kind, started, at),
            Entry::Did { name, count, config, value, .. } => self.did(&name, count, config.as_deref(), value, at),
            Entry::AttemptStarted { call, attempt } => self.start_attempt(call, attempt, at),
            Entry::AttemptFailed { call, attempt, error, retry_at } => {
                self.fail_attempt(call, attempt, error, retry_at, at);
            }
            Entry::Settled { call, outcome } => self.settle(call, outcome, at),
            Entry::EventReceived { payload, .. } => {
                self.events.insert(seq, payload.json);
            }
            Entry::Paused => self.paused_at = Some(at),
            Entry::Resumed => self.resume(at),
            Entry::RollbackRegistered { call, config } => self.register_handler(call, *config),
            Entry::RollbackAttemptStarted { call, attempt } => self.start_handler(call, attempt, at),
            Entry::RollbackAttemptFailed { call, error, retry_at, .. } => {
                self.end_handler(call, Some(error), retry_at, at);
            }
            Entry::RolledBack { call, .. } => self.end_handler(call, None, None, at),
            Entry::RollbackEnded { error } => self.end_rollback(error),
            Entry::Diverged { message, stuck } => self.diverged = Some(Divergence { message, stuck }),
            Entry::Completed { output } => self.output = Some(output),
            Entry::Errored { error } => self.error = Some(error),
            Entry::Terminated { source } => {
                self.steps.push(Step::Termination { trigger: Trigger::of(source.as_str()) });
            }
        }
    }

    fn begin(&mut self, call: CallId, name: &str, count: u32, kind: StepKind, started: bool, at: Millis) {
        let name = format!("{name}-{count}");
        let mut open = Open { place: self.steps.len(), sensitive: false, timeout_ms: 0 };
        let wait = |name, until, event_type| Wait {
            name,
            start: Iso(at),
            end: Iso(until),
            finished: false,
            error: None,
            output: None,
            event_type,
        };
        let step = match kind {
            StepKind::Do(config) => {
                open.sensitive = config.sensitive;
                let attempts = if started { vec![begun_attempt(at)] } else { Vec::new() };
                Step::Do(new_step(name, &config, at, attempts))
            }
            StepKind::Sleep { until } | StepKind::SleepUntil { until } => Step::Sleep(wait(name, until, None)),
            StepKind::Wait { event_type, timeout_ms, until } => {
                open.timeout_ms = timeout_ms;
                Step::WaitForEvent(wait(name, until, Some(event_type)))
            }
        };
        self.steps.push(step);
        self.open.insert(call, open);
    }

    fn did(&mut self, name: &str, count: u32, config: Option<&StepConfig>, value: Payload, at: Millis) {
        let config = config.unwrap_or(&StepConfig::DEFAULT);
        let attempt = Attempt { end: Some(Iso(at)), success: Some(true), ..begun_attempt(at) };
        let mut step = new_step(format!("{name}-{count}"), config, at, vec![attempt]);
        step.end = Some(Iso(at));
        step.success = Some(true);
        step.output = self.output_of(&step.name, config.sensitive, value);
        self.steps.push(Step::Do(step));
    }

    fn start_attempt(&mut self, call: CallId, number: u32, at: Millis) {
        if let Some(attempt) = self.attempt(call, number, at)
            && attempt.start != Iso(at)
        {
            attempt.interruptions += 1;
            attempt.start = Iso(at);
        }
        if let Some(step) = self.step(call) {
            step.retry_at = None;
        }
    }

    fn fail_attempt(&mut self, call: CallId, number: u32, error: ErrorRecord, retry_at: Option<Millis>, at: Millis) {
        if let Some(attempt) = self.attempt(call, number, at) {
            attempt.end = Some(Iso(at));
            attempt.success = Some(false);
            attempt.error = Some(error.into());
        }
        let Some(step) = self.step(call) else { return };
        step.retry_at = retry_at.map(Iso);
        if retry_at.is_none() {
            step.end = Some(Iso(at));
            step.success = Some(false);
            self.open.remove(&call);
        }
    }

    fn settle(&mut self, call: CallId, outcome: Outcome, at: Millis) {
        match outcome {
            Outcome::Done { attempt, value } => self.succeed(call, attempt, value, at),
            Outcome::Lost(error) => {
                let number = self.step(call).map_or(1, |step| step.attempts.len().max(1));
                self.fail_attempt(call, u32::try_from(number).unwrap_or(u32::MAX), error, None, at);
            }
            Outcome::Streamed { attempt, stream, preview } => {
                let place = self.open.get(&call).filter(|open| !open.sensitive).map(|open| open.place);
                self.succeed(call, attempt, preview, at);
                if let Some(Step::Do(step)) = place.and_then(|place| self.steps.get_mut(place)) {
                    step.stream = Some(stream);
                }
            }
            Outcome::Slept => self.end_wait(call, None, None, at),
            Outcome::Event { seq } => {
                let payload = self.events.remove(&seq).flatten();
                self.end_wait(call, None, payload, at);
            }
            Outcome::TimedOut => {
                let timeout_ms = self.open.get(&call).map_or(0, |open| open.timeout_ms);
                self.end_wait(call, Some(error_text::timed_out(timeout_ms).into()), None, at);
            }
        }
    }

    fn succeed(&mut self, call: CallId, number: u32, value: Payload, at: Millis) {
        if let Some(attempt) = self.attempt(call, number, at) {
            attempt.end = Some(Iso(at));
            attempt.success = Some(true);
        }
        let Some(open) = self.open.remove(&call) else { return };
        let Some(Step::Do(step)) = self.steps.get(open.place) else { return };
        let name = step.name.clone();
        let output = self.output_of(&name, open.sensitive, value);
        if let Some(Step::Do(step)) = self.steps.get_mut(open.place) {
            step.end = Some(Iso(at));
            step.success = Some(true);
            step.output = output;
        }
    }

    fn end_wait(&mut self, call: CallId, error: Option<ErrorView>, output: Option<Arc<str>>, at: Millis) {
        let Some(open) = self.open.remove(&call) else { return };
        let output = output.map(|text| self.within_bound(text));
        if let Some(Step::Sleep(wait) | Step::WaitForEvent(wait)) = self.steps.get_mut(open.place) {
            wait.end = Iso(at);
            wait.finished = true;
            wait.error = error;
            wait.output = output;
        }
    }

    /// Due times move by the time paused.
    fn resume(&mut self, at: Millis) {
        let Some(since) = self.paused_at.take() else { return };
        let paused_ms = (at - since).max(0);
        for open in self.open.values() {
            match self.steps.get_mut(open.place) {
                Some(Step::Sleep(wait) | Step::WaitForEvent(wait)) => wait.end.0 += paused_ms,
                Some(Step::Do(step)) => step.retry_at = step.retry_at.map(|Iso(due)| Iso(due + paused_ms)),
                _ => {}
            }
        }
    }

    fn step(&mut self, call: CallId) -> Option<&mut Do> {
        let place = self.open.get(&call)?.place;
        match self.steps.get_mut(place)? {
            Step::Do(step) => Some(step),
            _ => None,
        }
    }

    /// An attempt of an open step; one whose beginning was not recorded begins where it is first heard of.
    fn attempt(&mut self, call: CallId, number: u32, at: Millis) -> Option<&mut Attempt> {
        let step = self.step(call)?;
        let place = number.saturating_sub(1) as usize;
        if place >= step.attempts.len() {
            step.attempts.push(begun_attempt(at));
            return step.attempts.last_mut();
        }
        step.attempts.get_mut(place)
    }

    fn output_of(&mut self, name: &str, sensitive: bool, value: Payload) -> Option<Arc<str>> {
        if sensitive {
            return Some(REDACTED.into());
        }
        match &self.keep {
            Keep::OfStep(wanted) if wanted != name => None,
            Keep::OfStep(_) => value.json,
            Keep::Bytes(_) => value.json.map(|text| self.within_bound(text)),
        }
    }

    fn within_bound(&mut self, text: Arc<str>) -> Arc<str> {
        let Keep::Bytes(left) = &mut self.keep else { return text };
        match left.checked_sub(text.len()) {
            Some(rest) => {
                *left = rest;
                text
            }
            None => LEFT_OUT.into(),
        }
    }
}

/// Whether only code that goes on, and is not stuck, leads to such an entry.
fn shows_progress(entry: &Entry) -> bool {
    match entry {
        Entry::Begun { .. } | Entry::Did { .. } | Entry::Completed { .. } | Entry::Errored { .. } => true,
        Entry::RollbackStarted { end, .. } => matches!(end, End::Errored(_)),
        _ => false,
    }
}

fn new_step(name: String, config: &StepConfig, at: Millis, attempts: Vec<Attempt>) -> Do {
    let config = Config::from(config);
    Do { name, start: Iso(at), end: None, success: None, output: None, stream: None, config, attempts, retry_at: None }
}

fn begun_attempt(at: Millis) -> Attempt {
    Attempt { start: Iso(at), end: None, success: None, error: None, interruptions: 0 }
}
