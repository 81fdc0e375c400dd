//! What goes into the decisions of one instance and what comes out of them.

use std::sync::Arc;

use crate::limits::{EVENTS_BUFFERED_BYTES_MAX, EVENTS_BUFFERED_MAX, VALUE_BYTES_MAX};
use crate::{CallId, DeploymentId, Entry, ErrorRecord, Millis, Outcome, Payload, Source, StepConfig, StreamRef};

/// What can happen to one instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Time has passed.
    Due,
    /// A run of `deployment` is about to start.
    Attach(DeploymentId),
    /// The live run's worker is gone. `charged`: this instance's own code is to blame.
    Lost {
        /// Counts towards [`WORKER_KILLS_MAX`].
        charged: bool,
    },
    /// The live run has a place again.
    Placed,
    /// The live run said something.
    Report(Report),
    /// The live run only waits and has had its grace.
    Suspend,
    /// A user sends an event.
    SendEvent {
        /// Event type.
        event_type: String,
        /// Payload.
        payload: Payload,
    },
    /// A user pauses.
    Pause,
    /// A user resumes.
    Resume,
    /// A user terminates.
    Terminate(Source),
    /// A user terminates, and what its steps did is to be undone first.
    RollBack(Source),
}

/// What a live run says.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A call begins.
    Begin {
        /// Its number.
        call: CallId,
        /// The call whose callback made it.
        parent: Option<CallId>,
        /// Step name.
        name: String,
        /// Use of this kind and name.
        count: u32,
        /// What it is.
        kind: BeginKind,
        /// Its first attempt runs already.
        started: bool,
    },
    /// A `do` began and succeeded in one turn.
    Did {
        /// Its number.
        call: CallId,
        /// The call whose callback made it.
        parent: Option<CallId>,
        /// Step name.
        name: String,
        /// Use of this name.
        count: u32,
        /// Configuration where it is not the default.
        config: Option<Box<StepConfig>>,
        /// Result.
        value: Payload,
    },
    /// A granted attempt was started.
    Started {
        /// The call.
        call: CallId,
        /// Attempt.
        attempt: u32,
    },
    /// An attempt succeeded.
    Succeeded {
        /// The call.
        call: CallId,
        /// Attempt.
        attempt: u32,
        /// Result.
        value: Payload,
    },
    /// An attempt succeeded with a stream that it has written.
    Streamed {
        /// The call.
        call: CallId,
        /// Attempt.
        attempt: u32,
        /// The stream.
        stream: StreamRef,
        /// What people see of it.
        preview: Payload,
    },
    /// An attempt failed.
    Failed {
        /// The call.
        call: CallId,
        /// Attempt.
        attempt: u32,
        /// With what.
        error: ErrorRecord,
        /// What follows from it.
        severity: Severity,
        /// What the user's delay function gave.
        delay_ms: Option<u64>,
    },
    /// `run()` returned.
    Completed(Payload),
    /// `run()` threw.
    Threw(ErrorRecord),
    /// The call that has just begun has a rollback handler, whose attempts have this configuration.
    RollbackRegistered {
        /// The call.
        call: CallId,
        /// Configuration.
        config: Box<StepConfig>,
    },
    /// `run()` threw, and the run stays to undo what its steps did.
    Undoing {
        /// What the instance ends with.
        error: ErrorRecord,
        /// What was thrown, where that is something else.
        cause: Option<ErrorRecord>,
    },
    /// After [`Tell::RollBack`], or in a run that was started for a rollback: the handlers are at hand, as far as the code
    /// has them.
    UndoReady,
    /// An attempt of a handler ended.
    Undone {
        /// The call that registered it.
        call: CallId,
        /// Attempt.
        attempt: u32,
        /// Where it failed.
        failure: Option<Failure>,
    },
    /// After the [`Tell::Stop`] of this number: no attempt is in flight.
    Quiesced(u32),
    /// After [`Tell::Forget`]: the run is gone.
    Forgotten,
    /// After a gentle [`Tell::Forget`]: the run has timers of its own and stays.
    Busy,
    /// The code makes a new call although it has not made a recorded one that comes before.
    Ahead,
    /// The code no longer makes a recorded call.
    Diverged {
        /// What was expected and what came.
        message: String,
        /// The code waits for what never comes.
        stuck: bool,
    },
}

