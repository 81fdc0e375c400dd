//! Events of made-up histories, and options.

use serde_json::{Value as Json, json};
use stepwell_engine::{
    CallId, DeploymentId, End, Entry, ErrorRecord, Outcome, Payload, Recorded, Source, StepConfig, StepKind, error_text,
};

use super::event::{EVENT_TYPES, EVENTS_PER_ENTRY};
use super::fold::Fold;
use super::{InvalidOptions, Options};

fn created() -> Entry {
    Entry::Created {
        params: Payload::from_json("[7]"),
        trigger: "api".to_owned(),
        retention: stepwell_engine::Retention::default(),
    }
}

fn started() -> Entry {
    Entry::Started { deployment: DeploymentId(1) }
}

fn begun(call: u32, name: &str, kind: StepKind) -> Entry {
    Entry::Begun { call: CallId(call), parent: None, name: name.to_owned(), count: 1, kind, started: true }
}

fn settled(call: u32, outcome: Outcome) -> Entry {
    Entry::Settled { call: CallId(call), outcome }
}

fn failed(attempt: u32, retry_at: Option<i64>) -> Entry {
    Entry::AttemptFailed { call: CallId(0), attempt, error: ErrorRecord::new("Error", "no"), retry_at }
}

/// Events of a history with an entry for each second.
fn events(entries: Vec<Entry>) -> Vec<Json> {
    let mut fold = Fold::default();
    let recorded = (0..).zip(entries).map(|(seq, entry)| Recorded { seq, at: seq as i64 * 1_000, entry });
    let events = recorded.flat_map(|one| fold.push(one)).collect::<Vec<_>>();
    assert!(events.is_sorted_by(|one, next| one.event_id < next.event_id), "ids increase");
    let names = events.iter().map(|event| event.body.name());
    assert!(names.into_iter().all(|name| EVENT_TYPES.contains(&name)));
    events.iter().map(|event| serde_json::to_value(event).expect("JSON")).collect()
}

