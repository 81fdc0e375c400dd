//! Secrets of a Worker, set before and after its first deploy, at once and with a version.

use crate::on_every_release;

on_every_release!(secrets_are_set_listed_and_removed_and_survive_a_deploy);

mod tell {
    use crate::release::Release;
    use crate::support::{Project, Server};
    use crate::terminal::Terminal;

    /// A Worker that tells its secrets.
    fn project() -> Project {
        let source =
            "export default { fetch: (_, env) => Response.json([env.KEY, env.ONE, env.TWO].map((it) => it ?? null)) };";
        Project::configured("vault", &[], serde_json::json!({}), source)
    }

    pub async fn secrets_are_set_listed_and_removed_and_survive_a_deploy(release: Release) {
        let server = Server::serve().await;
        let mut terminal = Terminal::open(release, &server).await;
        let project = project();
        terminal.enter(&project, "VAULT");
        terminal.wrangler_given(&["secret", "put", "KEY"], "early").await;
        terminal.wrangler(&["deploy"]).await;
        terminal.fetch(&server, "vault", "/").await;
        terminal.wrangler_given(&["secret", "put", "KEY"], "late").await;
        terminal.wrangler_given(&["secret", "bulk"], r#"{"ONE":"1","TWO":"2"}"#).await;
        terminal.wrangler(&["secret", "list"]).await;
        terminal.wrangler(&["secret", "delete", "ONE"]).await;
        terminal.wrangler(&["deploy"]).await;
        terminal.fetch(&server, "vault", "/").await;
        terminal.wrangler_given(&["versions", "secret", "put", "KEY", "--message", "rotated"], "of a version").await;
        terminal.fetch(&server, "vault", "/").await;
        terminal.wrangler_given(&["versions", "secret", "bulk"], r#"{"ONE":"of a version"}"#).await;
        terminal.wrangler(&["versions", "secret", "delete", "TWO"]).await;
        terminal.fetch(&server, "vault", "/").await;
        let version = terminal.newest_version(&server, "vault").await;
        terminal.wrangler(&["versions", "deploy", &version, "--yes"]).await;
        terminal.fetch(&server, "vault", "/").await;
        terminal.wrangler(&["versions", "secret", "list"]).await;
        terminal.assert("secrets");
    }
}
