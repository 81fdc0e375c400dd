//! Deploying, from the first upload to the end of the Worker.

use serde_json::{Value as Json, json};

use crate::on_every_release;
use crate::release::Release;
use crate::support::{Project, Server};
use crate::terminal::Terminal;

on_every_release!(
    the_starter_is_deployed_twice_and_deleted,
    the_onboarding_example_is_deployed_with_a_global_key,
    a_worker_with_everything_is_deployed_to_two_environments,
);

mod tell {
    use hyper::Method;

    use crate::release::Release;
    use crate::support::{Project, Server};
    use crate::terminal::Terminal;

    pub async fn the_starter_is_deployed_twice_and_deleted(release: Release) {
        let server = Server::serve().await;
        let mut terminal = Terminal::open(release, &server).await;
        terminal.wrangler(&["whoami"]).await;
        terminal.enter(&Project::example("starter"), "STARTER");
        terminal.wrangler(&["deploy", "--dry-run"]).await;
        terminal.wrangler(&["deploy"]).await;
        terminal.wrangler(&["deploy"]).await;
        let created = server.get("workflows-starter", "/").await;
        let id = created["id"].as_str().expect("an id");
        let detail = server.until("workflows-starter", id, |detail| detail["steps"][0]["success"] == true).await;
        assert_eq!(detail["steps"][0]["name"], "my first step-1");
        terminal.wrangler(&["workflows", "trigger", "workflows-starter", "{}"]).await;
        terminal.wrangler(&["workflows", "instances", "terminate", "workflows-starter", "latest"]).await;
        terminal.wrangler(&["delete"]).await;
        terminal.wrangler(&["delete", "--force"]).await;
        terminal.wrangler(&["workflows", "list"]).await;
        terminal.fetch(&server, "workflows-starter", "/").await;
        terminal.assert("starter");
    }

    pub async fn the_onboarding_example_is_deployed_with_a_global_key(release: Release) {
        let server = Server::serve().await;
        let mut terminal = Terminal::open_with_key(release, &server).await;
        terminal.enter(&Project::example("onboarding"), "ONBOARDING");
        terminal.wrangler(&["deploy"]).await;
        terminal.wrangler(&["deploy"]).await;
        let params = r#"{"userId":"user_1","email":"ada@example.com","plan":"free"}"#;
        let started = server.fetch("my-app-onboarding", Method::POST, "/trigger", params).await.ok();
        assert_eq!(started["status"], "started");
        terminal.wrangler(&["workflows", "instances", "terminate", "onboarding-workflow", "latest"]).await;
        terminal.assert("onboarding");
    }

    pub async fn a_worker_with_everything_is_deployed_to_two_environments(release: Release) {
        let server = Server::serve().await;
        let mut terminal = Terminal::open(release, &server).await;
        terminal.enter(&Project::copy_of("tests/wrangler/stock"), "STOCK");
        terminal.wrangler(&["deploy"]).await;
        terminal.enter(&Project::copy_of("tests/wrangler/shop"), "SHOP");
        terminal.wrangler(&["deploy", "--var", "EXTRA:kept"]).await;
        terminal.wrangler(&["deploy", "--env", "staging", "--dry-run"]).await;
        terminal.wrangler(&["deploy", "--env", "staging"]).await;
        terminal.fetch(&server, "shop", "/").await;
        terminal.fetch(&server, "shop-staging", "/").await;
        terminal.wrangler_given(&["secret", "put", "API_KEY"], "a secret").await;
        terminal.wrangler(&["deploy", "--var", "CURRENCY:CHF", "--keep-vars"]).await;
        terminal.fetch(&server, "shop", "/").await;
        terminal.wrangler(&["workflows", "trigger", "checkout", r#"{"item":"tea"}"#]).await;
        server.ended("checkout", &terminal.newest_instance(&server, "checkout").await).await;
        terminal.wrangler(&["workflows", "instances", "describe", "checkout", "latest"]).await;
        terminal.wrangler(&["workflows", "trigger", "refund"]).await;
        let failed = server.ended("refund", &terminal.newest_instance(&server, "refund").await).await;
        terminal
            .note(&format!("the stack of refund's error:\n{}", failed["error"]["stack"].as_str().expect("a stack")));
        terminal.assert("shop");
    }
}

/// A Worker of one module that answers, with more configuration.
fn configured(more: Json) -> Project {
    Project::configured("odd", &[], more, "export default { fetch: () => new Response('answers') };")
}

#[tokio::test]
async fn what_this_server_does_not_have_is_refused_by_name() {
    let server = Server::serve().await;
    let mut terminal = Terminal::open(Release::Newest, &server).await;
    for (name, more) in [
        ("WITH KV", json!({ "kv_namespaces": [{ "binding": "KV", "id": "0123456789abcdef0123456789abcdef" }] })),
        ("WITH R2", json!({ "r2_buckets": [{ "binding": "BUCKET", "bucket_name": "photos" }] })),
        ("WITH A QUEUE", json!({ "queues": { "producers": [{ "binding": "JOBS", "queue": "jobs" }] } })),
        ("WITH AN ENTRYPOINT", json!({ "services": [{ "binding": "API", "service": "api", "entrypoint": "Admin" }] })),
        ("WITH CRONS", json!({ "triggers": { "crons": ["0 * * * *"] } })),
    ] {
        terminal.enter(&configured(more), name);
        terminal.wrangler(&["deploy"]).await;
    }
    terminal.assert("refused");
}

#[tokio::test]
async fn a_workflow_that_is_declared_by_its_class_is_deployed_with_its_settings() {
    let server = Server::serve().await;
    let mut terminal = Terminal::open(Release::Newest, &server).await;
    let source =
        include_str!("workers/shop.js").replace("new Response('open')", "Response.json(Object.keys(ctx.exports))");
    let source = source.replace("fetch: ()", "fetch: (request, env, ctx)");
    let exports = json!({
        "Checkout": { "type": "workflow", "name": "checkout", "limits": { "steps": 50 }, "concurrency": { "limit": 3 },
            "schedules": "0 1 * * *", "default_retention": { "success_retention": "1 day" } },
    });
    let project = Project::configured(
        "declared",
        &[],
        json!({ "exports": exports, "compatibility_date": "2026-01-01" }),
        &source,
    );
    terminal.enter(&project, "DECLARED");
    terminal.wrangler(&["deploy"]).await;
    terminal.wrangler(&["workflows", "describe", "checkout", "--json"]).await;
    terminal.wrangler(&["workflows", "trigger", "checkout", "{}", "--id", "one"]).await;
    assert_eq!(server.output("checkout", "one").await, "nothing shipped");
    terminal.assert("declared");
}
