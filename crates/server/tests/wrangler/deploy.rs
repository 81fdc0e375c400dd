//! Deploying, from the first upload to the end of the Worker.

use crate::on_every_release;

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
        terminal.wrangler(&["deploy", "--env", "", "--keep-vars"]).await;
        terminal.wrangler(&["deploy", "--env", "staging", "--dry-run"]).await;
        terminal.wrangler(&["deploy", "--env", "staging"]).await;
        terminal.fetch(&server, "shop", "/").await;
        terminal.fetch(&server, "shop-staging", "/").await;
        terminal.wrangler(&["deploy", "--env", "", "--var", "CURRENCY:CHF", "--name", "shop"]).await;
        terminal.fetch(&server, "shop", "/").await;
        terminal.wrangler(&["workflows", "list"]).await;
        terminal.assert("shop");
    }
}
