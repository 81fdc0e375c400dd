//! From entries of a history to events: a fold that holds what calls that have not settled are called, and no values.

use std::collections::HashMap;
use std::sync::Arc;

use stepwell_engine::{CallId, Entry, ErrorRecord, Millis, Outcome, Payload, Recorded, StepConfig, StepKind};

use super::event::{Body, EVENTS_PER_ENTRY, Event, Value};
use super::rollback::Handler;
use crate::rest::REDACTED;

/// A history as far as it was read.
#[derive(Debug, Default)]
pub struct Fold {
    pub(super) open: HashMap<CallId, Open>,
    pub(super) handlers: HashMap<CallId, Handler>,
    /// Name of the `do` that began last.
    pub(super) last_step: String,
    /// Open calls that only time or an event moves.
    pub(super) waiting: usize,
    params: Option<Payload>,
    shown: Shown,
    has_started: bool,
}

/// A call that has not settled.
#[derive(Debug)]
pub(super) struct Open {
    name: String,
    sensitive: bool,
    attempt: u32,
    waits: bool,
}

/// What the last event said of the instance as a whole.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    #[default]
    Queued,
    Running,
    Waiting,
    Pausing,
    Paused,
    RollingBack,
    Ended,
}

/// The events of one entry.
pub(super) struct Bodies(Vec<Body>);

impl Fold {
    /// Whether the instance has ended: nothing follows.
    pub fn is_ended(&self) -> bool {
        self.shown == Shown::Ended
    }

    /// Reads the next entry and gives its events.
    pub fn push(&mut self, recorded: Recorded) -> Vec<Event> {
        let Recorded { seq, at, entry } = recorded;
        let mut bodies = Bodies(Vec::new());
        self.take(entry, at, &mut bodies);
        self.show_waiting(&mut bodies);
        let ids = seq * EVENTS_PER_ENTRY..(seq + 1) * EVENTS_PER_ENTRY;
        ids.zip(bodies.0).map(|(event_id, body)| Event { event_id, timestamp: at, body }).collect()
    }

    fn take(&mut self, entry: Entry, at: Millis, bodies: &mut Bodies) {
        match entry {
            Entry::Created { params, .. } => {
                self.params = Some(params);
                bodies.add(Body::WorkflowQueued);
            }
            Entry::Started { .. } => self.start(bodies),
            Entry::Begun { call, name, count, kind, started, .. } => {
                self.begin(call, format!("{name}-{count}"), kind, started, at, bodies);
            }
            Entry::Did { name, count, config, value, .. } => {
                self.last_step = format!("{name}-{count}");
                did(self.last_step.clone(), config.as_deref().unwrap_or(&StepConfig::DEFAULT), value, bodies);
            }
            Entry::AttemptStarted { call, attempt } => self.start_attempt(call, attempt, bodies),
            Entry::AttemptFailed { call, attempt, error, retry_at } => {
                self.fail(call, attempt, error, retry_at.map(|due| due - at), bodies);
            }
            Entry::Settled { call, outcome } => self.settle(call, outcome, bodies),
            Entry::PauseRequested => self.show(Shown::Pausing, Body::WorkflowWaitingForPause, bodies),
            Entry::Paused => self.show(Shown::Paused, Body::WorkflowPaused, bodies),
            Entry::Resumed if self.shown == Shown::Paused => self.show(Shown::Queued, Body::WorkflowQueued, bodies),
            Entry::Resumed => self.show(Shown::Running, Body::WorkflowRunning, bodies),
            Entry::EventReceived { .. } | Entry::WorkerKilled | Entry::Diverged { .. } => {}
            Entry::RollbackRegistered { call, .. } => self.register_handler(call),
            Entry::RollbackStarted { .. } => self.start_rollback(bodies),
            Entry::RollbackAttemptStarted { call, attempt } => self.start_handler(call, attempt, bodies),
            Entry::RollbackAttemptFailed { call, attempt, error, retry_at } => {
                self.fail_handler(call, attempt, error, retry_at.map(|due| due - at), bodies);
            }
            Entry::RolledBack { call, attempt } => self.complete_handler(call, attempt, bodies),
            Entry::RollbackEnded { error: None } => bodies.add(Body::RollbackCompleted),
            Entry::RollbackEnded { error: Some(error) } => bodies.add(Body::RollbackErrored { error: error.into() }),
            Entry::Completed { output } => {
                self.show(Shown::Ended, Body::WorkflowCompleted { output: Value(output) }, bodies);
            }
            Entry::Errored { error } => {
                self.show(Shown::Ended, Body::WorkflowErrored { error: error.into() }, bodies);
            }
            Entry::Terminated { .. } => self.show(Shown::Ended, Body::WorkflowTerminated, bodies),
        }
    }

    pub(super) fn show(&mut self, shown: Shown, body: Body, bodies: &mut Bodies) {
        if self.shown != shown {
            self.shown = shown;
            bodies.add(body);
        }
    }

    /// Between running and waiting an instance moves by what its calls do.
    fn show_waiting(&mut self, bodies: &mut Bodies) {
        let only_waits = self.waiting > 0 && self.waiting == self.open.len();
        match self.shown {
            Shown::Running if only_waits => self.show(Shown::Waiting, Body::WorkflowWaiting, bodies),
            Shown::Waiting if !only_waits => self.show(Shown::Running, Body::WorkflowRunning, bodies),
            _ => {}
        }
    }

