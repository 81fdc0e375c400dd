//! Rollbacks: what handlers see, in which order they run, what happens where one fails, and what users are told.

use hyper::Method;
use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::{Value as Json, json};

use crate::support::{Project, Server, error_text, eventually, names_of};

const SOURCE: &str = include_str!("workers/rollback.js");
const CLASSES: [&str; 10] =
    ["Saga", "Parallel", "Retried", "TimesOut", "Context", "Waits", "Forgetful", "Nested", "Steps", "Misuse"];

async fn server() -> Server {
    Server::dev(&[&Project::worker("saga", &CLASSES, SOURCE)]).await
}

impl Server {
    async fn undone(&self, id: &str) -> Json {
        self.get("saga", "/log").await[id].clone()
    }

    async fn roll_back(&self, workflow: &str, id: &str) -> String {
        let body = json!({ "status": "terminate", "rollback": true }).to_string();
        let answer = self.api(Method::PATCH, &format!("workflows/{workflow}/instances/{id}/status"), body).await.ok();
        answer["result"]["status"].as_str().expect("a status").to_owned()
    }

    /// The instance has got as far as its event.
    async fn until_waits(&self, workflow: &str, id: &str) {
        let is_there =
            |detail: &Json| detail["status"] == "waiting" && names_of(detail).iter().any(|name| name == "wait-1");
        self.until(workflow, id, is_there).await;
    }

    /// A pause: the run is gone, and with it the handlers.
    async fn pause(&self, workflow: &str, id: &str) {
        self.changed(workflow, id, "pause").await;
        self.until_status(workflow, id, "paused").await;
    }

    /// What `status()` tells in a Worker.
    async fn binding_status(&self, workflow: &str, id: &str) -> Json {
        let call = json!({ "workflow": workflow, "id": id, "method": "status" });
        self.fetch("saga", Method::POST, "/", &call.to_string()).await.ok()
    }
}

fn rollback_steps(detail: &Json) -> Vec<&Json> {
    let steps = detail["steps"].as_array().expect("steps");
    steps.iter().filter(|step| step["type"] == "rollback").collect()
}

fn complete() -> Json {
    json!({ "outcome": "complete", "error": null })
}

#[tokio::test]
async fn handlers_run_in_reverse_order_and_for_the_step_that_failed() {
    let server = server().await;
    let id = server.create("Saga", json!({ "fails": true })).await;
    assert_eq!(server.error("Saga", &id).await, "TypeError: lost at sea");
    let expected = json!([["ship-1", null], ["pay-1", "1970-01-01T00:00:00.005Z"], ["book-1", { "seat": 7 }]]);
    assert_eq!(server.undone(&id).await, expected, "none for a step without a handler");
    let detail = server.instance("Saga", &id).await;
    assert_eq!((&detail["rollback"], &detail["step_count"]), (&complete(), &json!(4)));
    let names: Vec<&Json> = rollback_steps(&detail).into_iter().map(|step| &step["name"]).collect();
    assert_eq!(names, ["ship-1", "pay-1", "book-1"]);
    let told = server.binding_status("Saga", &id).await;
    let error = json!({ "name": "TypeError", "message": "lost at sea" });
    assert_eq!(told, json!({ "status": "errored", "error": error, "rollback": complete() }));
}

#[tokio::test]
async fn what_run_throws_itself_is_rolled_back_too_and_a_caught_step_with_it() {
    let server = server().await;
    let id = server.create("Saga", json!({ "caught": true, "throws": true })).await;
    assert_eq!(server.error("Saga", &id).await, "RangeError: after all steps");
    let undone = server.undone(&id).await;
    assert_eq!([&undone[0][0], &undone[1][0], &undone[2][0]], ["notify-1", "pay-1", "book-1"]);
}

#[tokio::test]
async fn no_handler_runs_on_success_nor_for_an_error_that_is_caught() {
    let server = server().await;
    let id = server.create("Saga", json!({ "caught": true })).await;
    assert_eq!(server.output("Saga", &id).await, "1970-01-01T00:00:00.005Z");
    assert_eq!(server.undone(&id).await, Json::Null);
    assert_eq!(server.instance("Saga", &id).await["rollback"], Json::Null);
    assert_eq!(server.binding_status("Saga", &id).await.get("rollback"), None);
}

#[tokio::test]
async fn parallel_steps_are_undone_in_reverse_order_of_their_start() {
    let server = server().await;
    let id = server.create("Parallel", json!({})).await;
    assert_eq!(server.error("Parallel", &id).await, "Error: at the end");
    assert_eq!(server.undone(&id).await, json!([["medium-1", null], ["quick-1", null], ["slow-1", null]]));
}

