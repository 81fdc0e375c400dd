//! What the server says to the shim: runs with their history, what settles, and what is wanted of them.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Config, Stream, Thrown, Value};

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
    /// Where it is long: what the code took at most on its way to this call, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
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
        /// What its cause says, for people.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<&'a str>,
    },
}
