//! The messages of a session, as they stand on the wire.
//!
//! A frame is a JSON array of messages; a message is an object with one member whose name is the kind (`{"begin":{…}}`).
//! User values ride as raw JSON and are never parsed here. `js/shim.js` mirrors these names; a test compares the two.
//! Who is asked what: the server decides when an attempt starts, how a call settles and when a run is forgotten; the
//! shim may start the *first* attempt of a new step at once and reports what user code did.

mod from_shim;
mod to_shim;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

pub use from_shim::FromShim;
pub use to_shim::{Outcome, PastCall, Schedule, Settlement, ToShim};

/// Version that `hello` must name.
pub const PROTOCOL: u32 = 1;

/// A user value: `v` is its JSON text (absent for `undefined`), `x` the exact encoding where JSON cannot carry it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Value<'a> {
    /// JSON text of the value; where `x` is present, only the view for people.
    #[serde(borrow, default, deserialize_with = "raw_or_null", skip_serializing_if = "Option::is_none")]
    pub v: Option<&'a RawValue>,
    /// JSON string with the exact encoding that only the shim reads, kept with its quotes.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub x: Option<&'a RawValue>,
    /// Bytes of the value itself, where that differs from the length of its JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
}

/// A `null` that is there is a value; serde would read it as absent.
fn raw_or_null<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A stream that the shim has written, or is to read, beside the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Its number.
    pub id: u64,
    /// Pieces that it has.
    pub chunks: u32,
    /// Bytes in all.
    pub bytes: u64,
}

/// An error of user code or of a rule that the shim checks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Thrown {
    /// `error.name`, or `Error` for a value that is no error.
    pub name: String,
    /// `error.message`, or the text of a value that is no error.
    pub message: String,
    /// `error.stack`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// What `error.cause` says, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What follows from it beside an ordinary failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ThrownKind>,
    /// With [`ThrownKind::Fatal`]: what the instance ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_with: Option<String>,
    /// Delay before the next attempt, before backoff, as the user's delay function gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<f64>,
}

/// What an error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrownKind {
    /// The step fails at once, whatever its retry limit.
    NonRetryable,
    /// The instance ends errored, uncatchable (a result that cannot be stored).
    Fatal,
}

/// How a step retries, in a step's `config`; members that are absent take the defaults of the start message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Retries after the first attempt; `Infinity` travels as 1e308.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// Base delay in milliseconds; absent with `dynamic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<f64>,
    /// The delay comes from the user's function with each failure (`Thrown::delay_ms`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dynamic: bool,
    /// `constant`, `linear` or `exponential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<String>,
    /// Wall-clock bound of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<f64>,
    /// The output is shown to nobody but user code.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

/// What a call is, told once when it begins. Identity across runs is (kind, name, count).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `step.do`.
    Do(Config),
    /// `step.sleep` (`ms`).
    Sleep {
        /// Duration in milliseconds.
        ms: f64,
    },
    /// `step.sleepUntil` (`at`).
    SleepUntil {
        /// Epoch milliseconds.
        at: f64,
    },
    /// `step.waitForEvent`.
    Wait {
        /// Event type.
        event: String,
        /// Milliseconds until it rejects.
        timeout_ms: f64,
    },
}

/// A frame that breaks the protocol. The session that sent it cannot be trusted any further and must be closed.
#[derive(Debug, thiserror::Error)]
#[error("the worker sent a frame that is no message list: {cause} in `{excerpt}`")]
pub struct FrameError {
    cause: serde_json::Error,
    excerpt: String,
}

/// Characters of a broken frame that its error shows.
const EXCERPT_CHARS: usize = 120;

/// The messages of a frame, in the order in which they were sent. They borrow from the frame.
///
/// # Errors
/// When the text is no JSON array of known messages.
pub fn parse_frame(frame: &str) -> Result<Vec<FromShim<'_>>, FrameError> {
    serde_json::from_str(frame).map_err(|cause| FrameError { excerpt: excerpt(frame, cause.column()), cause })
}

fn excerpt(frame: &str, column: usize) -> String {
    let before = column.saturating_sub(EXCERPT_CHARS / 2);
    frame.chars().skip(before).take(EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_a_value_and_undefined_is_none() {
        let frame = r#"[{"done":{"run":1,"value":{"v":null}}},{"done":{"run":2,"value":{}}}]"#;
        let values: Vec<_> = parse_frame(frame)
            .unwrap()
            .into_iter()
            .map(|message| match message {
                FromShim::Done { value, .. } => value.v.map(RawValue::get),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(values, [Some("null"), None]);
    }

    #[test]
    fn a_broken_frame_is_shown_where_it_breaks() {
        let error = parse_frame(r#"[{"pong":{"n":1}},{"begun":{}}]"#).unwrap_err();
        assert!(error.to_string().contains("begun"), "{error}");
    }

    #[test]
    fn a_settlement_carries_its_outcome_as_a_member() {
        let raw: Box<RawValue> = serde_json::value::to_raw_value(&[1]).unwrap();
        let value = Value { v: Some(&raw), ..Value::default() };
        let told = serde_json::to_string(&ToShim::Settle {
            run: 1,
            with: Settlement { call: 2, outcome: Outcome::Value(value) },
        });
        assert_eq!(told.unwrap(), r#"{"settle":{"run":1,"with":{"call":2,"value":{"v":[1]}}}}"#);
    }
}
