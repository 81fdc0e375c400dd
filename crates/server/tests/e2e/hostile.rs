//! Code that misbehaves harms its own run and no other: a neighbour in the same isolate runs from before to after.

use hyper::Method;
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use crate::support::{Project, Server, error_text, eventually};

const SOURCE: &str = include_str!("workers/hostile.js");
const CLASSES: [&str; 12] = [
    "Neighbour",
    "Slow",
    "LeaksTimers",
    "Aborts",
    "Exits",
    "Poison",
    "PoisonOutput",
    "Odd",
    "Loops",
    "Crashes",
    "Unawaited",
    "Prints",
];

/// A server with a neighbour whose step runs.
struct Scene {
    server: Server,
    neighbour: String,
}

impl Scene {
    async fn new(more: Json, overwrites: bool) -> Self {
        let mut config =
            json!({ "compatibility_flags": ["nodejs_compat"], "define": { "OVERWRITES": overwrites.to_string() } });
        for (key, value) in more.as_object().expect("an object") {
            config[key] = value.clone();
        }
        let server = Server::dev(&[&Project::configured("hostile", &CLASSES, config, SOURCE)]).await;
        let neighbour = server.create("Neighbour", json!({})).await;
        server.until("Neighbour", &neighbour, |detail| detail["step_count"] == 2).await;
        Self { server, neighbour }
    }

    async fn plain() -> Self {
        Self::new(json!({}), false).await
    }

    /// The neighbour completes, in the process where it began.
    async fn is_unharmed(&self) {
        self.server.get("hostile", "/release").await;
        assert_eq!(self.server.output("Neighbour", &self.neighbour).await, json!([1, 2, 3]));
        let detail = self.server.instance("Neighbour", &self.neighbour).await;
        assert_eq!(detail["steps"][1]["attempts"].as_array().map(Vec::len), Some(1), "{detail:#}");
        assert_eq!(detail["steps"][1]["attempts"][0]["interruptions"], Json::Null, "{detail:#}");
    }
}

#[tokio::test]
async fn overwritten_globals_harm_nobody() {
    let scene = Scene::new(json!({}), true).await;
    assert_eq!(scene.server.run("LeaksTimers", json!({})).await, "done");
    scene.is_unharmed().await;
}

#[tokio::test]
async fn timers_end_with_their_run() {
    let scene = Scene::plain().await;
    assert_eq!(scene.server.run("LeaksTimers", json!({})).await, "done");
    let ticks = scene.server.get("hostile", "/").await;
    let passed = scene.server.create("Unawaited", json!({})).await;
    scene.server.output("Unawaited", &passed).await;
    assert_eq!(scene.server.get("hostile", "/").await, ticks, "no timer fires after its run has ended");
    scene.is_unharmed().await;
}

#[tokio::test]
async fn an_abort_ends_only_its_own_run() {
    let scene = Scene::plain().await;
    let id = scene.server.create("Aborts", json!({})).await;
    assert_eq!(scene.server.error("Aborts", &id).await, "RangeError: enough");
    let id = scene.server.create("Aborts", json!({ "inStep": true })).await;
    assert_eq!(scene.server.error("Aborts", &id).await, "Error: enough");
    scene.is_unharmed().await;
}

#[tokio::test]
async fn an_exit_is_an_error_of_its_step() {
    let scene = Scene::plain().await;
    for imported in [false, true] {
        let id = scene.server.create("Exits", json!({ "imported": imported })).await;
        let error = scene.server.error("Exits", &id).await;
        assert_eq!(error, "Error: process.exit() is not available in a Workflow", "imported: {imported}");
    }
    scene.is_unharmed().await;
}

