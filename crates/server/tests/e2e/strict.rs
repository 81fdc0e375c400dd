//! Which configurations a step takes, how delay functions fail, and what is never retried.

use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use crate::support::{Project, Server};

const SOURCE: &str = include_str!("workers/strict.js");

async fn server(compatibility: Json) -> Server {
    Server::dev(&[&Project::configured("strict", &["Configs", "Delays", "Refuses"], compatibility, SOURCE)]).await
}

fn retries(more: Json) -> Json {
    let mut retries = json!({ "limit": 1, "delay": 1 });
    retries.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    json!({ "retries": retries })
}

#[tokio::test]
async fn configurations_are_taken_as_cloudflares_validator_tests_have_it() {
    let server = server(json!({})).await;
    let good = [
        json!({}),
        retries(json!({ "limit": 0, "delay": 0 })),
        retries(json!({ "delay": "1.5 seconds", "backoff": "linear" })),
        retries(json!({ "delay": "500" })),
        json!({ "timeout": "2 weeks" }),
        json!({ "timeout": 1 }),
        json!({ "sensitive": "output" }),
    ];
    let bad = [
        json!({ "retries": { "limit": 1 } }),
        json!({ "retries": { "delay": 1 } }),
        retries(json!({ "limit": -1 })),
        retries(json!({ "limit": "1" })),
        retries(json!({ "delay": "i like trains" })),
        retries(json!({ "delay": -1 })),
        retries(json!({ "backoff": "random" })),
        retries(json!({ "more": 1 })),
        json!({ "timeout": 0 }),
        json!({ "timeout": "soon" }),
        json!({ "sensitive": true }),
        json!({ "sensitive": "all" }),
        json!({ "timeouts": 1 }),
    ];
    assert_eq!(server.run("Configs", json!(good)).await, json!(vec![true; 7]));
    let text = "WorkflowFatalError: Step config for \"s\" is in a invalid format. See https://developers.cloudflare.com/workflows/build/sleeping-and-retrying/";
    assert_eq!(server.run("Configs", json!(bad)).await, json!(vec![text; 13]));
}

#[tokio::test]
async fn a_delay_function_that_fails_fails_its_step() {
    let server = server(json!({})).await;
    let mut seen = Vec::new();
    for what in ["throws", "hangs", "invalid", "works"] {
        seen.push(format!("{what}: {}", server.run("Delays", json!(what)).await));
    }
    assert_snapshot!(seen.join("\n"));
}

#[tokio::test]
async fn what_must_not_be_retried_is_told_as_the_compatibility_date_says() {
    let mut seen = Vec::new();
    for (told, compatibility) in [
        ("before", json!({ "compatibility_date": "2026-05-13" })),
        ("since", json!({ "compatibility_date": "2026-05-14" })),
        (
            "flag",
            json!({ "compatibility_date": "2026-05-13", "compatibility_flags": ["workflows_preserve_non_retryable_error_message"] }),
        ),
    ] {
        let server = server(compatibility).await;
        for what in ["plain", "empty", "named", "prefix", "name", "text"] {
            let caught = server.run("Refuses", json!({ "what": what, "caught": true })).await;
            let id = server.create("Refuses", json!({ "what": what })).await;
            let error = server.error("Refuses", &id).await;
            seen.push(format!("{told}, {what}: caught {caught}, else {error}"));
        }
    }
    assert_snapshot!(seen.join("\n"));
}
