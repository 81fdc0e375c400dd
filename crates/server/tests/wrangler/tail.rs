//! A Worker's console and requests, as they happen.

use crate::on_every_release;

on_every_release!(a_worker_is_tailed);

mod tell {
    use serde_json::{Value as Json, json};

    use crate::release::Release;
    use crate::support::Server;
    use crate::terminal::Terminal;

    const SOURCE: &str = "export default { fetch: () => { console.warn('seen', 1); return new Response('heard'); } };";

    pub async fn a_worker_is_tailed(release: Release) {
        let server = Server::serve().await;
        server.deploy("talker", &[], SOURCE).await.ok();
        let terminal = Terminal::open(release, &server).await;
        let ask = async || drop(server.fetch("talker", hyper::Method::GET, "/?a=1", "").await);
        let tail = ["tail", "talker", "--format", "pretty", "--method", "GET"];
        let (line, exchanges) = terminal.wrangler_until(&tail, "seen", &ask).await;
        assert!(line.contains("(warn)") && line.contains('1'), "{line}");
        let begun = &exchanges[0];
        assert_eq!((begun.method.as_str(), begun.path.as_str()), ("POST", "/workers/scripts/talker/tails"));
        let filters: Json = serde_json::from_str(begun.body.as_deref().expect("filters")).expect("JSON");
        assert_eq!(filters["filters"], json!([{ "method": ["GET"] }]));
    }
}
