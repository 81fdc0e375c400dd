//! The shape of an instance's detail: Cloudflare's, with our additions at the end of each object.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use stepwell_engine::cron::{FiringOf, firing_of};
use stepwell_engine::{Backoff, ErrorRecord, RetryLimit, StepConfig, StreamRef};

use super::times::Iso;

/// JSON text that stands in the answer as the value it is. `None` is `null`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inline(pub Option<Arc<str>>);

impl JsonSchema for Inline {
    fn schema_name() -> Cow<'static, str> {
        "AnyValue".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Any JSON value" })
    }
}

impl Serialize for Inline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(text) = &self.0 else { return serializer.serialize_none() };
        match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => value.serialize(serializer),
            Err(_) => serializer.serialize_str(text),
        }
    }
}

/// `GET …/instances/{id}`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "InstanceDetail")]
pub struct Detail {
    pub status: &'static str,
    pub params: Inline,
    pub trigger: Trigger,
    #[serde(rename = "versionId")]
    pub version_id: String,
    pub queued: Iso,
    pub start: Option<Iso>,
    pub end: Option<Iso>,
    pub success: Option<bool>,
    pub error: Option<ErrorView>,
    /// JSON text.
    pub output: Option<Arc<str>>,
    pub rollback: Option<RollbackView>,
    pub step_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Step>>,
    pub id: Arc<str>,
    pub workflow: String,
    /// When it goes on by itself.
    pub wake_at: Option<Iso>,
    /// When it goes, where it has ended and does not stay.
    pub expires_at: Option<Iso>,
    /// The firing that created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<FiredBy>,
    /// What its code no longer does as recorded.
    pub diverged: Option<String>,
    /// Number of the deployment whose code it runs.
    pub deployment: u32,
}

/// How a rollback ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Rollback")]
pub struct RollbackView {
    pub outcome: &'static str,
    pub error: Option<ErrorView>,
}

impl RollbackView {
    /// Of a rollback that ended with this error, or well.
    pub fn of(error: Option<ErrorRecord>) -> Self {
        let outcome = if error.is_some() { "failed" } else { "complete" };
        Self { outcome, error: error.map(ErrorView::from) }
    }
}

/// Where an instance came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trigger {
    pub source: &'static str,
}

impl Trigger {
    /// Cloudflare's word for it.
    pub fn of(word: &str) -> Self {
        let source = ["api", "binding", "event", "cron"].into_iter().find(|known| *known == word).unwrap_or("unknown");
        Self { source }
    }
}

/// A firing of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Firing")]
pub struct FiredBy {
    pub cron: String,
    /// Epoch milliseconds.
    #[serde(rename = "scheduledTime")]
    pub scheduled_time: i64,
}

impl FiredBy {
    /// What an instance's id tells of it.
    pub fn of(id: &str) -> Option<Self> {
        let FiringOf { cron, at } = firing_of(id)?;
        Some(Self { cron: cron.to_owned(), scheduled_time: at })
    }
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "UserError")]
pub struct ErrorView {
    pub name: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl From<ErrorRecord> for ErrorView {
    fn from(ErrorRecord { name, message, stack, cause }: ErrorRecord) -> Self {
        Self { name, message, stack, cause }
    }
}

/// A member of `steps`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Step {
    /// `step.do`.
    #[serde(rename = "step")]
    Do(Do),
    /// `step.sleep` and `step.sleepUntil`.
    Sleep(Wait),
    /// `step.waitForEvent`.
    WaitForEvent(Wait),
    /// The rollback handler of the `step.do` of this name.
    Rollback(Do),
    /// The instance was terminated.
    Termination { trigger: Trigger },
}

impl Step {
    /// `<name>-<count>`; none for a termination.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Do(step) | Self::Rollback(step) => Some(&step.name),
            Self::Sleep(wait) | Self::WaitForEvent(wait) => Some(&wait.name),
            Self::Termination { .. } => None,
        }
    }
}

/// When an instance that waits goes on by itself: the nearest end of its open steps.
pub fn next_wake(steps: &[Step]) -> Option<Iso> {
    let due = steps.iter().filter_map(|step| match step {
        Step::Do(step) | Step::Rollback(step) => step.retry_at,
        Step::Sleep(wait) | Step::WaitForEvent(wait) if !wait.finished => Some(wait.end),
        _ => None,
    });
    due.min_by_key(|Iso(at)| *at)
}

/// `step.do`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "DoStep")]
pub struct Do {
    pub name: String,
    pub start: Iso,
    pub end: Option<Iso>,
    pub success: Option<bool>,
    /// JSON text.
    pub output: Option<Arc<str>>,
    /// What `output` is a preview of.
    #[serde(skip)]
    pub stream: Option<StreamRef>,
    pub config: Config,
    pub attempts: Vec<Attempt>,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Iso>,
}

/// One try of a step.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Attempt {
    pub start: Iso,
    pub end: Option<Iso>,
    pub success: Option<bool>,
    pub error: Option<ErrorView>,
    /// How often it was begun anew because its worker was lost.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(default)]
    pub interruptions: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A sleep or a wait. `end` is the due time until it has ended.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "WaitStep")]
pub struct Wait {
    pub name: String,
    pub start: Iso,
    pub end: Iso,
    pub finished: bool,
    pub error: Option<ErrorView>,
    /// JSON text of the event's payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
}

/// Configuration of a step.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "StepConfig")]
pub struct Config {
    pub retries: Retries,
    /// Milliseconds.
    pub timeout: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<&'static str>,
}

/// Retries of a step.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Retries {
    pub limit: Limit,
    pub delay: Delay,
    pub backoff: &'static str,
}

/// A number, or `"Infinity"`, which JSON has no number for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "RetryLimit")]
pub enum Limit {
    /// At most so many.
    Times(u32),
    /// Any number.
    Unlimited(&'static str),
}

/// Milliseconds, or `"[dynamic]"` where user code computes it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "RetryDelay")]
pub enum Delay {
    /// Milliseconds.
    Ms(u64),
    /// Computed.
    Dynamic(&'static str),
}

impl From<&StepConfig> for Config {
    fn from(config: &StepConfig) -> Self {
        let limit = match config.limit {
            RetryLimit::Times(limit) => Limit::Times(limit),
            RetryLimit::Unlimited => Limit::Unlimited("Infinity"),
        };
        let delay = config.delay_ms.map_or(Delay::Dynamic("[dynamic]"), Delay::Ms);
        let backoff = Backoff::as_str(config.backoff);
        Self {
            retries: Retries { limit, delay, backoff },
            timeout: config.timeout_ms,
            sensitive: config.sensitive.then_some("output"),
        }
    }
}
