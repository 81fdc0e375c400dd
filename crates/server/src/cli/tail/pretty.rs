//! Events for reading: a heading for each request or run, below it what its code wrote and threw.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cli::screen::{Screen, Tone};
use crate::cli::text::{one_line, printable};
use crate::cli::timeline::hanging;
use crate::cli::times;
use stepwell_runtime::translate::console_text;

/// An event, as much of it as is shown.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    outcome: String,
    entrypoint: Option<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
    #[serde(default)]
    logs: Vec<Line>,
    event_timestamp: i64,
    wall_time: Option<i64>,
    #[serde(default)]
    truncated: bool,
    event: Option<Cause>,
}

/// What was invoked, by its members.
#[derive(Deserialize)]
#[serde(untagged)]
enum Cause {
    Request {
        request: Request,
        response: Option<Response>,
    },
    #[serde(rename_all = "camelCase")]
    Call {
        rpc_method: String,
        workflow_name: Option<String>,
        instance_id: Option<String>,
    },
    Info {
        message: String,
    },
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
}

#[derive(Deserialize)]
struct Exception {
    name: String,
    message: String,
    stack: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    message: Box<RawValue>,
    level: String,
    step: Option<String>,
}

impl Event {
    /// The event in lines.
    pub fn lines(&self, screen: &Screen) -> Vec<String> {
        let mut lines = vec![self.heading(screen)];
        for line in &self.logs {
            lines.extend(line.lines(screen));
        }
        for exception in &self.exceptions {
            lines.extend(exception.lines(screen));
        }
        if self.truncated {
            lines.push(screen.paint(Tone::Dim, "  … and more, which is not shown"));
        }
        lines
    }

    fn heading(&self, screen: &Screen) -> String {
        if let Some(Cause::Info { message }) = &self.event {
            return screen.paint(Tone::Waiting, &one_line(message));
        }
        let at = Timestamp::from_millisecond(self.event_timestamp).unwrap_or_default();
        let time = at.to_zoned(screen.zone.clone()).strftime("%H:%M:%S").to_string();
        let mut parts = vec![screen.paint(Tone::Dim, &time), screen.paint(Tone::Heading, &self.what())];
        match &self.event {
            Some(Cause::Request { response: Some(Response { status }), .. }) => {
                parts.push(screen.paint(status_tone(*status), &status.to_string()));
            }
            Some(Cause::Call { workflow_name, instance_id, .. }) => {
                let names = [workflow_name, instance_id].into_iter().flatten().map(|name| one_line(name));
                parts.extend(names);
            }
            _ => {}
        }
        if let Some((word, tone)) = outcome(&self.outcome) {
            parts.push(screen.paint(tone, &word));
        }
        let took = match (&self.event, self.wall_time) {
            (_, Some(ms)) => times::duration(ms),
            (Some(Cause::Call { .. }), None) => "goes on".to_owned(),
            (_, None) => String::new(),
        };
        parts.push(screen.paint(Tone::Dim, &took));
        parts.retain(|part| !part.is_empty());
        parts.join("  ")
    }

    fn what(&self) -> String {
        let entrypoint = self.entrypoint.as_deref().unwrap_or_default();
        match &self.event {
            Some(Cause::Request { request, .. }) => one_line(&format!("{} {}", request.method, request.url)),
            Some(Cause::Call { rpc_method, .. }) => one_line(&format!("{entrypoint}.{rpc_method}")),
            _ => "something".to_owned(),
        }
    }
}

fn status_tone(status: u16) -> Tone {
    match status {
        500.. => Tone::Bad,
        400..500 => Tone::Waiting,
        _ => Tone::Good,
    }
}