/// A call that begins, as the run describes it: durations, not due times.
#[derive(Debug, Clone, PartialEq)]
pub enum BeginKind {
    /// `step.do`.
    Do(StepConfig),
    /// `step.sleep`.
    Sleep {
        /// Duration.
        ms: u64,
    },
    /// `step.sleepUntil`.
    SleepUntil {
        /// Due time.
        at: Millis,
    },
    /// `step.waitForEvent`.
    Wait {
        /// Event type.
        event_type: String,
        /// Until it rejects.
        timeout_ms: u64,
    },
}

/// How an attempt of a rollback handler failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// With what.
    pub error: ErrorRecord,
    /// What follows from it.
    pub severity: Severity,
    /// What the user's delay function gave.
    pub delay_ms: Option<u64>,
}

/// What a failure means for the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Severity {
    /// Retried as configured.
    Ordinary,
    /// Not retried.
    NonRetryable,
    /// Ends the instance with this error.
    Fatal(ErrorRecord),
}

/// Words for the live run, to be said once the entries are durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Tell {
    /// The result that the run holds for this call is durable.
    Held(CallId),
    /// A call settles.
    Settle(CallId, Settlement),
    /// An attempt may start.
    Attempt(CallId, u32),
    /// Begin nothing any more, and say when the rollback handlers are at hand.
    RollBack,
    /// Run the rollback handler of a call.
    Undo {
        /// The call.
        call: CallId,
        /// Attempt, from 1.
        attempt: u32,
        /// Why there is a rollback.
        cause: Arc<ErrorRecord>,
    },
    /// Start no attempts. Numbered within the run, so that an answer to an earlier one, which was taken back since, is
    /// none to this.
    Stop(u32),
    /// Attempts may start again.
    Go,
    /// Forget the run; without `force` it may refuse, and must while it has timers of its own or something to settle:
    /// `forgotten` means that its code has gone as far as it can with all that it was told before.
    Forget {
        /// Whatever it is doing.
        force: bool,
    },
}

/// How a call settles that the run holds no result for.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// A sleep ended.
    Slept,
    /// An event.
    Event {
        /// Its entry.
        seq: u64,
        /// When it was received.
        at: Millis,
        /// Event type.
        event_type: Arc<str>,
        /// Payload, where it is at hand.
        payload: Option<Payload>,
    },
    /// It rejects.
    Error(ErrorRecord),
}

/// What follows from an input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// To record, in order.
    pub entries: Vec<Entry>,
    /// To say afterwards, in order.
    pub tells: Vec<Tell>,
    /// Calls whose retry delay, or that of their handler, has passed: not recorded, because the clock says it again after a crash.
    pub ready: Vec<CallId>,
    /// The live run is over.
    pub detach: bool,
    /// It had seen all that is recorded, and only waits.
    pub park: bool,
}

impl Decision {
    /// Empties it for the next use.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.tells.clear();
        self.ready.clear();
        self.detach = false;
        self.park = false;
    }

    pub(super) fn settle(&mut self, call: CallId, outcome: Outcome, settlement: Settlement) {
        self.entries.push(Entry::Settled { call, outcome });
        self.tells.push(Tell::Settle(call, settlement));
    }
}

/// Why an input is refused. Nothing is recorded then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such instance.
    #[error("(instance.not_found) Instance does not exist")]
    NotFound,
    /// The id is taken.
    #[error("(instance.already_exists) Instance already exists")]
    AlreadyExists,
    /// The instance has ended and takes no events.
    #[error("(instance.in_finite_state) Instance reached a finite state, cannot send events to it")]
    InFiniteState,
    /// The instance has ended and cannot be terminated.
    #[error("(instance.cannot_terminate) Cannot terminate instance since its on a finite state")]
    CannotTerminate,
    /// The step to restart from never began.
    #[error("(instance.cannot_restart) Step \"{0}\" not found in execution history")]
    StepNotFound(String),
    /// Too many events wait for delivery.
    #[error(
        "(instance.too_many_events) {EVENTS_BUFFERED_MAX} events or {EVENTS_BUFFERED_BYTES_MAX} bytes wait for delivery to this instance; wait until it takes some"
    )]
    TooManyEvents,
    /// Longer than [`VALUE_BYTES_MAX`].
    #[error("the value has {bytes} bytes; the maximum is {VALUE_BYTES_MAX} (1 MiB)")]
    ValueTooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The type of an event is not valid.
    #[error(
        "(instance.invalid_event_type) Event type is invalid: letters, digits, '_' and '-', at most 100, not starting with '-'"
    )]
    InvalidEventType,
    /// A worker says what it may not say: its session must end.
    #[error("the worker broke the protocol: {0}")]
    Protocol(&'static str),
}
