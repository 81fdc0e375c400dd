//! Entries: the immutable lines of an instance's history, and what they carry.
//!
//! An instance is what its entries say, in order; whatever is not here is forgotten when a process dies. User values are
//! opaque texts that pass through.

use std::sync::Arc;

use crate::{CallId, DeploymentId, Millis, Retention, StepConfig, StreamRef};

/// A user value as it was encoded where it arose. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// JSON text; `None` for `undefined`. Where `exact` is present, a view for people.
    pub json: Option<Arc<str>>,
    /// JSON string literal with the exact encoding, where JSON cannot carry the value.
    pub exact: Option<Arc<str>>,
    /// Bytes of the value itself.
    pub value_bytes: u64,
}

impl Payload {
    /// `undefined`.
    pub const UNDEFINED: Self = Self { json: None, exact: None, value_bytes: 0 };

    /// A value that JSON carries exactly.
    #[must_use]
    pub fn from_json(text: impl Into<Arc<str>>) -> Self {
        let json = text.into();
        let value_bytes = json.len() as u64;
        Self { json: Some(json), exact: None, value_bytes }
    }

    /// Bytes that it takes to keep.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        self.json.as_ref().map_or(0, |text| text.len()) + self.exact.as_ref().map_or(0, |text| text.len())
    }
}

/// An error as users see it, with what people need to find it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorRecord {
    /// `error.name`.
    pub name: String,
    /// `error.message`.
    pub message: String,
    /// `error.stack`, for people.
    pub stack: Option<String>,
    /// What `error.cause` says, for people; it does not come back to user code.
    pub cause: Option<String>,
}

impl ErrorRecord {
    /// An error without a stack.
    #[must_use]
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), message: message.into(), stack: None, cause: None }
    }
}

/// What a call is.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// `step.do`, with its configuration resolved when it began.
    Do(StepConfig),
    /// `step.sleep` for so many milliseconds, until `until`.
    Sleep {
        /// Due time.
        until: Millis,
    },
    /// `step.sleepUntil`.
    SleepUntil {
        /// Due time.
        until: Millis,
    },
    /// `step.waitForEvent`.
    Wait {
        /// Event type.
        event_type: String,
        /// As user code gave it; the timeout error names it.
        timeout_ms: u64,
        /// When it rejects.
        until: Millis,
    },
}

impl StepKind {
    /// The word for it on the wire and in the store.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Do(_) => "do",
            Self::Sleep { .. } => "sleep",
            Self::SleepUntil { .. } => "sleep_until",
            Self::Wait { .. } => "wait",
        }
    }
}

/// How a call settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A `do` succeeded in this attempt.
    Done {
        /// Attempt, from 1.
        attempt: u32,
        /// Its result.
        value: Payload,
    },
    /// A `do` succeeded in this attempt with a stream, whose bytes the store keeps apart.
    Streamed {
        /// Attempt, from 1.
        attempt: u32,
        /// Which stream.
        stream: StreamRef,
        /// What people see of it, JSON.
        preview: Payload,
    },
    /// A sleep ended.
    Slept,
    /// An event arrived for a wait: the one of entry `seq`.
    Event {
        /// Sequence number of its [`Entry::EventReceived`].
        seq: u64,
    },
    /// A wait's deadline passed.
    TimedOut,
    /// A `do` failed for good without an attempt's failure to blame (a lost at-most-once attempt).
    Lost(ErrorRecord),
}

