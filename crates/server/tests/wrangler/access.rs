//! Tokens that may do some things, and then none.

use crate::on_every_release;

on_every_release!(a_token_does_what_its_scopes_say_until_it_is_revoked);

mod tell {
    use hyper::Method;
    use serde_json::json;

    use crate::release::Release;
    use crate::support::{Project, Server};
    use crate::terminal::Terminal;

    const SOURCE: &str = include_str!("workers/shop.js");

    pub async fn a_token_does_what_its_scopes_say_until_it_is_revoked(release: Release) {
        let server = Server::serve().await;
        server.deploy("shop", &["Checkout"], SOURCE).await.ok();
        let new = json!({ "name": "of a reader", "scopes": ["metadata"] }).to_string();
        let made = server.api(Method::POST, "tokens", new).await.ok()["result"].clone();
        let (id, token) = (made["id"].as_str().expect("an id"), made["value"].as_str().expect("a token"));

        let mut terminal = Terminal::open_with(release, &server, token.to_owned()).await;
        terminal.enter(&Project::worker("shop", &["Checkout", "Refund"], SOURCE), "SHOP");
        terminal.wrangler(&["workflows", "list"]).await;
        terminal.wrangler(&["workflows", "trigger", "Checkout"]).await;
        terminal.wrangler(&["workflows", "instances", "list", "Checkout"]).await;
        terminal.wrangler(&["deploy"]).await;
        terminal.wrangler_given(&["secret", "put", "KEY"], "unseen").await;
        terminal.wrangler(&["workflows", "list"]).await;
        server.api(Method::DELETE, &format!("tokens/{id}"), "").await.ok();
        terminal.wrangler(&["workflows", "list"]).await;
        terminal.fetch(&server, "shop", "/").await;
        terminal.assert("access");
    }
}
