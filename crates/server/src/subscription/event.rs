//! An event of a subscription, with Cloudflare's names and members.

use serde::{Serialize, Serializer};
use stepwell_engine::{ErrorRecord, Millis, Payload};

use crate::rest::StepConfigView;
use crate::travelling::Travelling;

/// Numbers of the events that one entry can bring: an event's id is its entry's number times this, plus its place.
pub const EVENTS_PER_ENTRY: u64 = 8;

/// Names of all events, those of rollbacks included.
pub const EVENT_TYPES: [&str; 29] = [
    "workflow_queued",
    "workflow_started",
    "workflow_running",
    "workflow_paused",
    "workflow_waiting_for_pause",
    "workflow_waiting",
    "workflow_completed",
    "workflow_errored",
    "workflow_terminated",
    "step_started",
    "step_completed",
    "step_errored",
    "attempt_started",
    "attempt_completed",
    "attempt_errored",
    "sleep_started",
    "sleep_completed",
    "wait_started",
    "wait_completed",
    "wait_timed_out",
    "rollback_started",
    "rollback_step_started",
    "rollback_step_completed",
    "rollback_step_errored",
    "rollback_attempt_started",
    "rollback_attempt_completed",
    "rollback_attempt_errored",
    "rollback_completed",
    "rollback_errored",
];

/// Something that happened in an instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Increasing; the same whenever and by whomever it is read.
    pub event_id: u64,
    /// When it was recorded.
    pub timestamp: Millis,
    /// What.
    #[serde(flatten)]
    pub body: Body,
}

/// What happened. `step_name` is `<name>-<count>`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "the names are Cloudflare's")]
pub enum Body {
    WorkflowQueued,
    WorkflowStarted {
        params: Value,
    },
    WorkflowRunning,
    WorkflowPaused,
    WorkflowWaitingForPause,
    WorkflowWaiting,
    WorkflowCompleted {
        output: Value,
    },
    WorkflowErrored {
        error: NameAndMessage,
    },
    WorkflowTerminated,
    StepStarted {
        step_name: String,
        config: StepConfigView,
    },
    StepCompleted {
        step_name: String,
        output: Value,
    },
    StepErrored {
        step_name: String,
    },
    AttemptStarted {
        step_name: String,
        attempt: u32,
    },
    AttemptCompleted {
        step_name: String,
        attempt: u32,
    },
    AttemptErrored {
        step_name: String,
        attempt: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_delay_ms: Option<Millis>,
        error: NameAndMessage,
    },
    SleepStarted {
        step_name: String,
        duration_ms: Millis,
    },
    SleepCompleted {
        step_name: String,
    },
    WaitStarted {
        step_name: String,
        event_type: String,
    },
    WaitCompleted {
        step_name: String,
    },
    WaitTimedOut {
        step_name: String,
    },
    RollbackStarted,
    RollbackStepStarted {
        step_name: String,
    },
    RollbackStepCompleted {
        step_name: String,
    },
    RollbackStepErrored {
        step_name: String,
    },
    RollbackAttemptStarted {
        step_name: String,
        attempt: u32,
    },
    RollbackAttemptCompleted {
        step_name: String,
        attempt: u32,
    },
    RollbackAttemptErrored {
        step_name: String,
        attempt: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_delay_ms: Option<Millis>,
        error: NameAndMessage,
    },
    RollbackCompleted,
    RollbackErrored {
        error: NameAndMessage,
    },
}

impl Body {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::WorkflowQueued => "workflow_queued",
            Self::WorkflowStarted { .. } => "workflow_started",
            Self::WorkflowRunning => "workflow_running",
            Self::WorkflowPaused => "workflow_paused",
            Self::WorkflowWaitingForPause => "workflow_waiting_for_pause",
            Self::WorkflowWaiting => "workflow_waiting",
            Self::WorkflowCompleted { .. } => "workflow_completed",
            Self::WorkflowErrored { .. } => "workflow_errored",
            Self::WorkflowTerminated => "workflow_terminated",
            Self::StepStarted { .. } => "step_started",
            Self::StepCompleted { .. } => "step_completed",
            Self::StepErrored { .. } => "step_errored",
            Self::AttemptStarted { .. } => "attempt_started",
            Self::AttemptCompleted { .. } => "attempt_completed",
            Self::AttemptErrored { .. } => "attempt_errored",
            Self::SleepStarted { .. } => "sleep_started",
            Self::SleepCompleted { .. } => "sleep_completed",
            Self::WaitStarted { .. } => "wait_started",
            Self::WaitCompleted { .. } => "wait_completed",
            Self::WaitTimedOut { .. } => "wait_timed_out",
            Self::RollbackStarted => "rollback_started",
            Self::RollbackStepStarted { .. } => "rollback_step_started",
            Self::RollbackStepCompleted { .. } => "rollback_step_completed",
            Self::RollbackStepErrored { .. } => "rollback_step_errored",
            Self::RollbackAttemptStarted { .. } => "rollback_attempt_started",
            Self::RollbackAttemptCompleted { .. } => "rollback_attempt_completed",
            Self::RollbackAttemptErrored { .. } => "rollback_attempt_errored",
            Self::RollbackCompleted => "rollback_completed",
            Self::RollbackErrored { .. } => "rollback_errored",
        }
    }

    /// Bytes of its value.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        match self {
            Self::WorkflowStarted { params: Value(payload) }
            | Self::WorkflowCompleted { output: Value(payload) }
            | Self::StepCompleted { output: Value(payload), .. } => payload.stored_bytes(),
            _ => 0,
        }
    }
}

/// A user value as it travels to a Worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Value(pub Payload);

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Travelling::of(&self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// What is told of an error.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NameAndMessage {
    name: String,
    message: String,
}

impl From<ErrorRecord> for NameAndMessage {
    fn from(ErrorRecord { name, message, .. }: ErrorRecord) -> Self {
        Self { name, message }
    }
}
