//! Instances of workflows, from their creation to their end.

use crate::on_every_release;

on_every_release!(instances_are_triggered_listed_and_led_to_their_end);

mod tell {
    use crate::release::Release;
    use crate::support::{Project, Server};
    use crate::terminal::Terminal;

    pub async fn instances_are_triggered_listed_and_led_to_their_end(release: Release) {
        let server = Server::serve().await;
        let mut terminal = Terminal::open(release, &server).await;
        terminal.enter(&Project::copy_of("tests/wrangler/stock"), "STOCK");
        terminal.wrangler(&["deploy"]).await;
        terminal.enter(&Project::copy_of("tests/wrangler/shop"), "SHOP");
        terminal.wrangler(&["deploy"]).await;
        terminal.wrangler(&["workflows", "trigger", "checkout", r#"{"item":"tea"}"#]).await;
        server.ended("checkout", &latest(&server, "checkout").await).await;
        let params = r#"{"item":"salt","waits":true}"#;
        if release > Release::V3 {
            terminal.wrangler(&["workflows", "trigger", "checkout", params, "--id", "order-1"]).await;
        } else {
            server.create_as("checkout", "order-1", serde_json::from_str(params).expect("JSON")).await;
        }
        server.until_status("checkout", "order-1", "waiting").await;
        terminal.wrangler(&["workflows", "instances", "list", "checkout"]).await;
        terminal.wrangler(&["workflows", "instances", "list", "checkout", "--status", "complete", "--reverse"]).await;
        terminal.wrangler(&["workflows", "instances", "list", "checkout", "--per-page", "1", "--page", "2"]).await;
        terminal.wrangler(&["workflows", "instances", "describe", "checkout", "order-1"]).await;
        terminal.wrangler(&["workflows", "instances", "pause", "checkout", "order-1"]).await;
        server.until_status("checkout", "order-1", "paused").await;
        terminal.wrangler(&["workflows", "instances", "resume", "checkout", "latest"]).await;
        if release > Release::V3 {
            server.until_status("checkout", "order-1", "waiting").await;
            let event = ["--type", "paid", "--payload", r#"{"cents":5}"#];
            terminal
                .wrangler(&[&["workflows", "instances", "send-event", "checkout", "order-1"], &event[..]].concat())
                .await;
            server.ended("checkout", "order-1").await;
        } else {
            server.send_event("checkout", "order-1", "paid", serde_json::json!({ "cents": 5 })).await.ok();
            server.ended("checkout", "order-1").await;
        }
        terminal
            .wrangler(&["workflows", "instances", "describe", "checkout", "latest", "--truncate-output-limit", "5"])
            .await;
        terminal.assert("instances");
    }

    async fn latest(server: &Server, workflow: &str) -> String {
        let path = format!("workflows/{workflow}/instances?per_page=1");
        let listed = server.api(hyper::Method::GET, &path, "").await.ok();
        listed["result"][0]["id"].as_str().expect("an id").to_owned()
    }
}
