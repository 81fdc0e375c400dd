//! Instances of workflows, from their creation to their end.

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::on_every_release;
use crate::release::Release;
use crate::support::{Launch, Project, Server, eventually};
use crate::terminal::Terminal;

on_every_release!(instances_are_triggered_listed_and_led_to_their_end);

/// Steps of the instance that is described whole.
const MANY_STEPS: usize = 10_000;

/// A server with workflows `Checkout` and `Refund`, and a terminal at it.
async fn shop(release: Release) -> (Server, Terminal) {
    let server = Server::serve().await;
    server.deploy("shop", &["Checkout", "Refund"], include_str!("workers/shop.js")).await.ok();
    let terminal = Terminal::open(release, &server).await;
    (server, terminal)
}

/// Waits until an instance waits for its event.
async fn until_it_waits(server: &Server, id: &str) {
    let waits = |detail: &Json| detail["status"] == "waiting" && detail["steps"][2]["type"] == "waitForEvent";
    server.until("Checkout", id, waits).await;
}

mod tell {
    use super::*;

    pub async fn instances_are_triggered_listed_and_led_to_their_end(release: Release) {
        let (server, mut terminal) = shop(release).await;
        terminal.wrangler(&["workflows", "trigger", "Checkout", r#"{"item":"tea"}"#]).await;
        server.ended("Checkout", &terminal.newest_instance(&server, "Checkout").await).await;
        let order = json!({ "item": "salt", "waits": true });
        if release > Release::V3 {
            let trigger = ["workflows", "trigger", "Checkout", &order.to_string(), "--id", "order-1"];
            terminal.wrangler(&trigger).await;
        } else {
            server.create_as("Checkout", "order-1", order.clone()).await;
        }
        until_it_waits(&server, "order-1").await;
        terminal.wrangler(&["workflows", "instances", "list", "Checkout"]).await;
        let status = ["--status", "complete", "--reverse"];
        terminal.wrangler(&[&["workflows", "instances", "list", "Checkout"], &status[..]].concat()).await;
        let page = ["--page", "2", "--per-page", "1"];
        terminal.wrangler(&[&["workflows", "instances", "list", "Checkout"], &page[..]].concat()).await;
        terminal.wrangler(&["workflows", "instances", "describe", "Checkout", "order-1"]).await;
        terminal.wrangler(&["workflows", "instances", "pause", "Checkout", "order-1"]).await;
        server.until_status("Checkout", "order-1", "paused").await;
        terminal.wrangler(&["workflows", "instances", "resume", "Checkout", "latest"]).await;
        until_it_waits(&server, "order-1").await;
        if release > Release::V3 {
            let event = ["--type", "paid", "--payload", r#"{"cents":5}"#];
            let to = ["workflows", "instances", "send-event", "Checkout", "latest"];
            terminal.wrangler(&[&to, &event[..]].concat()).await;
            server.ended("Checkout", "order-1").await;
            let shortened = ["--truncate-output-limit", "5"];
            let described = ["workflows", "instances", "describe", "Checkout"];
            terminal.wrangler(&[&described, &shortened[..]].concat()).await;
            terminal.wrangler(&["workflows", "instances", "restart", "Checkout", "order-1"]).await;
            until_it_waits(&server, "order-1").await;
        }
        terminal.wrangler(&["workflows", "instances", "terminate", "Checkout", "latest"]).await;
        let without_output = ["latest", "--no-step-output"];
        terminal.wrangler(&[&["workflows", "instances", "describe", "Checkout"], &without_output[..]].concat()).await;
        terminal.wrangler(&["workflows", "instances", "terminate", "Checkout", "order-1"]).await;
        terminal.wrangler(&["workflows", "instances", "pause", "Checkout", "nobody"]).await;
        let failed = server.create("Refund", json!({})).await;
        server.ended("Refund", &failed).await;
        terminal.wrangler(&["workflows", "instances", "describe", "Refund", "latest"]).await;
        if release > Release::V3 {
            server.create_as("Checkout", "order-2", order).await;
            until_it_waits(&server, "order-2").await;
            terminal.wrangler(&["workflows", "instances", "terminate-all", "Checkout", "--status", "waiting"]).await;
            server.until_status("Checkout", "order-2", "terminated").await;
        }
        terminal.assert("instances");
    }
}

#[tokio::test]
async fn the_newest_release_restarts_from_steps_rolls_back_and_deletes() {
    let (server, mut terminal) = shop(Release::Newest).await;
    for id in ["order-1", "order-2", "order-3"] {
        server.create_as("Checkout", id, json!({ "item": id, "waits": true, "steps": 0 })).await;
        until_it_waits(&server, id).await;
    }
    let instances = |arguments: &[&'static str]| [&["workflows", "instances"], arguments].concat();
    let dates = ["--per-page", "2", "--date-start", "2020-01-01", "--date-end", "2999-12-31"];
    terminal.wrangler(&[&instances(&["list", "Checkout"])[..], &dates].concat()).await;
    let none = ["--date-end", "2020-01-01T00:00:00Z", "--json"];
    terminal.wrangler(&[&instances(&["list", "Checkout"])[..], &none].concat()).await;
    terminal.wrangler(&instances(&["list", "Checkout", "--json", "--reverse", "--per-page", "1"])).await;
    terminal.wrangler(&instances(&["describe", "Checkout", "order-1", "--json"])).await;
    terminal.wrangler(&instances(&["send-event", "Checkout", "order-1", "--type", "paid", "--json"])).await;
    server.ended("Checkout", "order-1").await;
    let from = ["--from-step-name", "payment", "--from-step-count", "1", "--from-step-type", "waitForEvent", "--json"];
    terminal.wrangler(&[&instances(&["restart", "Checkout", "order-1"])[..], &from].concat()).await;
    until_it_waits(&server, "order-1").await;
    terminal.wrangler(&instances(&["restart", "Checkout", "order-1", "--from-step-name", "unknown"])).await;
    terminal.wrangler(&instances(&["terminate", "Checkout", "order-1", "--rollback"])).await;
    let undone = server.until_status("Checkout", "order-1", "terminated").await;
    assert_eq!(undone["rollback"], json!({ "outcome": "complete", "error": null }));
    terminal.wrangler(&instances(&["describe", "Checkout", "order-1"])).await;
    terminal.wrangler(&instances(&["delete", "Checkout", "order-1", "nobody"])).await;
    let file = terminal.home().join("ids.json");
    std::fs::write(&file, r#"["order-2"]"#).expect("a file");
    let file = file.display().to_string();
    terminal.wrangler(&[&instances(&["delete", "Checkout", "--filename"])[..], &[&file, "--json"]].concat()).await;
    terminal.wrangler(&instances(&["delete", "Checkout", "latest"])).await;
    terminal.wrangler(&instances(&["terminate-all", "Checkout", "--json"])).await;
    terminal.wrangler(&instances(&["list", "Checkout"])).await;
    terminal.assert("instances_newest_words");
}

/// wrangler puts such ids into paths as they are.
#[tokio::test]
async fn an_instance_of_a_schedule_with_a_slash_is_found() {
    let server = Launch::serve().arg("--test-clock").arg("2026-11-21T10:00:30Z*60").start().await;
    let workflow = json!({ "name": "Tick", "binding": "TICK", "class_name": "Checkout", "schedules": "*/5 * * * *" });
    let project = Project::configured("app", &[], json!({ "workflows": [workflow] }), include_str!("workers/shop.js"));
    let mut terminal = Terminal::open(Release::Newest, &server).await;
    terminal.enter(&project, "APP");
    terminal.wrangler(&["deploy"]).await;
    let fired = async || {
        let listed = server.api(Method::GET, "workflows/Tick/instances?direction=asc&status=complete", "").await.ok();
        listed["result"][0]["id"].as_str().map(str::to_owned)
    };
    let firing = eventually(|| "a firing that completes".to_owned(), fired).await;
    assert!(firing.starts_with("*/5 * * * *-"), "{firing}");
    terminal.call(&firing, "FIRING");
    terminal.call(&firing.replace(' ', "%20"), "FIRING");
    let instances = |word: &'static str| ["workflows", "instances", word, "Tick", firing.as_str()];
    terminal.wrangler(&instances("describe")).await;
    terminal.wrangler(&instances("restart")).await;
    terminal.wrangler(&instances("delete")).await;
    terminal.assert("scheduled");
}

#[tokio::test]
async fn an_instance_of_ten_thousand_steps_is_described_whole() {
    let (server, terminal) = shop(Release::Newest).await;
    // Two are there besides those that count.
    let id = server.create("Checkout", json!({ "steps": MANY_STEPS - 2 })).await;
    assert_eq!(server.ended("Checkout", &id).await["status"], "complete");
    let shown = terminal.wrangler_quietly(&["workflows", "instances", "describe", "Checkout", &id, "--json"]).await;
    let detail: Json = serde_json::from_str(&shown).expect("JSON");
    let steps = detail["steps"].as_array().expect("steps");
    // The sleep is one more.
    assert_eq!((steps.len(), &detail["step_count"]), (MANY_STEPS + 1, &json!(MANY_STEPS + 1)));
    let last = &steps[MANY_STEPS];
    assert_eq!((&last["name"], &last["output"]), (&json!("ship-1"), &json!("\"nothing shipped\"")));
    let counted = &steps[MANY_STEPS - 2];
    assert_eq!((&counted["name"], &counted["output"]), (&json!("count-9998"), &json!("9997")));
}