#[tokio::test]
async fn a_handler_is_retried_as_its_configuration_says() {
    let server = server().await;
    for dynamic in [false, true] {
        let id = server.create("Retried", json!({ "failures": 3, "dynamic": dynamic })).await;
        assert_eq!(server.error("Retried", &id).await, "Error: whole");
        assert_eq!(server.undone(&id).await, json!([["third-1", 3], "try", "try", "try", ["first-1", 1]]));
        let detail = server.instance("Retried", &id).await;
        let step = rollback_steps(&detail)[1].clone();
        let errors: Vec<String> =
            step["attempts"].as_array().expect("attempts").iter().map(|one| error_text(&one["error"])).collect();
        assert_eq!(errors, ["RangeError: try 2", "RangeError: try 3", ": "]);
        assert_eq!(step["config"]["retries"]["delay"], if dynamic { json!("[dynamic]") } else { json!(20) });
        assert_eq!((&step["success"], &step["config"]["timeout"]), (&json!(true), &json!(5_000)));
    }
}

#[tokio::test]
async fn the_first_handler_that_fails_for_good_ends_the_rollback() {
    let server = server().await;
    for (params, tries, text) in [
        (json!({ "failures": 99 }), 3, "RangeError: try 4"),
        (json!({ "final": true }), 1, "NonRetryableError: cannot be undone"),
    ] {
        let id = server.create("Retried", params).await;
        assert_eq!(server.error("Retried", &id).await, "Error: whole", "the instance keeps its own error");
        let undone = server.undone(&id).await;
        assert_eq!(undone.as_array().map(Vec::len), Some(1 + tries), "{undone}");
        let detail = server.instance("Retried", &id).await;
        assert_eq!(detail["rollback"]["outcome"], "failed");
        assert_eq!(error_text(&detail["rollback"]["error"]), text);
        let told = server.binding_status("Retried", &id).await;
        assert_eq!(error_text(&told["rollback"]["error"]), text);
    }
}

#[tokio::test]
async fn a_handler_that_hangs_times_out() {
    let server = server().await;
    let id = server.create("TimesOut", json!({})).await;
    assert_eq!(server.error("TimesOut", &id).await, "Error: whole");
    assert_eq!(server.undone(&id).await, json!(["hangs", "hangs"]));
    let detail = server.instance("TimesOut", &id).await;
    assert_eq!(error_text(&detail["rollback"]["error"]), "WorkflowTimeoutError: Execution timed out after 100ms");
}

#[tokio::test]
async fn a_long_retry_delay_of_a_handler_is_waited_for_without_a_run() {
    let server = server().await;
    let id = server.create("Retried", json!({ "failures": 2, "delay": 7_000 })).await;
    let waiting = server.until("Retried", &id, |detail| detail["wake_at"].is_string()).await;
    assert_eq!(waiting["status"], "rollingBack");
    assert_eq!(server.error("Retried", &id).await, "Error: whole");
    assert_eq!(server.undone(&id).await, json!([["third-1", 3], "try", "try", ["first-1", 1]]));
}

#[tokio::test]
async fn a_handler_sees_the_context_of_its_step_live_as_after_a_replay() {
    let server = server().await;
    for fails in [false, true] {
        let id = server.create_as("Context", &format!("live-{fails}"), json!({ "fails": fails })).await;
        server.ended("Context", &id).await;
        let live = server.undone(&id).await;
        assert_json_snapshot!(format!("rollback_context_fails_{fails}"), live);
        let id =
            server.create_as("Context", &format!("replayed-{fails}"), json!({ "fails": fails, "waits": true })).await;
        server.until_waits("Context", &id).await;
        server.pause("Context", &id).await;
        assert_eq!(server.roll_back("Context", &id).await, "rollingBack");
        server.ended("Context", &id).await;
        let mut replayed = server.undone(&id).await;
        let error = replayed[0]["error"].take();
        assert_eq!(error, json!([true, "Terminated", "Instance terminated during rollback"]));
        replayed[0]["error"] = live[0]["error"].clone();
        assert_eq!(replayed, live);
    }
}

/// What the two runs of an instance of `Waits` do before handlers run.
const UNTIL_WAIT: [&str; 2] = ["run", "caught"];

#[tokio::test]
async fn a_termination_rolls_back_when_asked_to() {
    let server = server().await;
    for paused in [false, true] {
        let id = server.create("Waits", json!({})).await;
        server.until_waits("Waits", &id).await;
        if paused {
            server.pause("Waits", &id).await;
        }
        assert_eq!(server.roll_back("Waits", &id).await, "rollingBack");
        let detail = server.ended("Waits", &id).await;
        assert_eq!((&detail["status"], &detail["rollback"]), (&json!("terminated"), &complete()));
        let runs = if paused { 2 } else { 1 };
        let mut expected: Vec<Json> = UNTIL_WAIT.repeat(runs).into_iter().map(Json::from).collect();
        expected.extend([json!(["notify-1", null]), json!(["book", 7, 7])]);
        assert_eq!(server.undone(&id).await, json!(expected), "the step behind the wait never began");
        assert_eq!(
            server.binding_status("Waits", &id).await,
            json!({ "status": "terminated", "rollback": complete() })
        );
        let last = detail["steps"].as_array().and_then(|steps| steps.last()).expect("steps");
        assert_eq!(last, &json!({ "type": "termination", "trigger": { "source": "api" } }));
    }
}

