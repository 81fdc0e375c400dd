//! Values that JSON does not carry: their bounds, and that code which overwrites prototypes harms no value.

use serde_json::{Value as Json, json};

use crate::support::{Project, Server};

const MIB: usize = 1 << 20;

async fn server() -> Server {
    let classes = ["Overwrites", "Members", "Takes", "Gives", "Echoes"];
    let flags = json!({ "compatibility_date": "2026-06-01" });
    Server::dev(&[&Project::configured("values", &classes, flags, include_str!("workers/values.js"))]).await
}

/// The output of an instance that waits for a word and is replayed before it comes.
async fn replayed(server: &Server, workflow: &str) -> Json {
    let id = server.create(workflow, json!({})).await;
    server.until_status(workflow, &id, "waiting").await;
    server.replay(workflow, &id).await;
    server.send_event(workflow, &id, "go", Json::Null).await.ok();
    server.output(workflow, &id).await
}

#[tokio::test]
async fn overwritten_prototypes_reach_no_value() {
    let server = server().await;
    let expected = json!({
        "size": 1, "bytes": 2, "source": "x", "holes": false, "length": 3, "stillOverwritten": true,
    });
    assert_eq!(replayed(&server, "Overwrites").await, expected);
}

#[tokio::test]
async fn members_of_odd_names_and_of_arrays_come_back() {
    let expected = json!({
        "match": ["match", 2, "match", "a match"], "keys": ["__proto__", "~__proto__"], "isPlain": true, "length": 2,
    });
    assert_eq!(replayed(&server().await, "Members").await, expected);
}

#[tokio::test]
async fn a_mebibyte_of_bytes_fits_everywhere() {
    let server = server().await;
    assert_eq!(server.run("Gives", json!({ "bytes": MIB })).await, MIB);
    let id = server.get("values", &format!("/?bytes={MIB}")).await;
    assert_eq!(server.output("Takes", id.as_str().expect("an id")).await, json!([MIB, MIB]));
}

#[tokio::test]
async fn more_than_a_mebibyte_of_bytes_is_refused_in_words() {
    let server = server().await;
    let id = server.create("Gives", json!({ "bytes": MIB + 1 })).await;
    let error = server.error("Gives", &id).await;
    assert_eq!(error, "WorkflowInternalError: Step gives-1 output is too large. Maximum allowed size is 1MiB.");
    let refused = server.get("values", &format!("/?bytes={}", MIB + 1)).await;
    let texts = ["Instance params are", "Event payload is"].map(|what| {
        format!("WorkflowError: (instance.payload_too_large) {what} too large. Maximum allowed size is 1MiB.")
    });
    assert_eq!(refused, json!(texts));
}

#[tokio::test]
async fn a_text_counts_with_its_characters_and_not_with_its_escapes() {
    let server = server().await;
    for text in ["\"".repeat(600_000), "é".repeat(600_000), "漢".repeat(400_000), "\u{1}".repeat(MIB)] {
        let id = server.create("Echoes", json!(text)).await;
        server.until_status("Echoes", &id, "waiting").await;
        server.replay("Echoes", &id).await;
        server.send_event("Echoes", &id, "go", json!(text)).await.ok();
        assert!(server.output("Echoes", &id).await == text, "{:?}", text.chars().next());
    }
    let (status, message) = server.try_create("Echoes", json!({ "params": "漢".repeat(600_000) })).await.refusal();
    assert_eq!((status, message.contains("1200000 bytes")), (413, true), "{message}");
}