/// What is said of an ending, where it is not the usual one.
fn outcome(word: &str) -> Option<(String, Tone)> {
    let (text, tone) = match word {
        "ok" => return None,
        "exception" => ("exception", Tone::Bad),
        "canceled" => ("canceled", Tone::Waiting),
        "exceededCpu" => ("computed for too long", Tone::Bad),
        "exceededMemory" => ("took too much memory", Tone::Bad),
        "unknown" => ("lost", Tone::Bad),
        other => return Some((one_line(other), Tone::Bad)),
    };
    Some((text.to_owned(), tone))
}

impl Line {
    fn lines(&self, screen: &Screen) -> Vec<String> {
        let tone = match self.level.as_str() {
            "error" => Tone::Bad,
            "warn" => Tone::Waiting,
            "debug" => Tone::Dim,
            _ => Tone::Plain,
        };
        let step = self.step.as_deref().map_or_else(String::new, |step| format!("{} ", one_line(step)));
        let level = if self.level == "log" { String::new() } else { format!("{}: ", one_line(&self.level)) };
        let label = format!("  {}{level}", screen.paint(Tone::Dim, &step));
        let text = console_text(&self.message);
        hanging(&label, 4, text.split('\n').map(|line| screen.paint(tone, &printable(line))).collect())
    }
}

impl Exception {
    fn lines(&self, screen: &Screen) -> Vec<String> {
        let told = format!("{}: {}", self.name, self.message);
        let text = told.split('\n').map(|line| screen.paint(Tone::Bad, &printable(line))).collect();
        let mut lines = hanging("  ", 4, text);
        let frames = self.stack.as_deref().unwrap_or_default().lines();
        lines.extend(frames.map(|frame| screen.paint(Tone::Dim, &format!("    {}", one_line(frame.trim())))));
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(event: &Value, expected: &[&str]) {
        let screen = Screen::plain(None, Timestamp::UNIX_EPOCH);
        let event: Event = serde_json::from_value(event.clone()).expect("an event");
        assert_eq!(event.lines(&screen), expected);
    }

    #[test]
    fn a_request_is_headed_by_its_answer() {
        check(
            &json!({
                "outcome": "exception", "eventTimestamp": 1_000, "wallTime": 12, "truncated": true,
                "exceptions": [{ "name": "TypeError", "message": "no\nway", "timestamp": 1, "stack": "    at f (a.js:1:2)" }],
                "logs": [
                    { "message": ["hi", { "a": 1 }], "level": "log", "timestamp": 1 },
                    { "message": ["two\nlines\u{1b}[2J"], "level": "warn", "timestamp": 1 },
                ],
                "event": { "request": { "method": "GET", "url": "http://a/b" }, "response": { "status": 500 } },
            }),
            &[
                "00:00:01  GET http://a/b  500  exception  12 ms",
                "  hi {\"a\":1}",
                "  warn: two",
                "    lines␛[2J",
                "  TypeError: no",
                "    way",
                "    at f (a.js:1:2)",
                "  … and more, which is not shown",
            ],
        );
    }

    #[test]
    fn a_run_is_headed_by_its_instance_and_its_lines_by_their_steps() {
        let event = json!({ "rpcMethod": "run", "workflowName": "orders", "instanceId": "a-1" });
        check(
            &json!({
                "outcome": "ok", "entrypoint": "Orders", "eventTimestamp": 61_000, "exceptions": [], "event": event,
                "logs": [{ "message": [12], "level": "log", "timestamp": 1, "step": "charge-1" }],
            }),
            &["00:01:01  Orders.run  orders  a-1  goes on", "  charge-1 12"],
        );
        check(
            &json!({
                "outcome": "canceled", "entrypoint": "Orders", "eventTimestamp": 0, "wallTime": 1_500, "event": event,
            }),
            &["00:00:00  Orders.run  orders  a-1  canceled  1.5 s"],
        );
    }

    #[test]
    fn what_the_server_says_stands_alone() {
        let event = json!({ "type": "overload", "message": "[some events were dropped]" });
        check(
            &json!({ "outcome": "unknown", "eventTimestamp": 0, "logs": [], "exceptions": [], "event": event }),
            &["[some events were dropped]"],
        );
    }
}
