//! The messages of a session, as they stand on the wire.
//!
//! A frame is a JSON array of messages; a message is an object with one member whose name is the kind (`{"begin":{…}}`).
//! User values ride as raw JSON and are never parsed here. `js/shim.js` mirrors these names; a test compares the two.
//! Who is asked what: the server decides when an attempt starts, how a call settles and when a run is forgotten; the
//! shim may start the *first* attempt of a new step at once and reports what user code did.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

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

/// Shim → server.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromShim<'a> {
    /// First message of a session.
    Hello {
        /// Protocol version.
        protocol: u32,
        /// Exported workflow classes.
        classes: Vec<String>,
    },
    /// A call begins. For a `do`, `started` says that its first attempt runs already.
    Begin {
        /// Run number.
        run: u64,
        /// Number of the call in this instance, from 0: the calls of the history come first, then those begun in this run.
        call: u32,
        /// The call whose callback made this one.
        #[serde(default)]
        parent: Option<u32>,
        /// Step name.
        name: String,
        /// How many times this kind and name were used so far in this run, from 1.
        count: u32,
        /// What it is.
        kind: Kind,
        /// The first attempt has been started.
        #[serde(default)]
        started: bool,
        /// It has a rollback handler, whose attempts have this configuration.
        #[serde(default)]
        rollback: Option<Config>,
    },
    /// A `do` that began and succeeded within one turn: `begin` and `ended` folded.
    Did {
        /// Run number.
        run: u64,
        /// Number of the call.
        call: u32,
        /// Calling call.
        #[serde(default)]
        parent: Option<u32>,
        /// Step name.
        name: String,
        /// Use of this name.
        count: u32,
        /// Configuration, absent for the defaults.
        #[serde(default)]
        config: Option<Config>,
        /// Result.
        #[serde(borrow, default)]
        value: Value<'a>,
        /// It has a rollback handler, whose attempts have this configuration.
        #[serde(default)]
        rollback: Option<Config>,
    },
    /// An attempt other than an optimistic first one has been started.
    Started {
        /// Run number.
        run: u64,
        /// Number of the call.
        call: u32,
        /// Attempt, from 1.
        attempt: u32,
    },
    /// An attempt ended: `error` present for a failure, else `value`.
    Ended {
        /// Run number.
        run: u64,
        /// Number of the call.
        call: u32,
        /// Attempt, from 1.
        attempt: u32,
        /// Result; with `stream`, what people see of it.
        #[serde(borrow, default)]
        value: Value<'a>,
        /// The result is this stream.
        #[serde(default)]
        stream: Option<Stream>,
        /// Failure.
        #[serde(default)]
        error: Option<Thrown>,
    },
    /// `run()` returned.
    Done {
        /// Run number.
        run: u64,
        /// Output.
        #[serde(borrow, default)]
        value: Value<'a>,
    },
    /// `run()` threw.
    Threw {
        /// Run number.
        run: u64,
        /// What the instance ends with.
        error: Thrown,
        /// The run has rollback handlers and stays to run them: what was thrown.
        #[serde(default)]
        undoing: Option<Thrown>,
    },
    /// A run that was started for a rollback has as many handlers at hand as its code has.
    UndoReady {
        /// Run number.
        run: u64,
    },
    /// An attempt of a rollback handler ended.
    Undone {
        /// Run number.
        run: u64,
        /// Number of the call that registered it.
        call: u32,
        /// Attempt, from 1.
        attempt: u32,
        /// Failure.
        #[serde(default)]
        error: Option<Thrown>,
    },
    /// After `stop`: no attempt is running any more.
    Quiesced {
        /// Run number.
        run: u64,
        /// Number of the `stop`.
        stop: u32,
    },
    /// After `forget`: nothing of this run comes after it.
    Forgotten {
        /// Run number.
        run: u64,
    },
    /// After a gentle `forget`: the run has timers of its own pending, it stays.
    Busy {
        /// Run number.
        run: u64,
    },
    /// The code makes a new call although it has not made a recorded one that comes before: it may be diverging.
    Ahead {
        /// Run number.
        run: u64,
    },
    /// A recorded value that was too large for the history is needed now.
    Want {
        /// Run number.
        run: u64,
        /// Number of the call.
        call: u32,
    },
    /// The code no longer makes a recorded call.
    Diverged {
        /// Run number.
        run: u64,
        /// What was expected and what came.
        message: String,
    },
    /// A line of console output.
    Log {
        /// Run number.
        run: u64,
        /// Step that wrote it.
        #[serde(default)]
        call: Option<u32>,
        /// That step's name with its count, `<name>-<count>`.
        #[serde(default)]
        step: Option<String>,
        /// `log`, `info`, `warn`, `error` or `debug`.
        level: String,
        /// A JSON array with what was written, a text for what JSON cannot carry.
        #[serde(borrow)]
        message: &'a RawValue,
    },
    /// Answer to `ping`.
    Pong {
        /// The number that was sent.
        n: u64,
    },
}

