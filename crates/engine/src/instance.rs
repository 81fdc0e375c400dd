//! One durable execution: what its entries add up to.
//!
//! Holds places and sizes, never user values. What is known only while a run is live (which run, which attempts are in
//! flight) is kept beside, and lost with it. Decisions are in [`crate::instance::decide`].

mod decide;
mod io;
mod open_call;
mod restart_from;
mod rollback;
mod run;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub use io::{BeginKind, Decision, Failure, Input, Rejection, Report, Settlement, Severity, Tell};
pub use open_call::OpenCall;
use open_call::{DoState, Waiting};
pub use restart_from::{Remaining, StepTarget, TargetKind, remaining};
use rollback::{Handler, Rollback};
pub use run::{Leaving, Run};

use crate::limits::QUIESCE_MS;
use crate::{
    CallId, DeploymentId, Entry, InstanceKey, Millis, Outcome, Recorded, Retention, Status, StepConfig, StepKind,
    Summary, WorkflowId,
};

/// A durable execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its incarnation.
    pub key: InstanceKey,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Whose code it runs.
    pub deployment: DeploymentId,
    /// What its creator said of how long it is kept after its end.
    pub retention: Retention,
    phase: Phase,
    open: BTreeMap<CallId, OpenCall>,
    /// Of steps that have begun, in their order; during a rollback, those that are left.
    handlers: Vec<Handler>,
    rollback: Option<Box<Rollback>>,
    events: VecDeque<BufferedEvent>,
    events_bytes: u64,
    calls: u32,
    steps: u32,
    kills: u32,
    next_seq: u64,
    started_at: Option<Millis>,
    ended_at: Option<Millis>,
    /// When it is to go. Its row says so, not its history: what its workflow kept when it ended.
    expires_at: Option<Millis>,
    run: Option<Run>,
    /// The last run was forgotten in order, after it had seen all that is recorded: only time or an event can bring
    /// news. Known to this process only; without it a run is started, which finds out.
    parked: bool,
}

/// What an instance is doing, as far as its entries say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Wants a run since then; none has started since it was created or resumed.
    Queued { since: Millis },
    /// Started.
    Running { since: Millis },
    /// A pause waits for attempts in flight.
    Pausing { since: Millis },
    /// Paused since then.
    Paused { since: Millis },
    /// It has failed or is to be terminated, and handlers run.
    RollingBack { since: Millis },
    /// Over.
    Ended(Status),
}

/// An event that no wait has taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BufferedEvent {
    seq: u64,
    at: Millis,
    event_type: Arc<str>,
    bytes: u64,
}

impl Instance {
    /// A new instance: nothing has been applied but its creation.
    #[must_use]
    pub fn new(key: InstanceKey, workflow: WorkflowId, deployment: DeploymentId, created_at: Millis) -> Self {
        Self {
            key,
            workflow,
            deployment,
            retention: Retention::default(),
            phase: Phase::Queued { since: created_at },
            open: BTreeMap::new(),
            handlers: Vec::new(),
            rollback: None,
            events: VecDeque::new(),
            events_bytes: 0,
            calls: 0,
            steps: 0,
            kills: 0,
            next_seq: 1,
            started_at: None,
            ended_at: None,
            expires_at: None,
            run: None,
            parked: false,
        }
    }

    /// An instance as its history says, without a run: a fold over its entries, the first of which is its creation.
    /// `None` for an empty history.
    #[must_use]
    pub fn replay(
        key: InstanceKey,
        workflow: WorkflowId,
        deployment: DeploymentId,
        history: &[Recorded],
    ) -> Option<Self> {
        let (first, rest) = history.split_first()?;
        let mut instance = Self::new(key, workflow, deployment, first.at);
        if let Entry::Created { retention, .. } = &first.entry {
            instance.retention = *retention;
        }
        for recorded in rest {
            instance.apply(recorded);
        }
        instance.interrupt_attempts();
        Some(instance)
    }

