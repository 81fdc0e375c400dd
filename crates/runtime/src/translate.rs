//! Between the wire and the engine: messages of a frame become reports, what the engine tells a run becomes text.

use serde_json::value::RawValue;
use stepwell_engine::instance::{BeginKind, Failure, Report, Settlement as Settles, Severity, Tell};
use stepwell_engine::limits::{DELAY_MS_MAX, TIMEOUT_MS_MAX};
use stepwell_engine::{Backoff, CallId, ErrorRecord, Payload, RetryLimit, RunId, StepConfig, StreamId, StreamRef};

use crate::protocol::{
    Config, FrameError, FromShim, Kind, Outcome, Settlement, Stream, Thrown, ThrownKind, ToShim, Value, parse_frame,
};

/// From so many retries on, the limit is none at all; the wire writes `Infinity` as `1e308`.
const RETRIES_UNLIMITED: f64 = 1e9;

/// What a session says.
#[derive(Debug)]
pub enum Message {
    /// First message: protocol version and exported classes.
    Hello(u32, Vec<String>),
    /// About a run's progress.
    Report(RunId, Report),
    /// A run needs a value that was left out of its history.
    Want(RunId, CallId),
    /// A run wrote to its console.
    Log(RunId, ConsoleLine),
    /// Sign of life.
    Pong(u64),
}

/// A line of a run's console.
#[derive(Debug)]
pub struct ConsoleLine {
    /// The call whose callback wrote it.
    pub call: Option<u32>,
    /// That call's name with its count.
    pub step: Option<String>,
    /// The method's name.
    pub level: String,
    /// A JSON array with what was written.
    pub message: Box<RawValue>,
}

impl ConsoleLine {
    /// The line as a terminal shows it.
    #[must_use]
    pub fn text(&self) -> String {
        console_text(&self.message)
    }
}

/// What was written, in one line; `message` is a JSON array.
#[must_use]
pub fn console_text(message: &RawValue) -> String {
    let parts: Vec<&RawValue> = serde_json::from_str(message.get()).unwrap_or_default();
    let parts = parts.into_iter().map(RawValue::get);
    let texts = parts.map(|part| serde_json::from_str(part).unwrap_or_else(|_| part.to_owned()));
    texts.collect::<Vec<String>>().join(" ")
}

/// The messages of a frame. `defaults` fill what a step's configuration leaves out.
///
/// # Errors
/// Where the frame is none.
pub fn read_frame(frame: &str, defaults: &StepConfig) -> Result<Vec<Message>, FrameError> {
    let parsed = parse_frame(frame)?;
    let mut messages = Vec::with_capacity(parsed.len());
    for message in parsed {
        let registered = read_registration(&message, defaults);
        messages.push(read_message(message, defaults));
        messages.extend(registered);
    }
    Ok(messages)
}

/// That a call has a rollback handler is said with its beginning and reported behind it.
fn read_registration(message: &FromShim<'_>, defaults: &StepConfig) -> Option<Message> {
    let (FromShim::Begin { run, call, rollback: Some(config), .. }
    | FromShim::Did { run, call, rollback: Some(config), .. }) = message
    else {
        return None;
    };
    let config = Box::new(read_config(config, defaults));
    Some(Message::Report(RunId(*run), Report::RollbackRegistered { call: CallId(*call), config }))
}

