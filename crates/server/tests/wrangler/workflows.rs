//! Workflows: what there is, and their end.

use crate::on_every_release;

on_every_release!(workflows_are_listed_described_and_deleted);

mod tell {
    use crate::release::Release;
    use crate::support::Server;
    use crate::terminal::Terminal;

    pub async fn workflows_are_listed_described_and_deleted(release: Release) {
        let server = Server::serve().await;
        server.deploy("shop", &["Checkout", "Refund"], include_str!("workers/shop.js")).await.ok();
        let mut terminal = Terminal::open(release, &server).await;
        terminal.wrangler(&["workflows", "list", "--page", "2", "--per-page", "1"]).await;
        terminal.wrangler(&["workflows", "describe", "Checkout"]).await;
        terminal.wrangler(&["workflows", "describe", "Nothing"]).await;
        if release > Release::V3 {
            terminal.wrangler(&["workflows", "delete", "Refund"]).await;
        }
        terminal.wrangler(&["workflows", "list"]).await;
        terminal.assert("workflows");
    }
}