/// One line of history.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Always the first.
    Created {
        /// `event.payload`.
        params: Payload,
        /// Where it came from: `api`, `binding`, `cron`, …
        trigger: String,
        /// What its creator said of how long it is kept after its end.
        retention: Retention,
    },
    /// A run started for the first time since creation or resumption.
    Started {
        /// Whose code; pins the instance.
        deployment: DeploymentId,
    },
    /// A call began.
    Begun {
        /// Its number: calls begin in the order of their numbers.
        call: CallId,
        /// The call whose callback made it.
        parent: Option<CallId>,
        /// Step name.
        name: String,
        /// Use of this kind and name, from 1.
        count: u32,
        /// What it is.
        kind: StepKind,
        /// Its first attempt has been started.
        started: bool,
    },
    /// A `do` that began and succeeded in one turn: [`Entry::Begun`] and [`Entry::Settled`] in one.
    Did {
        /// Its number.
        call: CallId,
        /// The call whose callback made it.
        parent: Option<CallId>,
        /// Step name.
        name: String,
        /// Use of this kind and name, from 1.
        count: u32,
        /// Its configuration, where it is not the default.
        config: Option<Box<StepConfig>>,
        /// Its result.
        value: Payload,
    },
    /// An attempt other than an optimistic first one was started.
    AttemptStarted {
        /// The call.
        call: CallId,
        /// Attempt, from 1.
        attempt: u32,
    },
    /// An attempt failed.
    AttemptFailed {
        /// The call.
        call: CallId,
        /// Attempt, from 1.
        attempt: u32,
        /// With what.
        error: ErrorRecord,
        /// When the next attempt is due; `None` where this failure settles the call.
        retry_at: Option<Millis>,
    },
    /// A call settled otherwise than by a failed attempt.
    Settled {
        /// The call.
        call: CallId,
        /// How.
        outcome: Outcome,
    },
    /// A user sent an event.
    EventReceived {
        /// Event type.
        event_type: String,
        /// Payload.
        payload: Payload,
    },
    /// A user asked for a pause while attempts were in flight.
    PauseRequested,
    /// Paused.
    Paused,
    /// A user resumed it; after [`Entry::Paused`], due times move by the time paused.
    Resumed,
    /// A worker process died while this instance's own code ran alone in it.
    WorkerKilled,
    /// The call that was recorded just before has a rollback handler.
    RollbackRegistered {
        /// The call.
        call: CallId,
        /// Configuration of the handler's attempts.
        config: Box<StepConfig>,
    },
    /// The instance fails, or a user ends it: handlers run from now on, and no steps.
    RollbackStarted {
        /// What handlers are told.
        cause: ErrorRecord,
        /// How the instance ends afterwards.
        end: End,
    },
    /// An attempt of a handler was started.
    RollbackAttemptStarted {
        /// The call that registered it.
        call: CallId,
        /// Attempt, from 1.
        attempt: u32,
    },
    /// An attempt of a handler failed.
    RollbackAttemptFailed {
        /// The call that registered it.
        call: CallId,
        /// Attempt, from 1.
        attempt: u32,
        /// With what.
        error: ErrorRecord,
        /// When the next attempt is due; `None` where this failure ends the rollback.
        retry_at: Option<Millis>,
    },
    /// A handler succeeded.
    RolledBack {
        /// The call that registered it.
        call: CallId,
        /// Attempt, from 1.
        attempt: u32,
    },
    /// No handler runs any more; how the instance ends follows.
    RollbackEnded {
        /// What the first handler failed with that failed for good, or what else kept handlers from running; `None`
        /// where all succeeded.
        error: Option<ErrorRecord>,
    },
    /// The code no longer makes the recorded calls.
    Diverged {
        /// What was expected and what came.
        message: String,
        /// It does not go on; otherwise it ends without them.
        stuck: bool,
    },
    /// `run()` returned. Last.
    Completed {
        /// Output.
        output: Payload,
    },
    /// The instance ended by an error. Last.
    Errored {
        /// Which.
        error: ErrorRecord,
    },
    /// A user ended it. Last.
    Terminated {
        /// From where.
        source: Source,
    },
}

/// How an instance ends that has not come to the end of its code.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// By an error.
    Errored(ErrorRecord),
    /// By a user.
    Terminated(Source),
}

impl From<End> for Entry {
    fn from(end: End) -> Self {
        match end {
            End::Errored(error) => Self::Errored { error },
            End::Terminated(source) => Self::Terminated { source },
        }
    }
}

/// From where a user acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Not recorded.
    Unknown,
    /// The API.
    Api,
    /// A Worker, by its binding.
    Binding,
}

impl Source {
    /// Cloudflare's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Api => "api",
            Self::Binding => "binding",
        }
    }

    /// The source of that word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        [Self::Api, Self::Binding].into_iter().find(|source| source.as_str() == word).unwrap_or(Self::Unknown)
    }
}

/// An entry in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Position in the history, from 0 without gaps.
    pub seq: u64,
    /// When it was decided.
    pub at: Millis,
    /// The entry.
    pub entry: Entry,
}
