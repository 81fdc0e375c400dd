//! How an entry is kept: a number for its kind, a small JSON text for its fields, and the texts of its payload apart, so
//! that a history can be read without them.
//!
//! The numbers and the field names are a format: they never change their meaning. What must change gets a new number;
//! golden files hold the old ones readable.

mod rollback;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stepwell_engine::{
    Backoff, CallId, DeploymentId, Entry, ErrorRecord, Outcome, Payload, Recorded, Retention, RetryLimit, Source,
    StepConfig, StepKind, StreamId, StreamRef,
};

/// An entry taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is.
    pub kind: u8,
    /// Its fields, JSON.
    pub meta: String,
    /// Its payload, where it has one.
    pub payload: Option<&'a Payload>,
}

/// Why a record cannot be read.
pub type Unreadable = String;

const CREATED: u8 = 1;
const STARTED: u8 = 2;
const BEGUN: u8 = 3;
const DID: u8 = 4;
const ATTEMPT_STARTED: u8 = 5;
const ATTEMPT_FAILED: u8 = 6;
const DONE: u8 = 7;
const SLEPT: u8 = 8;
const EVENT_DELIVERED: u8 = 9;
const TIMED_OUT: u8 = 10;
const LOST: u8 = 11;
const EVENT_RECEIVED: u8 = 12;
const PAUSE_REQUESTED: u8 = 13;
const PAUSED: u8 = 14;
const RESUMED: u8 = 15;
const WORKER_KILLED: u8 = 16;
const DIVERGED: u8 = 17;
const COMPLETED: u8 = 18;
const ERRORED: u8 = 19;
const TERMINATED: u8 = 20;
/// A result that is a stream.
pub(crate) const STREAMED: u8 = 31;

/// Takes an entry apart.
#[must_use]
pub fn encode(entry: &Entry) -> Record<'_> {
    match entry {
        Entry::Created { params, trigger, retention } => {
            let Retention { success_ms, error_ms } = *retention;
            let meta = CreatedMeta { trigger: trigger.as_str().into(), success_ms, error_ms };
            record(CREATED, &meta, Some(params))
        }
        Entry::Started { deployment } => record(STARTED, &StartedMeta { deployment: deployment.0 }, None),
        Entry::Begun { call, parent, name, count, kind, started } => {
            let step = StepMeta::from(kind);
            let parent = parent.map(|parent| parent.0);
            record(
                BEGUN,
                &BegunMeta { call: call.0, parent, name: name.as_str().into(), count: *count, step, started: *started },
                None,
            )
        }
        Entry::Did { call, parent, name, count, config, value } => {
            let config = config.as_deref().map(ConfigMeta::from);
            let parent = parent.map(|parent| parent.0);
            record(
                DID,
                &DidMeta { call: call.0, parent, name: name.as_str().into(), count: *count, config },
                Some(value),
            )
        }
        Entry::AttemptStarted { call, attempt } => {
            record(ATTEMPT_STARTED, &AttemptMeta { call: call.0, attempt: *attempt }, None)
        }
        Entry::AttemptFailed { call, attempt, error, retry_at } => {
            let error = error.into();
            record(ATTEMPT_FAILED, &FailedMeta { call: call.0, attempt: *attempt, error, retry_at: *retry_at }, None)
        }
        Entry::Settled { call, outcome } => encode_outcome(*call, outcome),
        Entry::EventReceived { event_type, payload } => {
            record(EVENT_RECEIVED, &EventMeta { event_type: event_type.as_str().into() }, Some(payload))
        }
        Entry::PauseRequested => bare(PAUSE_REQUESTED),
        Entry::Paused => bare(PAUSED),
        Entry::Resumed => bare(RESUMED),
        Entry::WorkerKilled => bare(WORKER_KILLED),
        Entry::Diverged { message, stuck } => {
            record(DIVERGED, &DivergedMeta { message: message.as_str().into(), stuck: *stuck }, None)
        }
        Entry::Completed { output } => Record { payload: Some(output), ..bare(COMPLETED) },
        Entry::Errored { error } => record(ERRORED, &ErroredMeta { error: error.into() }, None),
        Entry::Terminated { source: Source::Unknown } => bare(TERMINATED),
        Entry::Terminated { source } => record(TERMINATED, &TerminatedMeta { source: source.as_str().into() }, None),
        Entry::RollbackRegistered { .. }
        | Entry::RollbackStarted { .. }
        | Entry::RollbackAttemptStarted { .. }
        | Entry::RollbackAttemptFailed { .. }
        | Entry::RolledBack { .. }
        | Entry::RollbackEnded { .. } => rollback::encode(entry),
    }
}

