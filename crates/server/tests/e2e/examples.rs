//! The examples that users start from: Cloudflare's starter, the onboarding of CruzJS's documentation, CruzJS's scaffold.

use hyper::Method;
use serde_json::json;

use crate::support::{Launch, Project, Server, names_of};

const SCAFFOLD: &str = include_str!("workers/order-processor.ts");
const SCAFFOLD_CONFIG: &str = include_str!("workers/order-processor.toml");
/// Reads the database that the onboarding writes.
const READER: &str = "export default { async fetch(request, env) {
    const table = new URL(request.url).pathname.slice(1);
    return Response.json((await env.DB.prepare(`SELECT * FROM ${table}`).all()).results);
} }";

fn scaffold() -> Project {
    Project::new(&[("wrangler.toml", SCAFFOLD_CONFIG), ("src/index.ts", SCAFFOLD)])
}

/// Another Worker of the onboarding's database.
fn reader() -> Project {
    let database = json!([{ "binding": "DB", "database_name": "app", "database_id": "your-database-id" }]);
    Project::configured("reader", &[], json!({ "d1_databases": database }), READER)
}

/// The onboarding with waits of milliseconds, a mail service of ours, and a step that fails where that does.
fn onboarding(mail: &str) -> Project {
    let project = Project::example("onboarding");
    project.change("src/index.ts", "delay: '10 seconds'", "delay: 30");
    project.change("src/index.ts", "      await fetch('https", "      const sent = await fetch('https");
    let call = "          html: '<h1>Welcome to our platform</h1>',\n        }),\n      });";
    project.change("src/index.ts", call, &format!("{call}\n      if (!sent.ok) throw new Error('not sent');"));
    project.write("mail-stub/src/index.js", mail);
    project
}

#[tokio::test]
async fn cloudflares_starter_completes() {
    let project = Project::example("starter");
    project.change("src/index.ts", "'1 minute'", "'50 ms'");
    project.change("src/index.ts", "delay: '5 second'", "delay: 20");
    project.change("src/index.ts", "limit: 5", "limit: 30");
    project.change("src/index.ts", "backoff: 'exponential'", "backoff: 'constant'");
    let server = Server::dev(&[&project]).await;

    let started = server.get("workflows-starter", "/").await;
    let id = started["id"].as_str().expect("an id");
    let detail = server.ended("workflows-starter", id).await;

    assert_eq!(detail["status"], "complete", "{detail:#}");
    let steps = [
        "my first step-1",
        "some other step-1",
        "wait on something-1",
        "make a call to write that could maybe, just might, fail-1",
    ];
    assert_eq!(names_of(&detail), steps);
    let status = server.get("workflows-starter", &format!("/?instanceId={id}")).await;
    assert_eq!(status["status"]["status"], "complete");
    assert_eq!(server.fetch("workflows-starter", Method::GET, "/favicon.ico", "").await.status, 404);
}

#[tokio::test]
async fn the_onboarding_writes_the_database_that_another_worker_reads() {
    let server = Server::dev(&[&Project::example("onboarding"), &reader()]).await;
    let params = json!({ "userId": "user_1", "email": "ada@example.com", "plan": "free" });
    let started = server.fetch("my-app-onboarding", Method::POST, "/trigger", &params.to_string()).await.ok();
    let id = started["id"].as_str().expect("an id");
    assert_eq!(started, json!({ "id": id, "status": "started" }));

    let detail = server.ended("onboarding-workflow", id).await;
    assert_eq!(names_of(&detail), ["create-default-resources-1", "send-welcome-email-1", "mark-complete-1"]);
    let status = server.get("my-app-onboarding", &format!("/status/{id}")).await;
    let output = json!({ "success": true, "userId": "user_1" });
    assert_eq!(status, json!({ "id": id, "status": "complete", "output": output }));
    let projects = server.get("reader", "/Project").await;
    assert_eq!(projects.as_array().map(Vec::len), Some(1), "{projects}");
    assert_eq!(projects[0]["orgId"], "user_1");
    assert_eq!(server.get("reader", "/AuthIdentity").await[0]["onboardingComplete"], 1);
}

#[tokio::test]
async fn a_paid_plan_gets_the_billing_step() {
    let server = Server::dev(&[&Project::example("onboarding")]).await;
    let params = json!({ "userId": "user_1", "email": "ada@example.com", "plan": "pro" });
    let id = server.create("onboarding-workflow", params).await;
    let detail = server.ended("onboarding-workflow", &id).await;
    let steps = ["create-default-resources-1", "send-welcome-email-1", "setup-billing-1", "mark-complete-1"];
    assert_eq!(names_of(&detail), steps);
}