    /// Takes an entry into account. Cannot fail.
    pub fn apply(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        self.next_seq = recorded.seq + 1;
        match &recorded.entry {
            Entry::Created { .. } | Entry::Diverged { .. } => {}
            Entry::Started { deployment } => {
                self.deployment = *deployment;
                self.started_at.get_or_insert(at);
                if self.rollback.is_none() {
                    self.phase = Phase::Running { since: at };
                }
            }
            Entry::Begun { call, kind, started, .. } => self.apply_begun(*call, kind, *started, at),
            Entry::Did { call, .. } => {
                self.calls = call.0 + 1;
                self.steps += 1;
                self.note_news();
            }
            Entry::AttemptStarted { call, attempt } => self.apply_attempt_started(*call, *attempt, at),
            Entry::AttemptFailed { call, attempt, retry_at, .. } => self.apply_failure(*call, *attempt, *retry_at),
            Entry::Settled { call, outcome } => self.apply_settled(*call, outcome),
            Entry::EventReceived { event_type, payload } => {
                let event_type = Arc::from(event_type.as_str());
                let bytes = payload.value_bytes;
                self.events_bytes += bytes;
                self.events.push_back(BufferedEvent { seq: recorded.seq, at, event_type, bytes });
            }
            Entry::PauseRequested => self.phase = Phase::Pausing { since: at },
            Entry::Paused => self.phase = Phase::Paused { since: at },
            Entry::Resumed => self.apply_resumed(at),
            Entry::WorkerKilled => self.kills += 1,
            Entry::RollbackRegistered { call, config } => self.apply_rollback_registered(*call, config),
            Entry::RollbackStarted { cause, end } => self.apply_rollback_started(cause, end, at),
            Entry::RollbackAttemptStarted { attempt, .. } => self.apply_rollback_attempt_started(*attempt, at),
            Entry::RollbackAttemptFailed { attempt, retry_at, .. } => {
                self.apply_rollback_attempt_failed(*attempt, *retry_at);
            }
            Entry::RolledBack { .. } => self.apply_rolled_back(),
            Entry::RollbackEnded { .. } => self.rollback = None,
            Entry::Completed { .. } => self.end(Status::Complete, at),
            Entry::Errored { .. } => self.end(Status::Errored, at),
            Entry::Terminated { .. } => self.end(Status::Terminated, at),
        }
    }

    fn apply_begun(&mut self, call: CallId, kind: &StepKind, started: bool, at: Millis) {
        self.calls = call.0 + 1;
        let open = match kind {
            StepKind::Do(config) => {
                self.steps += 1;
                let state = if started { DoState::InFlight { deadline: deadline(config, at) } } else { DoState::Ready };
                OpenCall::Do { config: Box::new(config.clone()), attempt: 1, state }
            }
            StepKind::Sleep { until } | StepKind::SleepUntil { until } => OpenCall::Sleep { until: *until },
            StepKind::Wait { event_type, timeout_ms, until } => OpenCall::Wait(Box::new(Waiting {
                event_type: Arc::from(event_type.as_str()),
                timeout_ms: *timeout_ms,
                until: *until,
            })),
        };
        self.open.insert(call, open);
    }

    fn apply_attempt_started(&mut self, call: CallId, number: u32, at: Millis) {
        if let Some(OpenCall::Do { config, attempt, state }) = self.open.get_mut(&call) {
            *attempt = number;
            *state = DoState::InFlight { deadline: deadline(config, at) };
        }
    }

    fn apply_failure(&mut self, call: CallId, number: u32, retry_at: Option<Millis>) {
        let Some(until) = retry_at else {
            self.open.remove(&call);
            self.note_news();
            return;
        };
        if let Some(OpenCall::Do { attempt, state, .. }) = self.open.get_mut(&call) {
            *attempt = number + 1;
            *state = DoState::Delayed { until };
        }
    }

    fn apply_settled(&mut self, call: CallId, outcome: &Outcome) {
        self.open.remove(&call);
        self.note_news();
        if let Outcome::Event { seq } = outcome
            && let Some(place) = self.events.iter().position(|event| event.seq == *seq)
            && let Some(event) = self.events.remove(place)
        {
            self.events_bytes -= event.bytes;
        }
    }

    fn apply_resumed(&mut self, at: Millis) {
        self.note_news();
        match self.phase {
            Phase::Paused { since } => {
                let paused_ms = (at - since).max(0);
                self.open.values_mut().for_each(|call| call.shift(paused_ms));
                self.phase = Phase::Queued { since: at };
            }
            Phase::Pausing { since } => self.phase = Phase::Running { since },
            _ => {}
        }
    }

    fn end(&mut self, status: Status, at: Millis) {
        self.phase = Phase::Ended(status);
        self.ended_at = Some(at);
        self.open.clear();
        self.handlers = Vec::new();
        self.rollback = None;
        self.events.clear();
        self.events_bytes = 0;
    }