/// Server → shim.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToShim<'a> {
    /// Start a run. With `calls` > 0 the run waits for its `history` messages, the last of which says so.
    Start {
        /// Run number, unique in the server's life.
        run: u64,
        /// Exported class.
        class: &'a str,
        /// Workflow name.
        workflow: &'a str,
        /// Instance id.
        instance: &'a str,
        /// Creation time in epoch milliseconds (`event.timestamp`).
        at: i64,
        /// `event.payload`.
        params: Value<'a>,
        /// Defaults and limits.
        settings: &'a RawValue,
        /// Recorded calls that follow in `history` messages.
        calls: u32,
        /// Start no attempts until `go`.
        paused: bool,
        /// Send `begin` before any user code of a step, never `did`.
        careful: bool,
        /// The run is for rollback handlers: replay the history, begin nothing, say `undo_ready`.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        rolls_back: bool,
        /// The firing that created the instance (`event.schedule`).
        #[serde(skip_serializing_if = "Option::is_none")]
        schedule: Option<Schedule<'a>>,
    },
    /// A piece of the history of a run.
    History {
        /// Run number.
        run: u64,
        /// Calls in the order in which they began.
        calls: Vec<PastCall<'a>>,
        /// Settlements in the order in which they were recorded.
        settled: Vec<Settlement<'a>>,
        /// The run may start.
        last: bool,
    },
    /// The result that the shim holds for this call is durable: settle it with that.
    Held {
        /// Run number.
        run: u64,
        /// Number of the call.
        call: u32,
    },
    /// Settle a call.
    Settle {
        /// Run number.
        run: u64,
        /// With what.
        with: Settlement<'a>,
    },
    /// Start attempt `attempt` of a call; where the call has not been made yet in this run, as soon as it is.
    Attempt {
        /// Run number.
        run: u64,
        /// Number of the call.
        call: u32,
        /// Attempt, from 1.
        attempt: u32,
    },
    /// Begin nothing any more and settle what is recorded: `undo_ready` follows.
    RollBack {
        /// Run number.
        run: u64,
    },
    /// Run the rollback handler of a call; `undone` follows.
    Undo {
        /// Run number.
        run: u64,
        /// Number of the call.
        call: u32,
        /// Attempt, from 1.
        attempt: u32,
        /// What the handler is told: name, message and stack of the error.
        error: Thrown,
    },
    /// The value asked for with `want`.
    Value {
        /// Run number.
        run: u64,
        /// Number of the call.
        call: u32,
        /// The value.
        value: Value<'a>,
        /// It is this stream.
        #[serde(skip_serializing_if = "Option::is_none")]
        stream: Option<Stream>,
        /// It is no longer whole.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        corrupt: bool,
    },
    /// Start no further attempts (a pause); answer `quiesced` when none is running.
    Stop {
        /// Run number.
        run: u64,
        /// Which of the run's, from 1: the answer names it.
        stop: u32,
    },
    /// Attempts may start again.
    Go {
        /// Run number.
        run: u64,
    },
    /// Forget the run: `forgotten` follows. Without `force` the shim may answer `busy`.
    Forget {
        /// Run number.
        run: u64,
        /// Whatever the run is doing.
        force: bool,
    },
    /// Sign of life wanted.
    Ping {
        /// Comes back.
        n: u64,
    },
    /// Close the session.
    Bye {},
}

/// A firing of a cron schedule.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Schedule<'a> {
    /// The expression.
    pub cron: &'a str,
    /// When it was due, epoch milliseconds.
    pub at: i64,
}

/// A recorded call.
#[derive(Debug, Serialize)]
pub struct PastCall<'a> {
    /// Number of the call.
    pub call: u32,
    /// Calling call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// `do`, `sleep`, `sleep_until` or `wait`.
    pub kind: &'static str,
    /// Step name.
    pub name: &'a str,
    /// Use of this kind and name.
    pub count: u32,
    /// For an open `do` that differs from the defaults: its resolved configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
    /// For a call with a rollback handler: attempts that were started so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// For an open `do`: the attempt that may start when the call is made; absent while a retry delay runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// How a call settled.
#[derive(Debug, Serialize)]
pub struct Settlement<'a> {
    /// Number of the call.
    pub call: u32,
    /// Outcome.
    #[serde(flatten)]
    pub outcome: Outcome<'a>,
}

/// The outcome of a call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<'a> {
    /// A `do` succeeded.
    Value(Value<'a>),
    /// A value of so many bytes that must be asked for with `want`.
    Large(u64),
    /// A sleep ended.
    Slept(bool),
    /// An event arrived: `payload` absent where it must be asked for with `want`.
    Event {
        /// Event type.
        #[serde(rename = "type")]
        kind: &'a str,
        /// When it was sent, epoch milliseconds.
        at: i64,
        /// Payload.
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value<'a>>,
    },
    /// The call rejects.
    Error {
        /// `error.name`.
        name: &'a str,
        /// `error.message`.
        message: &'a str,
        /// `error.stack` where recorded.
        #[serde(skip_serializing_if = "Option::is_none")]
        stack: Option<&'a str>,
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
