//! What steps do: retries, timeouts, errors, nesting, many at once, values.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::{Value as Json, json};

use crate::support::{Project, Server, error_text, names_of};

const SOURCE: &str = include_str!("workers/steps.js");
const CLASSES: [&str; 13] = [
    "Retries",
    "DynamicDelay",
    "Timeout",
    "NonRetryable",
    "Compensates",
    "AtMostOnce",
    "Nested",
    "Many",
    "SameName",
    "Values",
    "RichOutput",
    "Context",
    "Misuse",
];

async fn server() -> Server {
    let classes: Vec<&str> = CLASSES.into_iter().chain(["Throws"]).collect();
    Server::dev(&[&Project::worker("steps", &classes, SOURCE)]).await
}

fn attempts(step: &Json) -> &Vec<Json> {
    step["attempts"].as_array().expect("attempts")
}

fn ms(time: &Json) -> i64 {
    let time: jiff::Timestamp = time.as_str().expect("a time").parse().expect("a time");
    time.as_millisecond()
}

/// Milliseconds from the end of each attempt to the start of the next.
fn delays_ms(step: &Json) -> Vec<i64> {
    attempts(step).windows(2).map(|pair| ms(&pair[1]["start"]) - ms(&pair[0]["end"])).collect()
}

#[tokio::test]
async fn a_step_that_fails_is_retried_until_it_succeeds() {
    let server = server().await;
    for (backoff, least) in [("constant", [40, 40, 40]), ("linear", [40, 80, 120]), ("exponential", [40, 80, 160])] {
        let id = server.create("Retries", json!({ "failures": 3, "delay": 40, "backoff": backoff })).await;
        assert_eq!(server.output("Retries", &id).await, json!({ "attempt": 4 }));
        let detail = server.instance("Retries", &id).await;
        let step = &detail["steps"][0];
        assert_eq!(
            attempts(step).iter().map(|attempt| &attempt["success"]).collect::<Vec<_>>(),
            [false, false, false, true]
        );
        assert_eq!(error_text(&attempts(step)[0]["error"]), "RangeError: attempt 1");
        let delays = delays_ms(step);
        assert!(delays.iter().zip(least).all(|(delay, least)| *delay >= least), "{backoff}: {delays:?}");
    }
}