#[tokio::test]
async fn steps_within_steps_are_undone_by_the_run_that_made_them() {
    let server = server().await;
    for terminates in [false, true] {
        let id = server.create("Nested", json!({ "waits": terminates })).await;
        if terminates {
            server.until_waits("Nested", &id).await;
            server.roll_back("Nested", &id).await;
        }
        let detail = server.ended("Nested", &id).await;
        assert_eq!(detail["rollback"], complete());
        assert_eq!(server.undone(&id).await, json!([["inner-1", 1], ["outer-1", 2]]));
    }
}

#[tokio::test]
async fn a_termination_without_rollback_runs_no_handler() {
    let server = server().await;
    let id = server.create("Waits", json!({})).await;
    server.until_waits("Waits", &id).await;
    assert_eq!(server.changed("Waits", &id, "terminate").await, "terminated");
    assert_eq!(server.undone(&id).await, json!(["run", "caught"]));
    assert_eq!(server.instance("Waits", &id).await["rollback"], Json::Null);
}

#[tokio::test]
async fn a_step_that_had_not_finished_is_undone_too() {
    let server = server().await;
    let id = server.create("Waits", json!({ "hangs": true })).await;
    eventually(|| "hangs".to_owned(), || async { (server.undone(&id).await[2] == "hangs").then_some(()) }).await;
    server.roll_back("Waits", &id).await;
    server.ended("Waits", &id).await;
    let undone = json!(["run", "caught", "hangs", ["hangs-1", null], ["notify-1", null], ["book", 7, 7]]);
    assert_eq!(server.undone(&id).await, undone);
}

#[tokio::test]
async fn code_that_has_lost_a_handler_fails_the_rollback() {
    let server = server().await;
    let id = server.create("Forgetful", json!({})).await;
    server.until_status("Forgetful", &id, "waiting").await;
    server.pause("Forgetful", &id).await;
    server.roll_back("Forgetful", &id).await;
    let detail = server.ended("Forgetful", &id).await;
    assert_eq!((&detail["status"], &detail["rollback"]["outcome"]), (&json!("terminated"), &json!("failed")));
    let missing = "RollbackMissing: Rollback function not available in registry";
    assert_eq!(error_text(&detail["rollback"]["error"]), missing);
}

#[tokio::test]
async fn no_step_begins_in_a_rollback() {
    let server = server().await;
    let id = server.create("Steps", json!({})).await;
    server.ended("Steps", &id).await;
    let refused = "WorkflowFatalError: Cannot execute steps during rollback phase";
    assert_eq!(server.undone(&id).await, json!([refused, refused, refused]));
}

#[tokio::test]
async fn commands_during_a_rollback() {
    let server = server().await;
    let id = server.create("Retried", json!({ "failures": 9, "delay": 60_000 })).await;
    server.until_status("Retried", &id, "rollingBack").await;
    assert_eq!(server.binding_status("Retried", &id).await, json!({ "status": "running" }));
    for word in ["pause", "resume"] {
        assert_eq!(server.changed("Retried", &id, word).await, "rollingBack", "{word}");
    }
    assert_eq!(server.roll_back("Retried", &id).await, "rollingBack");
    server.send_event("Retried", &id, "go", json!(1)).await.ok();
    let listed = server.api(Method::GET, "workflows/Retried/instances?status=rollingBack", "").await.ok();
    assert_eq!(listed["result"][0]["id"], json!(id));
    let counts = server.api(Method::GET, "workflows/Retried", "").await.ok();
    assert_eq!(counts["result"]["instances"]["rollingBack"], 1);
    assert_eq!(server.changed("Retried", &id, "terminate").await, "terminated");
    let detail = server.ended("Retried", &id).await;
    assert_eq!(error_text(&detail["rollback"]["error"]), "Terminated: Instance terminated during rollback");
    assert_eq!(server.undone(&id).await, json!([["third-1", 3], "try"]));
}

#[tokio::test]
async fn wrong_rollback_options_can_be_caught() {
    let server = server().await;
    let errors = server.run("Misuse", json!({})).await;
    let errors: Vec<&str> = errors.as_array().expect("errors").iter().filter_map(Json::as_str).collect();
    assert_snapshot!(errors.join("\n"));
}
