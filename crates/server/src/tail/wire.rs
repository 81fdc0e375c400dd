//! Events as they go to readers: Cloudflare's `trace-v1`, with what it redacts redacted. Beyond Cloudflare's, the event of a
//! run names its workflow and instance, and a line its step.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::event::{Event, Exception, Fetch, Invocation, Line};
use super::redact;
use crate::rest::version_id;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_time: Option<i64>,
    truncated: bool,
    execution_model: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    script_version: Option<Value>,
    script_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint: Option<&'a str>,
    diagnostics_channel_events: [(); 0],
    exceptions: Vec<ExceptionItem<'a>>,
    logs: Vec<LineItem<'a>>,
    event_timestamp: i64,
    event: Value,
}

#[derive(Serialize)]
struct ExceptionItem<'a> {
    name: &'a str,
    message: &'a str,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<&'a str>,
}

#[derive(Serialize)]
struct LineItem<'a> {
    message: &'a RawValue,
    level: &'a str,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
}

impl<'a> From<&'a Exception> for ExceptionItem<'a> {
    fn from(Exception { at, name, message, stack }: &'a Exception) -> Self {
        Self { name, message, timestamp: *at, stack: stack.as_deref() }
    }
}

impl<'a> From<&'a Line> for LineItem<'a> {
    fn from(Line { at, level, message, step }: &'a Line) -> Self {
        Self { message, level, timestamp: *at, step: step.as_deref() }
    }
}

/// Writes an event.
pub fn write(event: &Event) -> String {
    let entrypoint = match &event.invocation {
        Invocation::Run { class, .. } => Some(class.as_str()),
        Invocation::Fetch(_) => None,
    };
    let item = Item {
        wall_time: event.wall_ms,
        truncated: event.told.truncated,
        execution_model: "stateless",
        outcome: event.outcome.as_str(),
        script_version: event.version.map(|version| json!({ "id": version_id(version) })),
        script_name: &event.script.name,
        entrypoint,
        diagnostics_channel_events: [],
        exceptions: event.told.exceptions.iter().map(ExceptionItem::from).collect(),
        logs: event.told.lines.iter().map(LineItem::from).collect(),
        event_timestamp: event.at,
        event: write_invocation(&event.invocation),
    };
    serde_json::to_string(&item).expect("an event is plain data")
}

fn write_invocation(invocation: &Invocation) -> Value {
    match invocation {
        Invocation::Run { workflow, instance, .. } => {
            json!({ "rpcMethod": "run", "workflowName": workflow, "instanceId": instance.as_deref() })
        }
        Invocation::Fetch(fetch) => write_fetch(fetch),
    }
}

fn write_fetch(fetch: &Fetch) -> Value {
    let shown = |(name, value): &(String, String)| (name.clone(), redact::header(name, value).into());
    let headers: Map<String, Value> = fetch.headers.iter().map(shown).collect();
    let request = json!({ "url": redact::url(&fetch.url), "method": fetch.method, "headers": headers, "cf": {} });
    match fetch.status {
        Some(status) => json!({ "request": request, "response": { "status": status } }),
        None => json!({ "request": request }),
    }
}

/// Says that a reader was too slow, as Cloudflare's tails say that they have too much to show.
pub fn write_dropped(script: &str, at: i64, dropped: u64) -> String {
    let message = format!(
        "[some events were dropped: {dropped}, the oldest, as there are more than this tail can read; filters help]"
    );
    json!({
        "outcome": "unknown", "scriptName": script, "exceptions": [], "logs": [], "eventTimestamp": at,
        "event": { "type": "overload", "message": message },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use stepwell_engine::DeploymentId;
    use stepwell_store::ScopedName;

    use super::*;
    use crate::tail::event::{Outcome, Told};

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    fn check(event: &Event, expected: &Value) {
        let written: Value = serde_json::from_str(&write(event)).expect("JSON");
        assert_eq!(&written, expected);
    }

    #[test]
    fn a_request_is_told_as_cloudflare_tells_it() {
        let mut told = Told::default();
        told.write(Line { at: 5, level: "log".to_owned(), message: raw(r#"["hi",{"a":1}]"#), step: None });
        let fetch = Fetch {
            method: "GET".to_owned(),
            url: "http://shop.localhost/a".to_owned(),
            headers: vec![("accept".to_owned(), "*/*".to_owned()), ("cookie".to_owned(), "s=1".to_owned())],
            client_ip: None,
            status: Some(200),
        };
        let event = Event {
            script: ScopedName::in_default("shop"),
            version: Some(DeploymentId(7)),
            outcome: Outcome::Ok,
            at: 4,
            wall_ms: Some(2),
            invocation: Invocation::Fetch(fetch),
            told,
        };
        check(
            &event,
            &json!({
                "wallTime": 2, "truncated": false, "executionModel": "stateless", "outcome": "ok",
                "scriptVersion": { "id": "00000000-0000-8000-8000-000000000007" }, "scriptName": "shop",
                "diagnosticsChannelEvents": [], "exceptions": [],
                "logs": [{ "message": ["hi", { "a": 1 }], "level": "log", "timestamp": 5 }],
                "eventTimestamp": 4,
                "event": {
                    "request": {
                        "url": "http://shop.localhost/a", "method": "GET", "cf": {},
                        "headers": { "accept": "*/*", "cookie": "REDACTED" },
                    },
                    "response": { "status": 200 },
                },
            }),
        );
    }

    #[test]
    fn a_run_is_told_by_its_class() {
        let mut told = Told::default();
        let (name, message) = ("TypeError".to_owned(), "no".to_owned());
        told.throw(Exception { at: 6, name, message, stack: Some("at x".to_owned()) });
        let (class, workflow) = ("Orders".to_owned(), "orders".to_owned());
        let event = Event {
            script: ScopedName::in_default("shop"),
            version: None,
            outcome: told.outcome(),
            at: 4,
            wall_ms: None,
            invocation: Invocation::Run { class, workflow, instance: Some("a".into()) },
            told,
        };
        check(
            &event,
            &json!({
                "truncated": false, "executionModel": "stateless", "outcome": "exception", "scriptName": "shop",
                "entrypoint": "Orders", "diagnosticsChannelEvents": [], "logs": [],
                "exceptions": [{ "name": "TypeError", "message": "no", "timestamp": 6, "stack": "at x" }],
                "eventTimestamp": 4, "event": { "rpcMethod": "run", "workflowName": "orders", "instanceId": "a" },
            }),
        );
    }
}
