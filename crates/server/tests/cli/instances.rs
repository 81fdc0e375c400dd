//! Instances that the fake server knows, as the real one would tell them.

use serde_json::{Value, json};

/// The detail of an instance, as JSON text. `watched` and `doomed` end when they are asked for the third time.
pub fn detail(id: &str, earlier: usize) -> Option<String> {
    let detail = match id {
        "busy" => busy(),
        "done" => return Some(DONE.to_owned()),
        "failed" => failed(),
        "stopped" => stopped(),
        "long" => long(),
        "silent" => silent(),
        "later" => json!({"id": "later", "status": "queued", "queued": at("11:59:00.000"), "steps": []}),
        "watched" if earlier < 2 => busy(),
        "watched" => return Some(DONE.to_owned()),
        "doomed" if earlier < 2 => busy(),
        "doomed" => failed(),
        _ => return None,
    };
    Some(detail.to_string())
}

pub fn rows() -> Value {
    json!([
        {"id": "busy", "status": "running", "created_on": "2026-11-21T11:50:00.000Z", "started_on": "2026-11-21T11:50:00.100Z",
         "ended_on": null, "wake_at": "2026-11-21T12:04:30.000Z", "version_id": "v-2", "workflow_id": "w-1"},
        {"id": "done", "status": "complete", "created_on": "2026-11-20T09:00:00.000Z", "started_on": "2026-11-20T09:00:00.050Z",
         "ended_on": "2026-11-20T09:00:01.234Z", "wake_at": null, "version_id": "v-2", "workflow_id": "w-1"},
        {"id": "later", "status": "queued", "created_on": "2026-11-20T08:00:00.000Z", "started_on": null,
         "ended_on": null, "version_id": "v-2", "workflow_id": "w-1"},
    ])
}

fn at(time: &str) -> String {
    format!("2026-11-21T{time}Z")
}

fn config() -> Value {
    json!({"retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"}, "timeout": 600_000})
}

fn failure(start: &str, end: &str, message: &str) -> Value {
    let error = json!({"name": "Error", "message": message, "stack": format!("Error: {message}\n    at charge (src/index.ts:12:9)"), "cause": "RangeError: 3 > 2"});
    json!({"start": at(start), "end": at(end), "success": false, "error": error})
}

fn success(start: &str, end: &str) -> Value {
    json!({"start": at(start), "end": at(end), "success": true, "error": null})
}

/// Steps of a long instance; the 5,000th was tried twice.
pub const LONG_STEPS: usize = 10_000;

fn long() -> Value {
    let step = |number: usize| {
        let attempts = match number {
            5_000 => json!([failure("11:50:01.000", "11:50:01.250", "busy"), success("11:50:11.250", "11:50:12.000")]),
            _ => json!([success("11:50:00.100", "11:50:00.220")]),
        };
        json!({"type": "step", "name": format!("part-{number}"), "start": at("11:50:00.100"), "end": at("11:50:00.220"),
            "success": true, "output": "1", "config": config(), "attempts": attempts})
    };
    json!({
        "id": "long", "workflow": "orders", "status": "complete", "versionId": "v-2", "trigger": {"source": "api"},
        "params": {}, "queued": at("11:50:00.000"), "start": at("11:50:00.100"), "end": at("11:58:00.000"), "success": true,
        "error": null, "output": "\"the end\"", "rollback": null, "step_count": LONG_STEPS, "wake_at": null, "diverged": null,
        "steps": (1..=LONG_STEPS).map(step).collect::<Vec<_>>(),
    })
}

fn busy() -> Value {
    let retried = [
        failure("11:50:01.000", "11:50:01.250", "card declined"),
        failure("11:50:11.250", "11:50:12.000", "card declined"),
        success("11:50:32.000", "11:50:32.090"),
    ];
    json!({
        "id": "busy", "workflow": "orders", "status": "running", "versionId": "v-2", "trigger": {"source": "api"},
        "params": {"order": 17}, "queued": at("11:50:00.000"), "start": at("11:50:00.100"), "end": null, "success": null,
        "error": null, "output": null, "rollback": null, "step_count": 6, "wake_at": at("12:04:30.000"), "diverged": null,
        "steps": [
            {"type": "step", "name": "reserve stock-1", "start": at("11:50:00.100"), "end": at("11:50:00.220"), "success": true,
             "output": "{\"sku\":\"a-1\",\"left\":12345678901234567890}", "config": config(),
             "attempts": [success("11:50:00.100", "11:50:00.220")]},
            {"type": "step", "name": "charge card-1", "start": at("11:50:01.000"), "end": at("11:50:32.090"), "success": true,
             "output": "true", "config": config(), "attempts": retried},
            {"type": "sleep", "name": "cool down-1", "start": at("11:50:32.100"), "end": at("11:52:32.100"), "finished": true, "error": null},
            {"type": "waitForEvent", "name": "approval-1", "start": at("11:52:32.200"), "end": "2026-11-22T11:52:32.200Z",
             "finished": false, "error": null, "event_type": "approved"},
            {"type": "step", "name": "send mail-1", "start": at("11:59:30.000"), "end": null, "success": null, "output": null,
             "config": config(), "attempts": [failure("11:59:30.000", "11:59:31.000", "mail server is away")], "retry_at": at("12:04:30.000")},
            {"type": "step", "name": "resize images-1", "start": at("11:59:58.000"), "end": null, "success": null, "output": null,
             "config": config(), "attempts": [{"start": at("11:59:58.000"), "end": null, "success": null, "error": null, "interruptions": 2}]},
        ],
    })
}

