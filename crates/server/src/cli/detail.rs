//! An instance's detail as the API tells it. What we do not know of it is left alone, so that a newer server can be asked.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// `GET …/instances/{id}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    pub id: Option<String>,
    pub workflow: Option<String>,
    pub status: String,
    pub version_id: Option<String>,
    pub trigger: Option<Trigger>,
    pub queued: Option<Timestamp>,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub params: Option<Box<RawValue>>,
    /// A string holds JSON text.
    pub output: Option<Value>,
    pub error: Option<ErrorView>,
    pub rollback: Option<Rollback>,
    #[serde(default)]
    pub steps: Vec<Step>,
    #[serde(rename = "wake_at")]
    pub wake_at: Option<Timestamp>,
    #[serde(rename = "expires_at")]
    pub expires_at: Option<Timestamp>,
    pub schedule: Option<FiredBy>,
    pub diverged: Option<String>,
}

/// A firing of a schedule.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FiredBy {
    pub cron: String,
    pub scheduled_time: i64,
}

/// How a rollback ended.
#[derive(Debug, Deserialize)]
pub struct Rollback {
    pub outcome: String,
    pub error: Option<ErrorView>,
}

#[derive(Debug, Deserialize)]
pub struct Trigger {
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ErrorView {
    pub name: String,
    pub message: String,
    pub stack: Option<String>,
    pub cause: Option<String>,
}

/// A member of `steps`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Step {
    #[serde(rename = "step")]
    Do(Do),
    Sleep(Wait),
    WaitForEvent(Wait),
    Rollback(Do),
    Termination {},
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Deserialize)]
pub struct Do {
    pub name: String,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
    pub success: Option<bool>,
    /// A string holds JSON text.
    pub output: Option<Value>,
    pub config: Option<Config>,
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// When the next attempt is due.
    pub retry_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub struct Attempt {
    pub start: Timestamp,
    pub end: Option<Timestamp>,
    pub success: Option<bool>,
    pub error: Option<ErrorView>,
    /// How often it was begun anew because its worker was lost.
    #[serde(default)]
    pub interruptions: u32,
}

/// A sleep or a wait. `end` is the due time until it has ended.
#[derive(Debug, Deserialize)]
pub struct Wait {
    pub name: String,
    pub start: Timestamp,
    pub end: Timestamp,
    #[serde(default)]
    pub finished: bool,
    pub error: Option<ErrorView>,
    /// A string holds JSON text.
    pub output: Option<Value>,
    pub event_type: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Config {
    pub retries: Option<Retries>,
}

#[derive(Debug, Deserialize)]
pub struct Retries {
    /// A number, or `"Infinity"`.
    pub limit: Value,
}

impl Detail {
    /// Whether it will not go on any more.
    pub fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "complete" | "errored" | "terminated")
    }

    /// How long it took, or has been taking at `now`.
    pub fn took_ms(&self, now: Timestamp) -> Option<i64> {
        Some(super::times::millis(self.start?, self.end.unwrap_or(now)))
    }
}

impl Detail {
    /// When something last happened, where it runs and nothing that it has begun is open: nobody knows what it waits for.
    pub fn quiet_since(&self) -> Option<Timestamp> {
        let is_explained = self.status != "running" || self.wake_at.is_some() || self.diverged.is_some();
        if is_explained || self.steps.iter().any(Step::is_open) {
            return None;
        }
        self.steps.iter().filter_map(Step::end).chain(self.start).max()
    }
}

impl Step {
    fn is_open(&self) -> bool {
        match self {
            Self::Do(step) | Self::Rollback(step) => step.end.is_none(),
            Self::Sleep(wait) | Self::WaitForEvent(wait) => !wait.finished && wait.error.is_none(),
            Self::Termination {} => false,
            Self::Unknown => true,
        }
    }

    fn end(&self) -> Option<Timestamp> {
        match self {
            Self::Do(step) | Self::Rollback(step) => step.end,
            Self::Sleep(wait) | Self::WaitForEvent(wait) => Some(wait.end),
            Self::Termination {} | Self::Unknown => None,
        }
    }
}

/// The JSON text of an output.
pub fn json_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
