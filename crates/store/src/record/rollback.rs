//! How the entries of a rollback are kept.

use serde::{Deserialize, Serialize};
use stepwell_engine::{CallId, End, Entry, ErrorRecord, Source};

use super::{AttemptMeta, ConfigMeta, ErrorMeta, FailedMeta, Record, Text, Unreadable, parse, record};

pub(super) const REGISTERED: u8 = 21;
pub(super) const STARTED: u8 = 22;
pub(super) const ATTEMPT_STARTED: u8 = 23;
pub(super) const ATTEMPT_FAILED: u8 = 24;
pub(super) const ROLLED_BACK: u8 = 25;
pub(super) const ENDED: u8 = 26;

#[derive(Serialize, Deserialize)]
struct RegisteredMeta<'a> {
    call: u32,
    #[serde(borrow)]
    config: ConfigMeta<'a>,
}

#[derive(Serialize, Deserialize)]
struct StartedMeta<'a> {
    #[serde(borrow)]
    cause: ErrorMeta<'a>,
    /// Absent where the instance is terminated afterwards.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorMeta<'a>>,
    /// From where it is terminated, where that is known.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    source: Option<Text<'a>>,
}

impl<'a> StartedMeta<'a> {
    fn new(cause: &'a ErrorRecord, end: &'a End) -> Self {
        let (error, source) = match end {
            End::Errored(error) => (Some(error.into()), None),
            End::Terminated(Source::Unknown) => (None, None),
            End::Terminated(source) => (None, Some(source.as_str().into())),
        };
        Self { cause: cause.into(), error, source }
    }

    fn into_entry(self) -> Entry {
        let source = self.source.map_or(Source::Unknown, |source| Source::parse(&source.0));
        let end = self.error.map_or(End::Terminated(source), |error| End::Errored(error.into()));
        Entry::RollbackStarted { cause: self.cause.into(), end }
    }
}

#[derive(Serialize, Deserialize)]
struct EndedMeta<'a> {
    /// Absent where all handlers succeeded.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorMeta<'a>>,
}

/// Takes an entry of a rollback apart.
///
/// # Panics
/// For any other entry.
pub(super) fn encode(entry: &Entry) -> Record<'_> {
    match entry {
        Entry::RollbackRegistered { call, config } => {
            record(REGISTERED, &RegisteredMeta { call: call.0, config: (&**config).into() }, None)
        }
        Entry::RollbackStarted { cause, end } => record(STARTED, &StartedMeta::new(cause, end), None),
        Entry::RollbackAttemptStarted { call, attempt } => {
            record(ATTEMPT_STARTED, &AttemptMeta { call: call.0, attempt: *attempt }, None)
        }
        Entry::RollbackAttemptFailed { call, attempt, error, retry_at } => {
            let error = error.into();
            record(ATTEMPT_FAILED, &FailedMeta { call: call.0, attempt: *attempt, error, retry_at: *retry_at }, None)
        }
        Entry::RolledBack { call, attempt } => {
            record(ROLLED_BACK, &AttemptMeta { call: call.0, attempt: *attempt }, None)
        }
        Entry::RollbackEnded { error } => {
            record(ENDED, &EndedMeta { error: error.as_ref().map(ErrorMeta::from) }, None)
        }
        other => unreachable!("no entry of a rollback: {other:?}"),
    }
}

/// Puts an entry of a rollback together; none of them has a payload.
pub(super) fn decode(kind: u8, meta: &str) -> Result<Entry, Unreadable> {
    Ok(match kind {
        REGISTERED => {
            let RegisteredMeta { call, config } = parse(meta)?;
            Entry::RollbackRegistered { call: CallId(call), config: Box::new(config.into_config()?) }
        }
        STARTED => parse::<StartedMeta>(meta)?.into_entry(),
        ATTEMPT_STARTED => {
            let AttemptMeta { call, attempt } = parse(meta)?;
            Entry::RollbackAttemptStarted { call: CallId(call), attempt }
        }
        ATTEMPT_FAILED => {
            let FailedMeta { call, attempt, error, retry_at } = parse(meta)?;
            Entry::RollbackAttemptFailed { call: CallId(call), attempt, error: error.into(), retry_at }
        }
        ROLLED_BACK => {
            let AttemptMeta { call, attempt } = parse(meta)?;
            Entry::RolledBack { call: CallId(call), attempt }
        }
        ENDED => Entry::RollbackEnded { error: parse::<EndedMeta<'_>>(meta)?.error.map(ErrorRecord::from) },
        unknown => return Err(format!("entry of kind {unknown}, which this version does not know")),
    })
}