fn encode_outcome(call: CallId, outcome: &Outcome) -> Record<'_> {
    let call = call.0;
    match outcome {
        Outcome::Done { attempt, value } => record(DONE, &AttemptMeta { call, attempt: *attempt }, Some(value)),
        Outcome::Streamed { attempt, stream, preview } => {
            let StreamRef { id, chunks, bytes } = *stream;
            let meta = StreamedMeta { call, attempt: *attempt, stream: id.0, chunks, bytes };
            record(STREAMED, &meta, Some(preview))
        }
        Outcome::Slept => record(SLEPT, &CallMeta { call }, None),
        Outcome::Event { seq } => record(EVENT_DELIVERED, &DeliveredMeta { call, seq: *seq }, None),
        Outcome::TimedOut => record(TIMED_OUT, &CallMeta { call }, None),
        Outcome::Lost(error) => record(LOST, &LostMeta { call, error: error.into() }, None),
    }
}

/// Puts an entry together. `payload` is what was kept of its payload, or what a reader wants of it.
///
/// # Errors
/// Where this version does not know the kind, or the fields are not its fields.
pub fn decode(kind: u8, meta: &str, payload: Payload) -> Result<Entry, Unreadable> {
    Ok(match kind {
        CREATED => {
            let CreatedMeta { trigger, success_ms, error_ms } = parse(meta)?;
            let retention = Retention { success_ms, error_ms };
            Entry::Created { params: payload, trigger: trigger.into_string(), retention }
        }
        STARTED => Entry::Started { deployment: DeploymentId(parse::<StartedMeta>(meta)?.deployment) },
        BEGUN => decode_begun(parse(meta)?)?,
        DID => decode_did(parse(meta)?, payload)?,
        ATTEMPT_STARTED => {
            let AttemptMeta { call, attempt } = parse(meta)?;
            Entry::AttemptStarted { call: CallId(call), attempt }
        }
        ATTEMPT_FAILED => {
            let FailedMeta { call, attempt, error, retry_at } = parse(meta)?;
            Entry::AttemptFailed { call: CallId(call), attempt, error: error.into(), retry_at }
        }
        DONE => {
            let AttemptMeta { call, attempt } = parse(meta)?;
            settled(call, Outcome::Done { attempt, value: payload })
        }
        STREAMED => {
            let StreamedMeta { call, attempt, stream, chunks, bytes } = parse(meta)?;
            let stream = StreamRef { id: StreamId(stream), chunks, bytes };
            settled(call, Outcome::Streamed { attempt, stream, preview: payload })
        }
        SLEPT => settled(parse::<CallMeta>(meta)?.call, Outcome::Slept),
        EVENT_DELIVERED => {
            let DeliveredMeta { call, seq } = parse(meta)?;
            settled(call, Outcome::Event { seq })
        }
        TIMED_OUT => settled(parse::<CallMeta>(meta)?.call, Outcome::TimedOut),
        LOST => {
            let LostMeta { call, error } = parse(meta)?;
            settled(call, Outcome::Lost(error.into()))
        }
        EVENT_RECEIVED => {
            Entry::EventReceived { event_type: parse::<EventMeta>(meta)?.event_type.into_string(), payload }
        }
        PAUSE_REQUESTED => Entry::PauseRequested,
        PAUSED => Entry::Paused,
        RESUMED => Entry::Resumed,
        WORKER_KILLED => Entry::WorkerKilled,
        DIVERGED => {
            let DivergedMeta { message, stuck } = parse(meta)?;
            Entry::Diverged { message: message.into_string(), stuck }
        }
        COMPLETED => Entry::Completed { output: payload },
        ERRORED => Entry::Errored { error: parse::<ErroredMeta>(meta)?.error.into() },
        TERMINATED if meta.is_empty() => Entry::Terminated { source: Source::Unknown },
        TERMINATED => Entry::Terminated { source: Source::parse(&parse::<TerminatedMeta>(meta)?.source.0) },
        rollback::REGISTERED..=rollback::ENDED => rollback::decode(kind, meta)?,
        unknown => return Err(format!("entry of kind {unknown}, which this version does not know")),
    })
}

