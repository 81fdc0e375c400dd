//! Versions of a Worker and which of them is deployed.

use crate::on_every_release;

on_every_release!(a_version_is_uploaded_deployed_and_rolled_back);

mod tell {
    use crate::release::Release;
    use crate::support::{Project, Server};
    use crate::terminal::Terminal;

    /// A Worker that says which version it is.
    fn project() -> Project {
        let source = "export default { fetch: (_, env) => new Response(env.EDITION) };";
        Project::configured("shelf", &[], serde_json::json!({ "vars": { "EDITION": "first" } }), source)
    }

    pub async fn a_version_is_uploaded_deployed_and_rolled_back(release: Release) {
        let server = Server::serve().await;
        let mut terminal = Terminal::open(release, &server).await;
        let project = project();
        terminal.enter(&project, "SHELF");
        terminal.wrangler(&["versions", "upload"]).await;
        terminal.wrangler(&["deploy"]).await;
        project.change("wrangler.json", "first", "second");
        terminal.wrangler(&["versions", "upload", "--message", "the second", "--tag", "v2"]).await;
        terminal.fetch(&server, "shelf", "/").await;
        let second = terminal.newest_version(&server, "shelf").await;
        terminal.wrangler(&["versions", "list"]).await;
        terminal.wrangler(&["versions", "view", &second]).await;
        terminal
            .wrangler(&["versions", "deploy", &format!("{second}@100%"), "--message", "out with it", "--yes"])
            .await;
        terminal.fetch(&server, "shelf", "/").await;
        terminal.wrangler(&["deployments", "list"]).await;
        terminal.wrangler(&["rollback", "--message", "too early", "--yes"]).await;
        terminal.fetch(&server, "shelf", "/").await;
        terminal.wrangler(&["deployments", "status"]).await;
        terminal.wrangler(&["rollback", &second, "--yes"]).await;
        terminal.fetch(&server, "shelf", "/").await;
        terminal.assert("versions");
    }
}