#[tokio::test]
async fn a_step_that_fails_too_often_ends_the_instance_with_its_error() {
    let server = server().await;
    let id = server.create("Retries", json!({ "failures": 9, "limit": 2 })).await;
    assert_eq!(server.error("Retries", &id).await, "RangeError: attempt 3");
    let detail = server.instance("Retries", &id).await;
    assert_eq!(attempts(&detail["steps"][0]).len(), 3);
    assert_eq!((&detail["steps"][0]["success"], &detail["success"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn a_delay_function_decides_how_long_to_wait() {
    let server = server().await;
    let id = server.create("DynamicDelay", json!({})).await;
    assert_eq!(server.output("DynamicDelay", &id).await, 3);
    let detail = server.instance("DynamicDelay", &id).await;
    assert_eq!(detail["steps"][0]["config"]["retries"]["delay"], "[dynamic]");
}

#[tokio::test]
async fn an_attempt_that_never_settles_times_out_and_is_retried() {
    let server = server().await;
    assert_eq!(server.run("Timeout", json!({ "hanging": 2, "limit": 3 })).await, 3);
    let id = server.create("Timeout", json!({ "hanging": 9, "limit": 1 })).await;
    assert_eq!(server.error("Timeout", &id).await, "WorkflowTimeoutError: Execution timed out after 100ms");
}

#[tokio::test]
async fn an_error_that_must_not_be_retried_is_not() {
    let server = server().await;
    let id = server.create("NonRetryable", json!({})).await;
    let expected = "WorkflowFatalError: The execution of the Workflow instance was terminated, as a step threw an NonRetryableError and it was not handled";
    assert_eq!(server.error("NonRetryable", &id).await, expected);
    let detail = server.instance("NonRetryable", &id).await;
    assert_eq!(attempts(&detail["steps"][0]).len(), 1);
}

#[tokio::test]
async fn a_newer_date_keeps_the_error_that_must_not_be_retried() {
    let more = json!({ "compatibility_date": "2026-05-14" });
    let server = Server::dev(&[&Project::configured("steps", &["NonRetryable"], more, SOURCE)]).await;
    let id = server.create("NonRetryable", json!({})).await;
    assert_eq!(server.error("NonRetryable", &id).await, "NonRetryableError: not again");
}

#[tokio::test]
async fn a_failed_step_can_be_caught_and_made_up_for_also_after_a_replay() {
    let server = server().await;
    let id = server.create("Compensates", json!({})).await;
    server.until("Compensates", &id, |detail| detail["step_count"] == 4).await;
    server.replay("Compensates", &id).await;
    server.send_event("Compensates", &id, "go", json!({})).await.ok();
    let undone = "seat 7 is free again: TypeError: no money";
    assert_eq!(server.output("Compensates", &id).await, json!({ "undone": undone, "isError": true }));
    let detail = server.instance("Compensates", &id).await;
    assert_eq!(names_of(&detail), ["book-1", "pay-1", "cancel-1", "go on-1"]);
}

#[tokio::test]
async fn a_step_without_retries_runs_once() {
    let server = server().await;
    assert_eq!(server.run("AtMostOnce", json!({})).await, 1);
}

#[tokio::test]
async fn steps_within_steps_are_recorded() {
    let server = server().await;
    let id = server.create("Nested", json!({})).await;
    assert_eq!(server.output("Nested", &id).await, 3);
    let detail = server.instance("Nested", &id).await;
    assert_eq!(names_of(&detail), ["outer-1", "inner-1", "inner-2", "rest-1"]);
    assert_eq!(server.get("steps", "/counts").await, json!({ "inner": 2 }));
}

#[tokio::test]
async fn five_hundred_steps_run_at_once() {
    let server = server().await;
    assert_eq!(server.run("Many", json!({ "steps": 500 })).await, 500 * 499 / 2);
    assert_eq!(server.get("steps", "/counts").await, json!({ "many": 500 }));
}

#[tokio::test]
async fn steps_of_one_name_are_counted() {
    let server = server().await;
    assert_eq!(server.run("SameName", json!({})).await, json!([1, 2, 3, 4, 5]));
}

#[tokio::test]
async fn values_come_back_from_history_as_what_they_were() {
    let server = server().await;
    let expected = json!({
        "date": 86_400_000, "set": ["1"], "bytes": [2, 255], "error": "too far", "regexp": "/a+/gi",
        "numbers": [true, true, true], "absent": true, "nothing": true, "nil": true,
    });
    for replays in [false, true] {
        let id = server.create("Values", json!({})).await;
        server.until_status("Values", &id, "waiting").await;
        if replays {
            server.replay("Values", &id).await;
            server.until_status("Values", &id, "waiting").await;
        }
        server.send_event("Values", &id, "go", json!({})).await.ok();
        assert_eq!(server.output("Values", &id).await, expected, "replays: {replays}");
    }
}

#[tokio::test]
async fn params_and_output_keep_their_types_between_workers() {
    let server = server().await;
    let seen = server.get("steps", "/rich").await;
    assert_eq!(seen, json!({ "isDate": true, "at": 5, "big": "18446744073709551616" }));
}

#[tokio::test]
async fn a_step_sees_its_context_and_the_run_its_event() {
    let server = server().await;
    let id = server.create_as("Context", "look-1", json!({ "a": [1] })).await;
    assert_json_snapshot!(server.output("Context", &id).await);
}

#[tokio::test]
async fn wrong_uses_of_a_step_can_be_caught() {
    let server = server().await;
    let errors = server.run("Misuse", json!({})).await;
    let errors: Vec<&str> = errors.as_array().expect("errors").iter().filter_map(Json::as_str).collect();
    assert_snapshot!(errors.join("\n"));
}

#[tokio::test]
async fn what_run_throws_is_the_error_of_the_instance() {
    let server = server().await;
    let id = server.create("Throws", json!({})).await;
    assert_eq!(server.error("Throws", &id).await, "TypeError: from run");
    let id = server.create("Throws", json!({ "what": "text" })).await;
    assert_eq!(server.error("Throws", &id).await, "Error: just text");
}

#[tokio::test]
async fn fast_retries_wait_a_second_and_say_so_wherever_the_configuration_is_seen() {
    let source = "import { WorkflowEntrypoint } from 'cloudflare:workers';
export class Retried extends WorkflowEntrypoint {
    async run(event, step) {
        const plain = await step.do('plain', async ({ config }) => config);
        let tries = 0;
        const retried = await step.do('retried', async ({ config }) => {
            tries += 1;
            if (tries === 1) throw new Error('once');
            return config;
        });
        return [plain, retried];
    }
}
export default {};";
    let project = Project::worker("fast", &["Retried"], source);
    let server = crate::support::Launch::dev(&[&project]).arg("--fast-retries").start().await;
    let id = server.create("Retried", json!({})).await;
    let output = server.output("Retried", &id).await;
    let config =
        json!({ "retries": { "limit": 5, "delay": 1_000, "backoff": "exponential" }, "timeout": "10 minutes" });
    assert_eq!(output, json!([config, config]));
    let detail = server.instance("Retried", &id).await;
    let delays: Vec<_> = (0..2).map(|place| detail["steps"][place]["config"]["retries"]["delay"].clone()).collect();
    assert_eq!(delays, [1_000, 1_000]);
}