#[tokio::test]
async fn a_mail_that_is_sent_at_the_third_try_creates_one_project() {
    let mail = "let calls = 0;
        export default { fetch() { calls += 1; return calls < 3 ? new Response('busy', { status: 503 }) : Response.json({}); } }";
    let server = Server::dev(&[&onboarding(mail), &reader()]).await;
    let params = json!({ "userId": "user_1", "email": "ada@example.com", "plan": "free" });
    let id = server.create("onboarding-workflow", params).await;
    let detail = server.ended("onboarding-workflow", &id).await;
    assert_eq!(detail["status"], "complete", "{detail:#}");
    assert_eq!(detail["steps"][1]["attempts"].as_array().map(Vec::len), Some(3));
    assert_eq!(server.get("reader", "/Project").await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_mail_that_is_never_sent_ends_the_onboarding_after_four_attempts() {
    let mail = "export default { fetch() { throw new Error('no mail today'); } }";
    let project = onboarding(mail);
    let server = Server::dev(&[&project, &reader()]).await;
    let params = json!({ "userId": "user_1", "email": "ada@example.com", "plan": "free" });
    let id = server.create("onboarding-workflow", params).await;

    assert_eq!(server.error("onboarding-workflow", &id).await, "Error: not sent");
    let detail = server.instance("onboarding-workflow", &id).await;
    assert_eq!(names_of(&detail), ["create-default-resources-1", "send-welcome-email-1"]);
    assert_eq!(detail["steps"][1]["attempts"].as_array().map(Vec::len), Some(4));
    assert_eq!(server.get("reader", "/AuthIdentity").await[0]["onboardingComplete"], 0);
}

#[tokio::test]
async fn cruzjs_scaffold_answers_as_documented() {
    let server = Server::dev(&[&scaffold()]).await;
    let script = "order-processor";
    let health = server.get(script, "/health").await;
    assert_eq!(health, json!({ "status": "ok", "workflow": "order-processor" }));
    let started = server.fetch(script, Method::POST, "/trigger", r#"{"itemId":"item_9"}"#).await.ok();
    let id = started["id"].as_str().expect("an id");
    assert_eq!(started, json!({ "id": id }));
    assert_eq!(uuid::Uuid::parse_str(id).map(|id| id.get_version_num()), Ok(4));

    let output = json!({ "success": true, "itemId": "item_9" });
    assert_eq!(server.output(script, id).await, output);
    let status = server.get(script, &format!("/status/{id}")).await;
    assert_eq!(status, json!({ "id": id, "status": { "status": "complete", "output": output } }));
    let other = server.get(script, "/anything").await;
    assert_eq!(other, json!({ "message": "OrderProcessor workflow. POST /trigger to start." }));
}

#[tokio::test]
async fn cruzjs_scaffold_refuses_as_documented() {
    let server = Server::dev(&[&scaffold()]).await;
    let script = "order-processor";
    for (method, path, body) in [
        (Method::GET, "/status/unknown", ""),
        (Method::GET, "/status/", ""),
        (Method::POST, "/trigger", "x"),
        (Method::POST, "/trigger", ""),
    ] {
        assert_eq!(server.fetch(script, method, path, body).await.status, 500, "{path} {body:?}");
    }
    let started = server.fetch(script, Method::POST, "/trigger", "{}").await.ok();
    assert_eq!(server.output(script, started["id"].as_str().expect("an id")).await, json!({ "success": true }));
    let started = server.fetch(script, Method::POST, "/trigger", "null").await.ok();
    let error = server.error(script, started["id"].as_str().expect("an id")).await;
    assert!(error.starts_with("TypeError: "), "{error}");
}

#[tokio::test]
async fn cruzjs_scaffold_is_called_by_a_service_binding() {
    let caller = "export default { async fetch(request, env) {
        return env.ORDERS.fetch('https://internal/trigger', { method: 'POST', body: JSON.stringify({ itemId: 'a' }) });
    } }";
    let services = json!([{ "binding": "ORDERS", "service": "order-processor" }]);
    let caller = Project::configured("shop", &[], json!({ "services": services }), caller);
    let server = Launch::dev(&[&scaffold(), &caller]).start().await;
    let started = server.get("shop", "/").await;
    let output = server.output("order-processor", started["id"].as_str().expect("an id")).await;
    assert_eq!(output, json!({ "success": true, "itemId": "a" }));
}
