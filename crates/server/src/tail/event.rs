//! What a tail shows: one invocation of a Worker, with what its code wrote and what it threw. How it is written stands in
//! [`super::wire`].

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::value::RawValue;
use stepwell_engine::{DeploymentId, ErrorRecord, Millis};
use stepwell_runtime::translate::console_text;
use stepwell_store::ScopedName;

use super::limits::{EVENT_EXCEPTIONS_MAX, EVENT_LINES_BYTES_MAX};

/// An invocation, or a part of one that goes on.
#[derive(Debug)]
pub struct Event {
    pub script: ScopedName,
    pub version: Option<DeploymentId>,
    pub outcome: Outcome,
    /// When it began.
    pub at: Millis,
    /// How long it took, where it is over.
    pub wall_ms: Option<Millis>,
    pub invocation: Invocation,
    pub told: Told,
}

/// What was invoked.
#[derive(Debug)]
pub enum Invocation {
    /// The `fetch` handler.
    Fetch(Fetch),
    /// The `run` of a workflow's class.
    Run {
        class: String,
        workflow: String,
        /// `None` where the instance is gone.
        instance: Option<Arc<str>>,
    },
}

/// A request and what came of it.
#[derive(Debug, Clone)]
pub struct Fetch {
    pub method: String,
    pub url: String,
    /// In order; names in lower case, those that came twice with both values.
    pub headers: Vec<(String, String)>,
    pub client_ip: Option<IpAddr>,
    /// Status of the answer, where there was one.
    pub status: Option<u16>,
}

/// How an invocation ended, in Cloudflare's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Canceled,
    Exception,
    ExceededCpu,
    ExceededMemory,
    Unknown,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Canceled, Self::Exception, Self::ExceededCpu, Self::ExceededMemory, Self::Unknown];

    /// Cloudflare's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Canceled => "canceled",
            Self::Exception => "exception",
            Self::ExceededCpu => "exceededCpu",
            Self::ExceededMemory => "exceededMemory",
            Self::Unknown => "unknown",
        }
    }
}

/// A console line.
#[derive(Debug)]
pub struct Line {
    pub at: Millis,
    pub level: String,
    /// A JSON array with what was written.
    pub message: Box<RawValue>,
    /// The step that wrote it, `<name>-<count>`.
    pub step: Option<String>,
}

impl Line {
    /// As a terminal shows it.
    pub fn text(&self) -> String {
        console_text(&self.message)
    }
}

/// An error that nobody caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    pub at: Millis,
    pub name: String,
    pub message: String,
    pub stack: Option<String>,
}

impl Exception {
    /// Of an error that was recorded. The stack is frames alone, as Cloudflare's tails have it.
    pub fn new(ErrorRecord { name, message, stack, .. }: ErrorRecord, at: Millis) -> Self {
        Self { at, name, message, stack: stack.map(|stack| frames(&stack).to_owned()) }
    }
}

/// A stack without the error's own text in front, which may have lines of its own.
fn frames(stack: &str) -> &str {
    let first = stack.match_indices('\n').find(|(at, _)| stack[at + 1..].trim_start().starts_with("at "));
    first.map_or(stack, |(at, _)| &stack[at + 1..])
}

/// What code has said, up to a bound.
#[derive(Debug, Default)]
pub struct Told {
    pub lines: Vec<Line>,
    pub exceptions: Vec<Exception>,
    /// There was more.
    pub truncated: bool,
    bytes: usize,
}

impl Told {
    /// Takes a line, unless there are too many.
    pub fn write(&mut self, line: Line) {
        if self.truncated || !self.has_room_for(&line.message) {
            self.truncated = true;
        } else {
            self.bytes += line.message.get().len();
            self.lines.push(line);
        }
    }

    /// Takes an error, unless there are too many.
    pub fn throw(&mut self, exception: Exception) {
        if self.exceptions.len() < EVENT_EXCEPTIONS_MAX {
            self.exceptions.push(exception);
        } else {
            self.truncated = true;
        }
    }

    /// Whether a line still has room.
    pub fn has_room_for(&self, message: &RawValue) -> bool {
        self.bytes + message.get().len() <= EVENT_LINES_BYTES_MAX
    }

    /// `Ok`, or `Exception` where something was thrown.
    pub fn outcome(&self) -> Outcome {
        if self.exceptions.is_empty() { Outcome::Ok } else { Outcome::Exception }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_frames_alone() {
        for (stack, shown) in [
            ("Error: no\n    at a (x.js:1:2)\n    at b", "    at a (x.js:1:2)\n    at b"),
            ("Error: two\nlines\n    at a (x.js:1:2)", "    at a (x.js:1:2)"),
            ("no frames", "no frames"),
        ] {
            assert_eq!(frames(stack), shown);
        }
    }

    #[test]
    fn what_is_too_much_is_cut_and_said_to_be() {
        let mut told = Told::default();
        for _ in 0..3 {
            let message = RawValue::from_string(format!("[\"{}\"]", "x".repeat(EVENT_LINES_BYTES_MAX / 2 - 100)));
            told.write(Line { at: 0, level: "log".to_owned(), message: message.expect("JSON"), step: None });
        }
        assert_eq!((told.lines.len(), told.truncated), (2, true));
    }
}