fn read_message(message: FromShim<'_>, defaults: &StepConfig) -> Message {
    let (run, report) = match message {
        FromShim::Hello { protocol, classes } => return Message::Hello(protocol, classes),
        FromShim::Want { run, call } => return Message::Want(RunId(run), CallId(call)),
        FromShim::Log { run, call, step, level, message } => {
            return Message::Log(RunId(run), ConsoleLine { call, step, level, message: message.to_owned() });
        }
        FromShim::Pong { n } => return Message::Pong(n),
        FromShim::Begin { run, call, parent, name, count, kind, started, rollback: _ } => {
            let (call, parent, kind) = (CallId(call), parent.map(CallId), read_kind(kind, defaults));
            (run, Report::Begin { call, parent, name, count, kind, started })
        }
        FromShim::Did { run, call, parent, name, count, config, value, rollback: _ } => {
            let (call, parent, value) = (CallId(call), parent.map(CallId), read_value(value));
            let config = read_folded_config(config.as_ref(), defaults);
            (run, Report::Did { call, parent, name, count, config, value })
        }
        FromShim::Started { run, call, attempt } => (run, Report::Started { call: CallId(call), attempt }),
        FromShim::Ended { run, call, attempt, error: None, value, stream: Some(stream) } => {
            let (stream, preview) = (read_stream(stream), read_value(value));
            (run, Report::Streamed { call: CallId(call), attempt, stream, preview })
        }
        FromShim::Ended { run, call, attempt, error: None, value, stream: None } => {
            (run, Report::Succeeded { call: CallId(call), attempt, value: read_value(value) })
        }
        FromShim::Ended { run, call, attempt, error: Some(thrown), .. } => {
            let Failure { error, severity, delay_ms } = read_failure(thrown);
            (run, Report::Failed { call: CallId(call), attempt, error, severity, delay_ms })
        }
        FromShim::Done { run, value } => (run, Report::Completed(read_value(value))),
        FromShim::Threw { run, error, undoing: None } => (run, Report::Threw(read_error(error))),
        FromShim::Threw { run, error, undoing: Some(cause) } => {
            let (error, cause) = (read_error(error), read_error(cause));
            let cause = (cause != error).then_some(cause);
            (run, Report::Undoing { error, cause })
        }
        FromShim::UndoReady { run } => (run, Report::UndoReady),
        FromShim::Undone { run, call, attempt, error } => {
            (run, Report::Undone { call: CallId(call), attempt, failure: error.map(read_failure) })
        }
        FromShim::Quiesced { run, stop } => (run, Report::Quiesced(stop)),
        FromShim::Forgotten { run } => (run, Report::Forgotten),
        FromShim::Busy { run } => (run, Report::Busy),
        FromShim::Ahead { run } => (run, Report::Ahead),
        FromShim::Diverged { run, message, stuck } => (run, Report::Diverged { message, stuck }),
    };
    Message::Report(RunId(run), report)
}

fn read_value(value: Value<'_>) -> Payload {
    let json = value.v.map(|raw| raw.get().into());
    let exact = value.x.map(|raw| raw.get().into());
    let value_bytes = value.n.unwrap_or_else(|| value.v.map_or(0, |raw| raw.get().len() as u64));
    Payload { json, exact, value_bytes }
}

fn read_stream(Stream { id, chunks, bytes }: Stream) -> StreamRef {
    StreamRef { id: StreamId(id), chunks, bytes }
}

/// A recorded stream as it goes to the shim.
#[must_use]
pub fn write_stream(StreamRef { id, chunks, bytes }: StreamRef) -> Stream {
    Stream { id: id.0, chunks, bytes }
}

fn read_kind(kind: Kind, defaults: &StepConfig) -> BeginKind {
    match kind {
        Kind::Do(config) => BeginKind::Do(read_config(&config, defaults)),
        Kind::Sleep { ms } => BeginKind::Sleep { ms: bounded_ms(ms, DELAY_MS_MAX) },
        Kind::SleepUntil { at } => BeginKind::SleepUntil { at: at as i64 },
        Kind::Wait { event, timeout_ms } => {
            BeginKind::Wait { event_type: event, timeout_ms: bounded_ms(timeout_ms, DELAY_MS_MAX) }
        }
    }
}

/// A result without configuration is one of Cloudflare's defaults, wherever it is read again: others are written down.
fn read_folded_config(config: Option<&Config>, defaults: &StepConfig) -> Option<Box<StepConfig>> {
    let own = || (*defaults != StepConfig::DEFAULT).then(|| defaults.clone());
    config.map(|config| read_config(config, defaults)).or_else(own).map(Box::new)
}

fn read_config(config: &Config, defaults: &StepConfig) -> StepConfig {
    let given_ms = config.delay_ms.map(|ms| bounded_ms(ms, DELAY_MS_MAX));
    StepConfig {
        limit: config.limit.map_or(defaults.limit, read_limit),
        delay_ms: if config.dynamic { None } else { given_ms.or(defaults.delay_ms) },
        backoff: config.backoff.as_deref().and_then(Backoff::parse).unwrap_or(defaults.backoff),
        timeout_ms: config.timeout_ms.map_or(defaults.timeout_ms, |ms| bounded_ms(ms, TIMEOUT_MS_MAX)),
        sensitive: config.sensitive,
    }
}

