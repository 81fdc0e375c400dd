//! What the shim says to the server: what user code did.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Config, Kind, Stream, Thrown, Value};

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
        /// The code waits for what never comes.
        stuck: bool,
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
