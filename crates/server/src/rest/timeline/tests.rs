//! What becomes of a history.

use serde_json::{Value, json};
use stepwell_engine::{DeploymentId, Retention, Source};

use super::*;

/// Folds entries that happen a second apart, the first at 0.
fn fold(keep: Keep, entries: impl IntoIterator<Item = Entry>) -> Folded {
    let mut timeline = Timeline::new(keep);
    for (seq, entry) in (0..).zip(entries) {
        timeline.push(Recorded { seq, at: 1_000 * seq as i64, entry });
    }
    timeline.finish()
}

fn steps(entries: Vec<Entry>) -> Value {
    let created =
        Entry::Created { params: Payload::from_json("{}"), trigger: "api".to_owned(), retention: Retention::default() };
    let folded = fold(Keep::Bytes(1_000), [created].into_iter().chain(entries));
    serde_json::to_value(folded.steps).expect("JSON")
}

fn second(number: u32) -> String {
    format!("1970-01-01T00:00:{number:02}.000Z")
}

fn begun(call: u32, name: &str, kind: StepKind) -> Entry {
    let started = matches!(kind, StepKind::Do(_));
    Entry::Begun { call: CallId(call), parent: None, name: name.to_owned(), count: 1, kind, started }
}

fn begun_do(call: u32, name: &str) -> Entry {
    begun(call, name, StepKind::Do(StepConfig::DEFAULT))
}

fn did(name: &str, config: Option<StepConfig>, value: &str) -> Entry {
    let (name, value) = (name.to_owned(), Payload::from_json(value));
    Entry::Did { call: CallId(0), parent: None, name, count: 2, config: config.map(Box::new), value }
}

fn failed(call: u32, attempt: u32, retry_at: Option<Millis>) -> Entry {
    let error = ErrorRecord { stack: Some("at x".to_owned()), ..ErrorRecord::new("Error", "no") };
    Entry::AttemptFailed { call: CallId(call), attempt, error, retry_at }
}

fn done(call: u32, attempt: u32, value: &str) -> Entry {
    let value = Payload::from_json(value);
    Entry::Settled { call: CallId(call), outcome: Outcome::Done { attempt, value } }
}

fn default_config() -> Value {
    json!({"retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"}, "timeout": 600_000})
}

#[test]
fn a_step_of_one_turn_has_one_successful_attempt() {
    let expected = json!([{
        "type": "step", "name": "a-2", "start": second(1), "end": second(1), "success": true, "output": "{\"x\":1}",
        "config": default_config(),
        "attempts": [{"start": second(1), "end": second(1), "success": true, "error": null}],
    }]);
    assert_eq!(steps(vec![did("a", None, "{\"x\":1}")]), expected);
}

#[test]
fn a_retried_step_shows_its_attempts_with_errors_and_stacks() {
    let entries = vec![
        begun_do(0, "a"),
        failed(0, 1, Some(3_000)),
        Entry::AttemptStarted { call: CallId(0), attempt: 2 },
        done(0, 2, "7"),
    ];
    let error = json!({"name": "Error", "message": "no", "stack": "at x"});
    let expected = json!([{
        "type": "step", "name": "a-1", "start": second(1), "end": second(4), "success": true, "output": "7",
        "config": default_config(),
        "attempts": [
            {"start": second(1), "end": second(2), "success": false, "error": error},
            {"start": second(3), "end": second(4), "success": true, "error": null},
        ],
    }]);
    assert_eq!(steps(entries), expected);
}

