//! Code that changes under an instance: what no longer fits its history is told, and nothing is silently wrong.

use futures_util::future::join_all;
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use crate::support::{Project, Server, names_of};

const BEFORE: &str = "await step.do('one', async () => 1);
    await step.do('two', async () => 2);
    await step.waitForEvent('go', { type: 'go' });";

/// What becomes of the three calls, by workflow.
const CHANGES: [(&str, &str); 8] = [
    ("Same", BEFORE),
    (
        "Renamed",
        "await step.do('uno', async () => 1); await step.do('two', async () => 2); await step.waitForEvent('go', { type: 'go' });",
    ),
    ("Removed", "await step.do('one', async () => 1); await step.waitForEvent('go', { type: 'go' });"),
    ("RemovedLast", "await step.do('one', async () => 1);"),
    ("Throws", "throw new Error('early');"),
    (
        "Inserted",
        "await step.do('zero', async () => 0); await step.do('one', async () => 1); await step.do('two', async () => 2); await step.waitForEvent('go', { type: 'go' });",
    ),
    (
        "Swapped",
        "await step.do('two', async () => 2); await step.do('one', async () => 1); await step.waitForEvent('go', { type: 'go' });",
    ),
    (
        "Retyped",
        "await step.sleep('one', 1); await step.do('two', async () => 2); await step.waitForEvent('go', { type: 'go' });",
    ),
];

fn source(body: impl Fn(&'static str, &'static str) -> &'static str, version: &str) -> String {
    let classes = CHANGES.map(|(class, changed)| {
        let body = body(class, changed);
        format!(
            "export class {class} extends WorkflowEntrypoint {{ async run(event, step) {{ {body} return 'done'; }} }}\n"
        )
    });
    let classes = classes.concat();
    format!(
        "import {{ WorkflowEntrypoint }} from 'cloudflare:workers';\n{classes}\
         export default {{ fetch: () => Response.json('{version}') }};"
    )
}

/// The instance after it has met the changed code: ended, or stuck for good.
async fn after_the_change(server: &Server, class: &str, id: &str) -> Json {
    server.changed(class, id, "pause").await;
    server.changed(class, id, "resume").await;
    // Code that wants no event may have ended by then.
    server.send_event(class, id, "go", json!({})).await;
    server.until(class, id, |detail| !detail["diverged"].is_null() || !detail["end"].is_null()).await
}

#[tokio::test]
async fn an_instance_that_no_longer_fits_its_code_says_what_is_missing() {
    let classes = CHANGES.map(|(class, _)| class);
    let workflows = classes
        .map(|class| json!({ "name": class, "binding": class, "class_name": class, "concurrency": { "limit": 1 } }));
    let project = Project::configured("app", &[], json!({ "workflows": workflows }), &source(|_, _| BEFORE, "old"));
    let server = Server::dev(&[&project]).await;
    for class in classes {
        server.create_as(class, "a", json!({})).await;
        server.until_status(class, "a", "waiting").await;
    }
    project.write("index.js", &source(|_, changed| changed, "new"));
    server.prints("deployed app").await;
    let details = join_all(classes.map(|class| after_the_change(&server, class, "a"))).await;
    let told = classes.iter().zip(details).map(|(class, detail)| {
        let told = detail["diverged"].as_str().unwrap_or("not diverged");
        format!("{class}: {told}")
    });
    assert_snapshot!(told.collect::<Vec<_>>().join("\n"));

    // What is stuck leaves its place to others.
    server.create_as("Renamed", "b", json!({})).await;
    server.send_event("Renamed", "b", "go", json!({})).await.ok();
    assert_eq!(server.output("Renamed", "b").await, "done");

    // And it has done nothing that keeps it from going on with code that fits.
    project.write("index.js", &source(|_, _| BEFORE, "old again"));
    for class in ["Renamed", "Removed", "Inserted", "Swapped", "Retyped"] {
        let ended = server.ended(class, "a").await;
        assert_eq!(
            (&ended["status"], &ended["diverged"], names_of(&ended)),
            (&json!("complete"), &Json::Null, vec!["one-1".into(), "two-1".into(), "go-1".into()]),
            "{class}"
        );
    }
}