/// As text: the order of its members and the digits of its numbers are to be kept.
const DONE: &str = r#"{"id":"done","workflow":"orders","status":"complete","versionId":"v-2","trigger":{"source":"cron"},
"params":null,"queued":"2026-11-20T09:00:00.000Z","start":"2026-11-20T09:00:00.050Z","end":"2026-11-20T09:00:01.234Z","success":true,
"error":null,"output":"{\"zeta\":12345678901234567890,\"alpha\":[1,2,3],\"text\":\"a rather long text that makes it certain that this value cannot stand on one line of a screen of usual width\"}",
"rollback":null,"step_count":1,"wake_at":null,"diverged":null,
"steps":[{"type":"step","name":"only-1","start":"2026-11-20T09:00:00.100Z","end":"2026-11-20T09:00:01.200Z","success":true,"output":"\"x\"",
"attempts":[{"start":"2026-11-20T09:00:00.100Z","end":"2026-11-20T09:00:01.200Z","success":true,"error":null}]}]}"#;

fn failed() -> Value {
    let attempts: Vec<Value> = (0..15)
        .map(|second| failure(&format!("11:00:{second:02}.000"), &format!("11:00:{second:02}.500"), "no luck"))
        .collect();
    json!({
        "id": "failed", "workflow": "orders", "status": "errored", "versionId": "v-1", "trigger": {"source": "binding"},
        "params": {"evil": "\u{1b}[2J"}, "queued": at("11:00:00.000"), "start": at("11:00:00.000"), "end": at("11:01:00.000"),
        "success": false, "output": null, "step_count": 3, "wake_at": null,
        "diverged": "the code asked for step \"b-1\" where \"a-1\" is recorded",
        "error": {"name": "TypeError", "message": "cannot read \u{1b}[31mthis\nof undefined",
            "stack": "TypeError: cannot read\n    at run (src/index.ts:40:3)\n    at main (src/index.ts:9:1)"},
        "steps": [
            {"type": "step", "name": "try \u{1b}]0;title\u{7} hard-1", "start": at("11:00:00.000"), "end": at("11:00:14.500"), "success": false,
             "output": null, "config": config(), "attempts": attempts},
            {"type": "waitForEvent", "name": "answer-1", "start": at("11:00:15.000"), "end": at("11:00:45.000"), "finished": true,
             "error": {"name": "WorkflowTimeoutError", "message": "Execution timed out after 30000ms"}, "event_type": "answer"},
            {"type": "sleep", "name": "meanwhile-1", "start": at("11:00:15.000"), "end": "2026-11-23T11:00:15.000Z", "finished": false, "error": null},
        ],
    })
}

fn silent() -> Value {
    json!({
        "id": "silent", "status": "running", "queued": at("11:00:00.000"), "start": at("11:00:00.000"), "end": null,
        "steps": [{"type": "step", "name": "only-1", "start": at("11:59:00.000"), "end": at("11:59:15.000"), "success": true,
            "attempts": [success("11:59:00.000", "11:59:15.000")]}],
    })
}

fn stopped() -> Value {
    json!({
        "id": "stopped", "workflow": "orders", "status": "terminated", "versionId": "v-2", "trigger": {"source": "api"},
        "params": null, "queued": at("11:00:00.000"), "start": at("11:00:00.000"), "end": at("11:00:02.000"), "success": false,
        "error": null, "output": null, "step_count": 1,
        "steps": [
            {"type": "step", "name": "long-1", "start": at("11:00:00.000"), "end": null, "success": null, "output": null, "config": config(),
             "attempts": [{"start": at("11:00:00.000"), "end": null, "success": null, "error": null}]},
            {"type": "termination", "trigger": {"source": "unknown"}},
            {"type": "something new", "name": "x"},
        ],
    })
}

/// The lines behind the one that `asked` knows.
pub fn logs(asked: &str) -> Value {
    let line = |number: u64, step: Value, level: &str, text: &str| json!({ "number": number, "timestamp": format!("2026-11-21T11:59:5{number}.250Z"), "step": step, "level": level, "text": text });
    let lines = [
        line(1, Value::Null, "log", "begins"),
        line(2, json!("charge-1"), "warn", "slow\nvery slow"),
        line(3, json!("charge-2"), "error", "no\u{1b}[2J"),
    ];
    let after = asked.split("after=").nth(1).and_then(|rest| rest.split('&').next()).expect("a cursor");
    let after: u64 = after.parse().expect("a number");
    let lines: Vec<Value> = lines.into_iter().filter(|line| line["number"].as_u64() > Some(after)).collect();
    let cursor = lines.last().map_or(after.into(), |line| line["number"].clone());
    json!({ "lines": lines, "cursor": cursor })
}