    fn start(&mut self, bodies: &mut Bodies) {
        if !self.has_started {
            self.has_started = true;
            let params = self.params.take().unwrap_or(Payload::UNDEFINED);
            bodies.add(Body::WorkflowStarted { params: Value(params) });
        }
        if self.shown == Shown::Queued {
            self.show(Shown::Running, Body::WorkflowRunning, bodies);
        }
    }

    fn begin(
        &mut self,
        call: CallId,
        step_name: String,
        kind: StepKind,
        started: bool,
        at: Millis,
        bodies: &mut Bodies,
    ) {
        let mut open = Open { name: step_name.clone(), sensitive: false, attempt: u32::from(started), waits: true };
        match kind {
            StepKind::Do(config) => {
                open.sensitive = config.sensitive;
                open.waits = false;
                self.last_step.clone_from(&step_name);
                bodies.add(Body::StepStarted { step_name: step_name.clone(), config: (&config).into() });
                if started {
                    bodies.add(Body::AttemptStarted { step_name, attempt: 1 });
                }
            }
            StepKind::Sleep { until } | StepKind::SleepUntil { until } => {
                bodies.add(Body::SleepStarted { step_name, duration_ms: until - at });
            }
            StepKind::Wait { event_type, .. } => bodies.add(Body::WaitStarted { step_name, event_type }),
        }
        self.waiting += usize::from(open.waits);
        self.open.insert(call, open);
    }

    /// An attempt that is begun anew because its worker was lost is the same attempt.
    fn start_attempt(&mut self, call: CallId, attempt: u32, bodies: &mut Bodies) {
        self.set_waits(call, false);
        let Some(open) = self.open.get_mut(&call) else { return };
        if attempt > open.attempt {
            open.attempt = attempt;
            bodies.add(Body::AttemptStarted { step_name: open.name.clone(), attempt });
        }
    }

    fn fail(
        &mut self,
        call: CallId,
        attempt: u32,
        error: ErrorRecord,
        retry_delay_ms: Option<Millis>,
        bodies: &mut Bodies,
    ) {
        self.start_attempt(call, attempt, bodies);
        let Some(open) = self.open.get(&call) else { return };
        let step_name = open.name.clone();
        let error = error.into();
        bodies.add(Body::AttemptErrored { step_name: step_name.clone(), attempt, retry_delay_ms, error });
        if retry_delay_ms.is_some() {
            self.set_waits(call, true);
        } else {
            self.close(call);
            bodies.add(Body::StepErrored { step_name });
        }
    }

    fn settle(&mut self, call: CallId, outcome: Outcome, bodies: &mut Bodies) {
        match outcome {
            Outcome::Done { attempt, value } | Outcome::Streamed { attempt, preview: value, .. } => {
                self.start_attempt(call, attempt, bodies);
                let Some(Open { name, sensitive, .. }) = self.close(call) else { return };
                complete(name, attempt, sensitive, value, bodies);
            }
            Outcome::Lost(error) => {
                let attempt = self.open.get(&call).map_or(1, |open| open.attempt.max(1));
                self.fail(call, attempt, error, None, bodies);
            }
            Outcome::Slept => self.end_wait(call, |step_name| Body::SleepCompleted { step_name }, bodies),
            Outcome::Event { .. } => self.end_wait(call, |step_name| Body::WaitCompleted { step_name }, bodies),
            Outcome::TimedOut => self.end_wait(call, |step_name| Body::WaitTimedOut { step_name }, bodies),
        }
    }

    fn end_wait(&mut self, call: CallId, body: impl FnOnce(String) -> Body, bodies: &mut Bodies) {
        if let Some(open) = self.close(call) {
            bodies.add(body(open.name));
        }
    }

    fn set_waits(&mut self, call: CallId, waits: bool) {
        let Some(open) = self.open.get_mut(&call).filter(|open| open.waits != waits) else { return };
        open.waits = waits;
        if waits {
            self.waiting += 1;
        } else {
            self.waiting -= 1;
        }
    }

    fn close(&mut self, call: CallId) -> Option<Open> {
        let open = self.open.remove(&call)?;
        self.waiting -= usize::from(open.waits);
        Some(open)
    }
}

impl Bodies {
    pub(super) fn add(&mut self, body: Body) {
        debug_assert!((self.0.len() as u64) < EVENTS_PER_ENTRY, "ids of events are to stay apart");
        self.0.push(body);
    }
}

fn did(step_name: String, config: &StepConfig, value: Payload, bodies: &mut Bodies) {
    bodies.add(Body::StepStarted { step_name: step_name.clone(), config: config.into() });
    bodies.add(Body::AttemptStarted { step_name: step_name.clone(), attempt: 1 });
    complete(step_name, 1, config.sensitive, value, bodies);
}

fn complete(step_name: String, attempt: u32, sensitive: bool, value: Payload, bodies: &mut Bodies) {
    bodies.add(Body::AttemptCompleted { step_name: step_name.clone(), attempt });
    let output = if sensitive { redacted() } else { value };
    bodies.add(Body::StepCompleted { step_name, output: Value(output) });
}

fn redacted() -> Payload {
    Payload::from_json(Arc::from(format!("\"{REDACTED}\"")))
}