fn types(entries: Vec<Entry>) -> Vec<String> {
    let events = events(entries).into_iter();
    events.map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

#[test]
fn events_have_cloudflares_members() {
    let entries = vec![
        created(),
        started(),
        begun(0, "pay", StepKind::Do(StepConfig::DEFAULT)),
        failed(1, Some(13_000)),
        Entry::AttemptStarted { call: CallId(0), attempt: 2 },
        settled(0, Outcome::Done { attempt: 2, value: Payload::from_json("\"ok\"") }),
        Entry::Completed { output: Payload::UNDEFINED },
    ];
    let config = json!({ "retries": { "limit": 5, "delay": 10_000, "backoff": "exponential" }, "timeout": 600_000 });
    let error = json!({ "name": "Error", "message": "no" });
    let expected = [
        json!({ "eventId": 0, "timestamp": 0, "type": "workflow_queued" }),
        json!({ "eventId": 8, "timestamp": 1_000, "type": "workflow_started", "params": { "json": [7] } }),
        json!({ "eventId": 9, "timestamp": 1_000, "type": "workflow_running" }),
        json!({ "eventId": 16, "timestamp": 2_000, "type": "step_started", "stepName": "pay-1", "config": config }),
        json!({ "eventId": 17, "timestamp": 2_000, "type": "attempt_started", "stepName": "pay-1", "attempt": 1 }),
        json!({ "eventId": 24, "timestamp": 3_000, "type": "attempt_errored", "stepName": "pay-1", "attempt": 1,
                "retryDelayMs": 10_000, "error": error }),
        json!({ "eventId": 25, "timestamp": 3_000, "type": "workflow_waiting" }),
        json!({ "eventId": 32, "timestamp": 4_000, "type": "attempt_started", "stepName": "pay-1", "attempt": 2 }),
        json!({ "eventId": 33, "timestamp": 4_000, "type": "workflow_running" }),
        json!({ "eventId": 40, "timestamp": 5_000, "type": "attempt_completed", "stepName": "pay-1", "attempt": 2 }),
        json!({ "eventId": 41, "timestamp": 5_000, "type": "step_completed", "stepName": "pay-1", "output": { "json": "ok" } }),
        json!({ "eventId": 48, "timestamp": 6_000, "type": "workflow_completed", "output": {} }),
    ];
    assert_eq!(events(entries), expected);
}

#[test]
fn a_step_that_begins_and_succeeds_in_one_entry_has_all_its_events() {
    let value = Payload::from_json("1");
    let did = Entry::Did { call: CallId(0), parent: None, name: "a".to_owned(), count: 2, config: None, value };
    let shown = events(vec![did]);
    let names: Vec<_> = shown.iter().map(|event| (&event["type"], &event["stepName"])).collect();
    let types = ["step_started", "attempt_started", "attempt_completed", "step_completed"].map(|name| json!(name));
    let name = json!("a-2");
    assert_eq!(names, types.iter().map(|of_type| (of_type, &name)).collect::<Vec<_>>());
}

#[test]
fn sleeps_and_waits_make_an_instance_wait_and_run_again() {
    let wait = StepKind::Wait { event_type: "go".to_owned(), timeout_ms: 9_000, until: 15_000 };
    let entries = vec![
        created(),
        started(),
        begun(0, "nap", StepKind::Sleep { until: 3_000 }),
        settled(0, Outcome::Slept),
        begun(1, "w", wait.clone()),
        Entry::EventReceived { event_type: "go".to_owned(), payload: Payload::UNDEFINED },
        settled(1, Outcome::Event { seq: 5 }),
        begun(2, "w", wait),
        settled(2, Outcome::TimedOut),
    ];
    let shown = types(entries);
    assert_eq!(
        shown[3..],
        [
            "sleep_started",
            "workflow_waiting",
            "sleep_completed",
            "workflow_running",
            "wait_started",
            "workflow_waiting",
            "wait_completed",
            "workflow_running",
            "wait_started",
            "workflow_waiting",
            "wait_timed_out",
            "workflow_running"
        ]
    );
}

#[test]
fn pauses_are_told_with_what_follows_them() {
    let entries = vec![
        created(),
        started(),
        Entry::PauseRequested,
        Entry::Paused,
        Entry::Resumed,
        started(),
        Entry::Terminated { source: Source::Binding },
    ];
    let expected = [
        "workflow_queued",
        "workflow_started",
        "workflow_running",
        "workflow_waiting_for_pause",
        "workflow_paused",
        "workflow_queued",
        "workflow_running",
        "workflow_terminated",
    ];
    assert_eq!(types(entries), expected);
    let taken_back = vec![created(), started(), Entry::PauseRequested, Entry::Resumed];
    assert_eq!(types(taken_back)[3..], ["workflow_waiting_for_pause", "workflow_running"]);
}

#[test]
fn an_attempt_that_was_lost_with_its_worker_is_told_once() {
    let again = Entry::AttemptStarted { call: CallId(0), attempt: 1 };
    let shown = types(vec![begun(0, "a", StepKind::Do(StepConfig::DEFAULT)), again]);
    assert_eq!(shown, ["step_started", "attempt_started"]);
    let lost = settled(0, Outcome::Lost(error_text::attempt_lost()));
    let shown = types(vec![begun(0, "a", StepKind::Do(StepConfig::DEFAULT)), lost]);
    assert_eq!(shown, ["step_started", "attempt_started", "attempt_errored", "step_errored"]);
}

#[test]
fn a_sensitive_output_is_redacted_and_an_error_is_not() {
    let config = StepConfig { sensitive: true, ..StepConfig::DEFAULT };
    let secret = || Payload { exact: Some("\"[[1]]\"".into()), ..Payload::from_json("\"secret\"") };
    let did = Entry::Did {
        call: CallId(1),
        parent: None,
        name: "b".to_owned(),
        count: 1,
        config: Some(Box::new(config.clone())),
        value: secret(),
    };
    let shown = events(vec![
        begun(0, "a", StepKind::Do(config)),
        failed(1, Some(2_000)),
        settled(0, Outcome::Done { attempt: 2, value: secret() }),
        did,
    ]);
    let outputs: Vec<_> = shown.iter().filter_map(|event| event.get("output")).collect();
    assert_eq!(outputs, [&json!({ "json": "[REDACTED]" }); 2]);
    assert_eq!(shown[2]["error"]["message"], "no");
}

#[test]
fn an_entry_has_fewer_events_than_ids() {
    let nap = begun(1, "nap", StepKind::Sleep { until: 90_000 });
    let did = Entry::Did {
        call: CallId(2),
        parent: None,
        name: "a".to_owned(),
        count: 1,
        config: None,
        value: Payload::UNDEFINED,
    };
    let mut fold = Fold::default();
    for (seq, entry) in
        (0..).zip([created(), started(), begun(0, "b", StepKind::Do(StepConfig::DEFAULT)), nap, did, failed(2, None)])
    {
        assert!((fold.push(Recorded { seq, at: 0, entry }).len() as u64) < EVENTS_PER_ENTRY);
    }
}

#[test]
fn options_are_strict() {
    assert_eq!(Options::parse(None), Ok(Options::default()));
    assert_eq!(
        Options::parse(Some(r#"{"cursor":0,"filter":[]}"#)),
        Ok(Options { cursor: Some(0), filter: Some(vec![]) })
    );
    let all = json!({ "filter": EVENT_TYPES }).to_string();
    assert!(Options::parse(Some(&all)).is_ok());
    for text in [
        "null",
        "[]",
        "1",
        r#"{"cursor":-1}"#,
        r#"{"cursor":1.5}"#,
        r#"{"cursor":null}"#,
        r#"{"cursor":"1"}"#,
        r#"{"filter":"workflow_queued"}"#,
        r#"{"filter":["unknown"]}"#,
        r#"{"filter":[1]}"#,
        r#"{"filter":["internal"]}"#,
        r#"{"after":1}"#,
    ] {
        assert_eq!(Options::parse(Some(text)), Err(InvalidOptions), "{text}");
    }
}

#[test]
fn a_rollback_is_told_handler_by_handler() {
    let call = CallId(0);
    let error = || ErrorRecord::new("Error", "no");
    let handler_failed = |retry_at| Entry::RollbackAttemptFailed { call, attempt: 1, error: error(), retry_at };
    let registered = || {
        let config = Box::new(StepConfig::DEFAULT);
        vec![
            created(),
            started(),
            begun(0, "pay", StepKind::Do(StepConfig::DEFAULT)),
            Entry::RollbackRegistered { call, config },
            Entry::RollbackStarted { cause: error(), end: End::Terminated(Source::Binding) },
            Entry::RollbackAttemptStarted { call, attempt: 1 },
        ]
    };
    let mut undone = registered();
    undone.extend([
        handler_failed(Some(9_000)),
        Entry::RollbackAttemptStarted { call, attempt: 2 },
        Entry::RollbackAttemptStarted { call, attempt: 2 },
        Entry::RolledBack { call, attempt: 2 },
        Entry::RollbackEnded { error: None },
        Entry::Terminated { source: Source::Binding },
    ]);
    let expected = [
        "rollback_started",
        "rollback_step_started",
        "rollback_attempt_started",
        "rollback_attempt_errored",
        "rollback_attempt_started",
        "rollback_attempt_completed",
        "rollback_step_completed",
        "rollback_completed",
        "workflow_terminated",
    ];
    assert_eq!(types(undone)[5..], expected);
    let mut stuck = registered();
    stuck.extend([handler_failed(None), Entry::RollbackEnded { error: Some(error()) }]);
    let stuck = events(stuck);
    let last: Vec<&Json> = stuck.iter().rev().take(3).map(|event| &event["type"]).collect();
    assert_eq!(last, ["rollback_errored", "rollback_step_errored", "rollback_attempt_errored"]);
    assert_eq!(stuck.last().map(|event| &event["error"]), Some(&json!({ "name": "Error", "message": "no" })));
    assert_eq!(stuck[stuck.len() - 2]["stepName"], "pay-1");
}