/// Where an instance came from, of the fields of its first entry.
pub(crate) fn trigger(created: &str) -> Result<Arc<str>, Unreadable> {
    Ok(parse::<CreatedMeta>(created)?.trigger.into_string().into())
}

fn decode_begun(meta: BegunMeta) -> Result<Entry, Unreadable> {
    let BegunMeta { call, parent, name, count, step, started } = meta;
    let (call, parent) = (CallId(call), parent.map(CallId));
    Ok(Entry::Begun { call, parent, name: name.into_string(), count, kind: step.into_kind()?, started })
}

fn decode_did(meta: DidMeta, value: Payload) -> Result<Entry, Unreadable> {
    let DidMeta { call, parent, name, count, config } = meta;
    let config = config.map(ConfigMeta::into_config).transpose()?.map(Box::new);
    Ok(Entry::Did { call: CallId(call), parent: parent.map(CallId), name: name.into_string(), count, config, value })
}

fn settled(call: u32, outcome: Outcome) -> Entry {
    Entry::Settled { call: CallId(call), outcome }
}

/// Bytes of the payload of an entry.
pub(crate) fn payload_bytes(recorded: &Recorded) -> usize {
    match &recorded.entry {
        Entry::Created { params: payload, .. }
        | Entry::Did { value: payload, .. }
        | Entry::Settled {
            outcome: Outcome::Done { value: payload, .. } | Outcome::Streamed { preview: payload, .. },
            ..
        }
        | Entry::EventReceived { payload, .. }
        | Entry::Completed { output: payload } => payload.stored_bytes(),
        _ => 0,
    }
}

/// The entry with its payload's texts left out.
pub(crate) fn without_texts(recorded: &Recorded) -> Recorded {
    let Record { kind, meta, payload } = encode(&recorded.entry);
    let value_bytes = payload.map_or(0, |payload| payload.value_bytes);
    let entry = decode(kind, &meta, Payload { json: None, exact: None, value_bytes });
    Recorded { entry: entry.expect("what was just encoded can be decoded"), ..*recorded }
}

fn bare(kind: u8) -> Record<'static> {
    Record { kind, meta: String::new(), payload: None }
}

fn record<'a>(kind: u8, meta: &impl Serialize, payload: Option<&'a Payload>) -> Record<'a> {
    let meta = serde_json::to_string(meta).expect("numbers and texts are JSON");
    Record { kind, meta, payload }
}

fn parse<'a, T: Deserialize<'a>>(meta: &'a str) -> Result<T, Unreadable> {
    serde_json::from_str(meta).map_err(|error| format!("fields {meta:?}: {error}"))
}

/// A text that is borrowed when written and owned when read.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.into())
    }
}

impl Text<'_> {
    fn into_string(self) -> String {
        self.0.into_owned()
    }
}

#[derive(Serialize, Deserialize)]
struct CreatedMeta<'a> {
    #[serde(borrow)]
    trigger: Text<'a>,
    /// How long it is kept after its end, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    success_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct StartedMeta {
    deployment: u32,
}

#[derive(Serialize, Deserialize)]
struct BegunMeta<'a> {
    call: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<u32>,
    #[serde(borrow)]
    name: Text<'a>,
    count: u32,
    #[serde(borrow)]
    step: StepMeta<'a>,
    started: bool,
}

#[derive(Serialize, Deserialize)]
struct DidMeta<'a> {
    call: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<u32>,
    #[serde(borrow)]
    name: Text<'a>,
    count: u32,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    config: Option<ConfigMeta<'a>>,
}

#[derive(Serialize, Deserialize)]
struct CallMeta {
    call: u32,
}

#[derive(Serialize, Deserialize)]
struct AttemptMeta {
    call: u32,
    attempt: u32,
}

#[derive(Serialize, Deserialize)]
struct StreamedMeta {
    call: u32,
    attempt: u32,
    stream: u64,
    chunks: u32,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct FailedMeta<'a> {
    call: u32,
    attempt: u32,
    #[serde(borrow)]
    error: ErrorMeta<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct DeliveredMeta {
    call: u32,
    seq: u64,
}

#[derive(Serialize, Deserialize)]
struct LostMeta<'a> {
    call: u32,
    #[serde(borrow)]
    error: ErrorMeta<'a>,
}

#[derive(Serialize, Deserialize)]
struct EventMeta<'a> {
    #[serde(rename = "type", borrow)]
    event_type: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct DivergedMeta<'a> {
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stuck: bool,
}

