//! What people are shown of an instance: sensitive outputs nowhere, errors with their causes.

use std::process::Command;

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Project, Server};

const SOURCE: &str = include_str!("workers/faces.js");

async fn server() -> Server {
    Server::dev(&[&Project::worker("faces", &["Secretive", "Caused", "Uncaught"], SOURCE)]).await
}

impl Server {
    /// What `stepwell workflows instances describe` prints.
    fn described(&self, workflow: &str, id: &str, more: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stepwell"));
        command.args(["workflows", "instances", "describe", workflow, id]).args(more);
        command.env("STEPWELL_API", format!("http://{}", self.api)).env("NO_COLOR", "1");
        let output = command.output().expect("the binary can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a text")
    }

    async fn shown(&self, path: &str) -> Json {
        self.api(Method::GET, path, "").await.ok()["result"].take()
    }
}

#[tokio::test]
async fn a_sensitive_output_is_shown_to_nobody_but_user_code() {
    let server = server().await;
    let id = server.create("Secretive", json!({ "waits": true })).await;
    server.until_status("Secretive", &id, "waiting").await;
    server.replay("Secretive", &id).await;
    server.send_event("Secretive", &id, "go", json!({})).await.ok();
    assert_eq!(
        server.output("Secretive", &id).await,
        json!([12, 11, true]),
        "code has the values, also after a replay"
    );
    let instance = format!("workflows/Secretive/instances/{id}");
    let detail = server.shown(&instance).await;
    for place in [0, 1] {
        assert_eq!(detail["steps"][place]["output"], "[REDACTED]", "{detail:#}");
        assert_eq!(detail["steps"][place]["config"]["sensitive"], "output");
    }
    let step = server.shown(&format!("{instance}/step?name=slow-1&type=step")).await;
    assert_eq!(step["output"], "[REDACTED]");
    let attempt = server.shown(&format!("{instance}/step?name=slow-1&type=step&attempt=2")).await;
    assert_eq!(attempt["output"], "[REDACTED]");
    let told = server.get("faces", &format!("/{id}")).await;
    let faces = [
        detail.to_string(),
        step.to_string(),
        attempt.to_string(),
        told.to_string(),
        server.shown(&format!("{instance}/logs")).await.to_string(),
        server.described("Secretive", &id, &[]),
        server.described("Secretive", &id, &["--json"]),
    ];
    for face in &faces {
        assert!(!face.contains("hidden"), "{face}");
    }
    for face in [&faces[0], &faces[3], &faces[5]] {
        assert!(face.contains("[REDACTED]") && face.contains("shown-error"), "errors are shown: {face}");
    }
}

#[tokio::test]
async fn causes_of_errors_are_shown_to_people_and_not_to_code() {
    let server = server().await;
    let id = server.create("Caused", json!({})).await;
    assert_eq!(server.error("Caused", &id).await, "Error: TypeError outer undefined");
    let detail = server.instance("Caused", &id).await;
    assert_eq!(detail["error"]["cause"], "odd");
    let error = &detail["steps"][0]["attempts"][0]["error"];
    assert_eq!(error["cause"], "RangeError: inner; caused by innermost");
    assert!(error["stack"].as_str().is_some_and(|stack| stack.contains("TypeError: outer")), "{error}");
    let described = server.described("Caused", &id, &[]);
    assert!(described.contains("caused by odd"), "{described}");
    assert!(described.contains("caused by RangeError: inner; caused by innermost"), "{described}");
}

#[tokio::test]
async fn the_cause_of_a_steps_error_is_that_of_the_instances_error() {
    let server = server().await;
    let cause = r#"{"code":"E_LIMIT","at":[1]}"#;
    for (wraps, told) in [(false, cause.to_owned()), (true, format!("TypeError: outer; caused by {cause}"))] {
        let id = server.create("Uncaught", json!({ "wraps": wraps })).await;
        assert_eq!(server.ended("Uncaught", &id).await["error"]["cause"], told);
    }
}