fn read_limit(limit: f64) -> RetryLimit {
    if limit >= RETRIES_UNLIMITED { RetryLimit::Unlimited } else { RetryLimit::Times(limit.max(0.0) as u32) }
}

/// Whole milliseconds, never less than asked for.
fn bounded_ms(ms: f64, max_ms: u64) -> u64 {
    if ms.is_nan() { 0 } else { (ms.max(0.0).ceil() as u64).min(max_ms) }
}

fn read_failure(thrown: Thrown) -> Failure {
    let severity = match thrown.kind {
        None => Severity::Ordinary,
        Some(ThrownKind::NonRetryable) => Severity::NonRetryable,
        Some(ThrownKind::Fatal) => {
            let message = thrown.ends_with.as_ref().unwrap_or(&thrown.message);
            Severity::Fatal(ErrorRecord::new(thrown.name.as_str(), message.as_str()))
        }
    };
    let delay_ms = thrown.delay_ms.map(|ms| bounded_ms(ms, DELAY_MS_MAX));
    Failure { error: read_error(thrown), severity, delay_ms }
}

fn read_error(thrown: Thrown) -> ErrorRecord {
    ErrorRecord { name: thrown.name, message: thrown.message, stack: thrown.stack, cause: thrown.cause }
}

/// Appends what the engine tells a run to a frame under way.
pub fn write_tell(run: RunId, tell: &Tell, frame: &mut Frame) {
    let run = run.0;
    match tell {
        Tell::Held(call) => frame.push(&ToShim::Held { run, call: call.0 }),
        Tell::Settle(call, settles) => {
            frame.push(&ToShim::Settle { run, with: Settlement { call: call.0, outcome: write_outcome(settles) } });
        }
        Tell::Attempt(call, attempt) => frame.push(&ToShim::Attempt { run, call: call.0, attempt: *attempt }),
        Tell::RollBack => frame.push(&ToShim::RollBack { run }),
        Tell::Undo { call, attempt, cause } => {
            let ErrorRecord { name, message, stack, cause } = (**cause).clone();
            let error = Thrown { name, message, stack, cause, kind: None, delay_ms: None, ends_with: None };
            frame.push(&ToShim::Undo { run, call: call.0, attempt: *attempt, error });
        }
        Tell::Stop(stop) => frame.push(&ToShim::Stop { run, stop: *stop }),
        Tell::Go => frame.push(&ToShim::Go { run }),
        Tell::Forget { force } => frame.push(&ToShim::Forget { run, force: *force }),
    }
}

fn write_outcome(settles: &Settles) -> Outcome<'_> {
    match settles {
        Settles::Slept => Outcome::Slept(true),
        Settles::Event { at, event_type, payload, .. } => {
            Outcome::Event { kind: event_type, at: *at, payload: payload.as_ref().map(write_value) }
        }
        Settles::Error(error) => write_error(error),
    }
}

/// A recorded error as the outcome of a call.
#[must_use]
pub fn write_error(error: &ErrorRecord) -> Outcome<'_> {
    let ErrorRecord { name, message, stack, cause } = error;
    Outcome::Error { name, message, stack: stack.as_deref(), cause: cause.as_deref() }
}

/// A recorded value as it goes to the shim. A text that is not JSON, which only a damaged store can hold, is left out.
#[must_use]
pub fn write_value(payload: &Payload) -> Value<'_> {
    Value { v: raw_of(payload.json.as_deref()), x: raw_of(payload.exact.as_deref()), n: None }
}

fn raw_of(text: Option<&str>) -> Option<&RawValue> {
    serde_json::from_str(text?).ok()
}

/// A frame under way: a JSON array of messages.
#[derive(Debug, Default)]
pub struct Frame {
    text: Vec<u8>,
}

impl Frame {
    /// Appends a message.
    pub fn push(&mut self, message: &ToShim<'_>) {
        self.text.push(if self.text.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut self.text, message).expect("messages are plain data and memory takes them");
    }

    /// Bytes so far.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.text.len()
    }

    /// Nothing has been pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The finished text; the frame is empty afterwards.
    #[must_use]
    pub fn take(&mut self) -> String {
        let mut text = std::mem::take(&mut self.text);
        text.push(b']');
        String::from_utf8(text).expect("JSON is UTF-8")
    }
}