    /// The status that users see.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.phase {
            // One that was resumed and only waits gets no run before something is due.
            Phase::Queued { .. } | Phase::Running { .. } if self.only_waits() => Status::Waiting,
            Phase::Queued { .. } => Status::Queued,
            Phase::Running { .. } => Status::Running,
            Phase::Pausing { .. } => Status::WaitingForPause,
            Phase::Paused { .. } => Status::Paused,
            Phase::RollingBack { .. } => Status::RollingBack,
            Phase::Ended(status) => status,
        }
    }

    /// The row that belongs to this state.
    #[must_use]
    pub fn summary(&self, modified_at: Millis) -> Summary {
        Summary {
            status: self.status(),
            wake_at: self.wake_at(),
            deployment: self.deployment,
            modified_at,
            started_at: self.started_at,
            ended_at: self.ended_at,
        }
    }

    /// Every open call is a sleep, a retry delay or an event wait, and there is one; in a rollback, its handler waits for
    /// its next attempt.
    #[must_use]
    pub fn only_waits(&self) -> bool {
        if let Some(rollback) = &self.rollback {
            return rollback.wait_until().is_some();
        }
        !self.open.is_empty() && self.open.values().all(OpenCall::is_waiting)
    }

    /// When it wants attention without a live run.
    #[must_use]
    pub fn wake_at(&self) -> Option<Millis> {
        match self.phase {
            Phase::Queued { .. } | Phase::Running { .. } | Phase::RollingBack { .. } if self.is_parked() => {
                self.nearest_wait()
            }
            Phase::Queued { since }
            | Phase::Running { since }
            | Phase::Pausing { since }
            | Phase::RollingBack { since } => Some(since),
            Phase::Paused { .. } => None,
            Phase::Ended(_) => self.expires_at,
        }
    }

    fn nearest_wait(&self) -> Option<Millis> {
        let handler = self.rollback.as_ref().and_then(|rollback| rollback.wait_until());
        self.open.values().filter_map(OpenCall::wait_until).chain(handler).min()
    }

    /// The next time at which [`Input::Due`] has something to do: waits always, attempt timeouts while a run is live.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        match self.phase {
            Phase::Paused { .. } | Phase::Ended(_) => None,
            Phase::Pausing { since } if self.run.is_none() => Some(since),
            Phase::Pausing { since } => {
                let deadlines = self.open.values().filter_map(OpenCall::attempt_deadline);
                deadlines.min().or(Some(since + QUIESCE_MS))
            }
            Phase::RollingBack { since } => self.rollback_due(since),
            _ => self.open.values().filter_map(OpenCall::due).min(),
        }
    }

    /// It has work to do and no run to do it in.
    #[must_use]
    pub fn wants_run(&self) -> bool {
        let can_go_on = matches!(self.phase, Phase::Queued { .. } | Phase::Running { .. } | Phase::RollingBack { .. });
        self.run.is_none() && can_go_on && !self.is_parked() && !self.has_lost_handler()
    }

    /// It has a run that stays, and that could be replaced by another without repeating an attempt.
    #[must_use]
    pub fn may_lose_its_run(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
            && self.run.is_some_and(|run| run.leaving != Leaving::Told && !run.ahead)
            && !self.open.values().any(OpenCall::is_under_way)
    }

    /// Nothing is to be done before a due time or an event, and no run is needed to know that.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.parked && self.only_waits()
    }

    /// Some run of it has started.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.started_at.is_some()
    }

    /// Handlers run, or wait for their turn.
    #[must_use]
    pub fn is_rolling_back(&self) -> bool {
        self.rollback.is_some()
    }

    /// Nothing moves any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// When it ended.
    #[must_use]
    pub fn ended_at(&self) -> Option<Millis> {
        self.ended_at
    }

    /// When it is to go; `None` before its end, and for one that stays.
    #[must_use]
    pub fn expires_at(&self) -> Option<Millis> {
        self.expires_at.filter(|_| self.is_final())
    }

    /// Sets when it is to go, once it has ended.
    pub fn expire_at(&mut self, at: Option<Millis>) {
        self.expires_at = at;
    }

    /// Sequence number of the next entry.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Calls so far.
    #[must_use]
    pub fn call_count(&self) -> u32 {
        self.calls
    }

    /// Worker processes that it was found to have killed.
    #[must_use]
    pub fn kills(&self) -> u32 {
        self.kills
    }

    /// Attempts that a run which has just been attached may start as soon as it makes their calls: (call, attempt).
    #[must_use]
    pub fn grants(&self) -> Vec<(CallId, u32)> {
        self.open.iter().filter_map(|(id, call)| call.grant().map(|attempt| (*id, attempt))).collect()
    }
}

fn deadline(config: &StepConfig, at: Millis) -> Millis {
    at.saturating_add_unsigned(config.timeout_bounded_ms())
}