#[test]
fn a_step_that_waits_for_its_next_attempt_says_when_it_is_due() {
    let shown = steps(vec![begun_do(0, "a"), failed(0, 1, Some(30_000))]);
    assert_eq!(shown[0]["retry_at"], second(30));
    assert_eq!((&shown[0]["end"], &shown[0]["success"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_step_whose_last_attempt_failed_has_failed() {
    let shown = steps(vec![begun_do(0, "a"), failed(0, 1, None)]);
    assert_eq!((&shown[0]["end"], &shown[0]["success"]), (&json!(second(2)), &json!(false)));
    assert_eq!(shown[0]["attempts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_attempt_begun_anew_with_its_number_counts_the_interruption() {
    let again = Entry::AttemptStarted { call: CallId(0), attempt: 1 };
    let shown = steps(vec![begun_do(0, "a"), again, done(0, 1, "1")]);
    assert_eq!(
        shown[0]["attempts"],
        json!([{"start": second(2), "end": second(3), "success": true, "error": null, "interruptions": 1}])
    );
}

#[test]
fn a_lost_attempt_of_a_step_that_may_not_run_twice_fails_it() {
    let error = error_text::attempt_lost();
    let lost = Entry::Settled { call: CallId(0), outcome: Outcome::Lost(error.clone()) };
    let shown = steps(vec![begun_do(0, "a"), lost]);
    assert_eq!(shown[0]["success"], false);
    assert_eq!(shown[0]["attempts"][0]["error"]["message"], error.message);
}

#[test]
fn a_sensitive_output_is_never_shown() {
    let config = StepConfig { sensitive: true, ..StepConfig::DEFAULT };
    let shown = steps(vec![
        did("a", Some(config.clone()), "\"secret\""),
        begun(1, "b", StepKind::Do(config)),
        done(1, 1, "\"secret\""),
    ]);
    assert!(!shown.to_string().contains("secret\\\""), "{shown}");
    for step in [&shown[0], &shown[1]] {
        assert_eq!((&step["output"], &step["config"]["sensitive"]), (&json!(REDACTED), &json!("output")));
    }
}

#[test]
fn a_sleep_ends_when_due_and_a_pause_moves_that() {
    let shown = steps(vec![
        begun(0, "nap", StepKind::Sleep { until: 20_000 }),
        Entry::PauseRequested,
        Entry::Paused,
        Entry::Started { deployment: DeploymentId(1) },
        Entry::Resumed,
    ]);
    assert_eq!(
        shown,
        json!([{"type": "sleep", "name": "nap-1", "start": second(1), "end": second(22), "finished": false, "error": null}])
    );
}

#[test]
fn a_wait_shows_the_event_it_got() {
    let kind = StepKind::Wait { event_type: "go".to_owned(), timeout_ms: 9_000, until: 11_000 };
    let event = Entry::EventReceived { event_type: "go".to_owned(), payload: Payload::from_json("[1]") };
    let shown =
        steps(vec![begun(0, "w", kind), event, Entry::Settled { call: CallId(0), outcome: Outcome::Event { seq: 2 } }]);
    let expected = json!([{
        "type": "waitForEvent", "name": "w-1", "start": second(1), "end": second(3), "finished": true,
        "error": null, "output": "[1]", "event_type": "go",
    }]);
    assert_eq!(shown, expected);
}

#[test]
fn a_wait_that_timed_out_says_so() {
    let kind = StepKind::Wait { event_type: "go".to_owned(), timeout_ms: 1_000, until: 2_000 };
    let shown = steps(vec![begun(0, "w", kind), Entry::Settled { call: CallId(0), outcome: Outcome::TimedOut }]);
    assert_eq!(shown[0]["error"]["message"], "Execution timed out after 1000ms");
    assert_eq!(shown[0]["finished"], true);
}

#[test]
fn outputs_beyond_the_bound_are_named_and_not_shown() {
    let entries = vec![did("a", None, "1234"), did("b", None, "12345"), did("c", None, "1")];
    let folded = fold(Keep::Bytes(5), entries);
    let outputs: Vec<_> =
        folded.steps.iter().map(|step| serde_json::to_value(step).expect("JSON")["output"].clone()).collect();
    assert_eq!(outputs, [json!("1234"), json!(LEFT_OUT), json!("1")]);
}

#[test]
fn one_step_can_be_asked_for_alone() {
    let folded = fold(Keep::OfStep("b-2".to_owned()), vec![did("a", None, "1"), did("b", None, "2")]);
    let outputs: Vec<_> =
        folded.steps.iter().map(|step| serde_json::to_value(step).expect("JSON")["output"].clone()).collect();
    assert_eq!(outputs, [Value::Null, json!("2")]);
}

#[test]
fn a_handler_is_a_step_of_its_own_with_its_attempts() {
    let call = CallId(0);
    let (config, cause) = (Box::new(StepConfig::DEFAULT), ErrorRecord::new("Error", "boom"));
    let entries = vec![
        did("a", None, "1"),
        Entry::RollbackRegistered { call, config },
        Entry::RollbackStarted { cause: cause.clone(), end: End::Errored(cause) },
        Entry::RollbackAttemptStarted { call, attempt: 1 },
        Entry::RollbackAttemptFailed {
            call,
            attempt: 1,
            error: ErrorRecord::new("Error", "no"),
            retry_at: Some(6_000),
        },
        Entry::RollbackAttemptStarted { call, attempt: 2 },
        Entry::RollbackAttemptStarted { call, attempt: 2 },
        Entry::RolledBack { call, attempt: 2 },
        Entry::RollbackEnded { error: None },
    ];
    let error = json!({"name": "Error", "message": "no"});
    let expected = json!({
        "type": "rollback", "name": "a-2", "start": second(4), "end": second(8), "success": true, "output": null,
        "config": default_config(),
        "attempts": [
            {"start": second(4), "end": second(5), "success": false, "error": error},
            {"start": second(7), "end": second(8), "success": true, "error": null, "interruptions": 1},
        ],
    });
    assert_eq!(steps(entries)[1], expected);
}

fn diverged(stuck: bool) -> Entry {
    Entry::Diverged { message: "other step".to_owned(), stuck }
}

#[test]
fn what_was_stuck_and_goes_on_has_not_diverged() {
    let check = |stuck, after, expected: Option<&str>| {
        let folded = fold(Keep::Bytes(0), vec![diverged(stuck), after]);
        assert_eq!(folded.diverged.as_deref(), expected);
    };
    let output = Payload::from_json("1");
    check(true, Entry::Completed { output: output.clone() }, None);
    check(true, begun(0, "a", StepKind::Sleep { until: 1 }), None);
    check(true, Entry::Resumed, Some("other step"));
    check(true, Entry::Terminated { source: Source::Api }, Some("other step"));
    check(false, Entry::Completed { output }, Some("other step"));
}

#[test]
fn ends_and_divergence_are_told() {
    let error = ErrorRecord::new("Error", "boom");
    let folded = fold(Keep::Bytes(0), vec![diverged(false), Entry::Errored { error: error.clone() }]);
    assert_eq!((folded.diverged.as_deref(), folded.error), (Some("other step"), Some(error)));
    let folded = fold(Keep::Bytes(0), vec![Entry::Completed { output: Payload::from_json("1") }]);
    assert_eq!(folded.output, Some(Payload::from_json("1")));
    for source in [Source::Unknown, Source::Api, Source::Binding] {
        let shown = json!([{"type": "termination", "trigger": {"source": source.as_str()}}]);
        assert_eq!(steps(vec![Entry::Terminated { source }]), shown);
    }
}