#[derive(Serialize, Deserialize)]
struct ErroredMeta<'a> {
    #[serde(borrow)]
    error: ErrorMeta<'a>,
}

/// Not written where the source is not known.
#[derive(Serialize, Deserialize)]
struct TerminatedMeta<'a> {
    #[serde(borrow)]
    source: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct ErrorMeta<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    stack: Option<Text<'a>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    cause: Option<Text<'a>>,
}

impl<'a> From<&'a ErrorRecord> for ErrorMeta<'a> {
    fn from(error: &'a ErrorRecord) -> Self {
        let (stack, cause) = (error.stack.as_deref().map(Text::from), error.cause.as_deref().map(Text::from));
        Self { name: error.name.as_str().into(), message: error.message.as_str().into(), stack, cause }
    }
}

impl From<ErrorMeta<'_>> for ErrorRecord {
    fn from(meta: ErrorMeta<'_>) -> Self {
        let (stack, cause) = (meta.stack.map(Text::into_string), meta.cause.map(Text::into_string));
        Self { name: meta.name.into_string(), message: meta.message.into_string(), stack, cause }
    }
}

/// What a call is: one member, named by the word for it.
#[derive(Serialize, Deserialize)]
enum StepMeta<'a> {
    #[serde(rename = "do")]
    Do(#[serde(borrow)] ConfigMeta<'a>),
    #[serde(rename = "sleep")]
    Sleep(i64),
    #[serde(rename = "sleep_until")]
    SleepUntil(i64),
    #[serde(rename = "wait")]
    Wait(#[serde(borrow)] WaitMeta<'a>),
}

#[derive(Serialize, Deserialize)]
struct WaitMeta<'a> {
    #[serde(rename = "type", borrow)]
    event_type: Text<'a>,
    timeout_ms: u64,
    until: i64,
}

impl<'a> From<&'a StepKind> for StepMeta<'a> {
    fn from(kind: &'a StepKind) -> Self {
        match kind {
            StepKind::Do(config) => Self::Do(config.into()),
            StepKind::Sleep { until } => Self::Sleep(*until),
            StepKind::SleepUntil { until } => Self::SleepUntil(*until),
            StepKind::Wait { event_type, timeout_ms, until } => {
                Self::Wait(WaitMeta { event_type: event_type.as_str().into(), timeout_ms: *timeout_ms, until: *until })
            }
        }
    }
}

impl StepMeta<'_> {
    fn into_kind(self) -> Result<StepKind, Unreadable> {
        Ok(match self {
            Self::Do(config) => StepKind::Do(config.into_config()?),
            Self::Sleep(until) => StepKind::Sleep { until },
            Self::SleepUntil(until) => StepKind::SleepUntil { until },
            Self::Wait(WaitMeta { event_type, timeout_ms, until }) => {
                StepKind::Wait { event_type: event_type.into_string(), timeout_ms, until }
            }
        })
    }
}

/// A step's configuration, whole: defaults of later versions must not change it.
#[derive(Serialize, Deserialize)]
struct ConfigMeta<'a> {
    /// Absent where unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    /// Absent where user code computes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(borrow)]
    backoff: Text<'a>,
    timeout_ms: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sensitive: bool,
}

impl From<&StepConfig> for ConfigMeta<'_> {
    fn from(config: &StepConfig) -> Self {
        let limit = match config.limit {
            RetryLimit::Times(times) => Some(times),
            RetryLimit::Unlimited => None,
        };
        let StepConfig { delay_ms, timeout_ms, sensitive, .. } = *config;
        Self { limit, delay_ms, backoff: config.backoff.as_str().into(), timeout_ms, sensitive }
    }
}

impl ConfigMeta<'_> {
    fn into_config(self) -> Result<StepConfig, Unreadable> {
        let backoff = Backoff::parse(&self.backoff.0).ok_or_else(|| format!("backoff {:?}", self.backoff.0))?;
        let limit = self.limit.map_or(RetryLimit::Unlimited, RetryLimit::Times);
        Ok(StepConfig {
            limit,
            delay_ms: self.delay_ms,
            backoff,
            timeout_ms: self.timeout_ms,
            sensitive: self.sensitive,
        })
    }
}

/// The texts of a payload as they were kept.
pub(crate) fn payload(json: Option<&str>, exact: Option<&str>, value_bytes: u64) -> Payload {
    Payload { json: json.map(Arc::from), exact: exact.map(Arc::from), value_bytes }
}