#[tokio::test]
async fn poisoned_values_are_errors_of_their_own_instance() {
    let scene = Scene::plain().await;
    let mut seen = Vec::new();
    let kinds = [
        "function",
        "symbol",
        "getter",
        "proxy",
        "toJSON",
        "nested",
        "promise",
        "proto",
        "thrownGetter",
        "thrownProxy",
        "thrownNothing",
    ];
    for workflow in ["Poison", "PoisonOutput"] {
        for kind in kinds {
            let id = scene.server.create(workflow, json!({ "kind": kind })).await;
            let detail = scene.server.ended(workflow, &id).await;
            let told = match detail["status"].as_str() {
                Some("errored") => error_text(&detail["error"]),
                _ => format!("{} {}", detail["status"], detail["output"]),
            };
            seen.push(format!("{workflow} {kind}: {told}"));
        }
    }
    assert_snapshot!(seen.join("\n"));
    scene.is_unharmed().await;
}

#[tokio::test]
async fn odd_values_that_can_be_stored_are() {
    let scene = Scene::plain().await;
    let seen = scene.server.run("Odd", json!({})).await;
    assert_eq!(seen, json!([true, true, 500, 0xd800]));
    scene.is_unharmed().await;
}

#[tokio::test]
async fn rejections_that_nobody_handles_harm_nobody() {
    let scene = Scene::plain().await;
    assert_eq!(scene.server.run("Unawaited", json!({})).await, "fine");
    scene.is_unharmed().await;
}

#[tokio::test]
async fn an_endless_loop_ends_its_own_instance_and_others_go_on() {
    let config = json!({
        "limits": { "cpu_ms": 50 }, "compatibility_flags": ["nodejs_compat"], "define": { "OVERWRITES": "false" },
    });
    let server = Server::dev(&[&Project::configured("hostile", &CLASSES, config, SOURCE)]).await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        slow.push(server.create("Slow", json!({ "ms": 1_000 })).await);
    }
    for id in &slow {
        server.until("Slow", id, |detail| detail["step_count"] == 1).await;
    }
    let id = server.create("Loops", json!({})).await;
    let error = server.error("Loops", &id).await;
    let expected = "WorkflowInternalError: The code of this instance stopped its worker process 3 times (an endless loop, a crash or too much memory)";
    assert_eq!(error, expected);
    for id in &slow {
        assert_eq!(server.output("Slow", id).await, "done");
    }
    assert_eq!(server.run("Odd", json!({})).await[0], true, "new instances run as before");
}

#[tokio::test]
async fn a_crash_of_the_isolate_ends_its_own_instance_and_others_go_on() {
    let config = json!({ "compatibility_flags": ["nodejs_compat"], "define": { "OVERWRITES": "false" } });
    let server = Server::dev(&[&Project::configured("hostile", &CLASSES, config, SOURCE)]).await;
    let slow = server.create("Slow", json!({ "ms": 300 })).await;
    server.until("Slow", &slow, |detail| detail["step_count"] == 1).await;
    let id = server.create("Crashes", json!({})).await;
    let error = server.error("Crashes", &id).await;
    assert!(error.contains("stopped its worker process 3 times"), "{error}");
    assert_eq!(server.output("Slow", &slow).await, "done");
    assert_eq!(server.run("Odd", json!({})).await[0], true, "new instances run as before");
}

#[tokio::test]
async fn what_code_prints_is_kept_with_its_instance_and_step() {
    let scene = Scene::plain().await;
    let server = &scene.server;
    let id = server.create_as("Prints", "one", json!({})).await;
    server.output("Prints", &id).await;
    let path = format!("workflows/Prints/instances/{id}/logs");
    let told = || format!("five lines at {path}");
    let lines = eventually(told, || async {
        let lines = server.api(Method::GET, &path, "").await.ok()["result"]["lines"].take();
        (lines.as_array().map(Vec::len) == Some(5)).then_some(lines)
    })
    .await;
    let mut lines: Vec<String> = lines
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| format!("{} {} {}", line["step"], line["level"], line["text"]))
        .collect();
    lines.sort();
    assert_snapshot!(lines.join("\n"));
    server.says("run of one").await;
}
