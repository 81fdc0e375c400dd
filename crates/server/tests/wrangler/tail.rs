//! A Worker's requests, console lines and workflow runs, as they happen.

use crate::on_every_release;

on_every_release!(a_worker_is_tailed);

mod tell {
    use hyper::Method;

    use crate::release::Release;
    use crate::support::Server;
    use crate::terminal::Terminal;

    const SOURCE: &str = include_str!("workers/talker.js");
    const READY: &str = "Connected to talker";

    pub async fn a_worker_is_tailed(release: Release) {
        let server = Server::serve().await;
        server.deploy("talker", &["Talk"], SOURCE).await.ok();
        let mut terminal = Terminal::open(release, &server).await;
        let ask = async |method, path| drop(server.fetch("talker", method, path, "").await);

        let pretty = ["tail", "talker", "--format", "pretty"];
        let gets = [&pretty[..], &["--method", "GET", "--search", "seen"]].concat();
        let both = async || {
            ask(Method::POST, "/not-shown").await;
            ask(Method::GET, "/?a=1").await;
        };
        terminal.wrangler_during(&gets, READY, both, "(warn)").await;

        let errors = [&pretty[..], &["--status", "error"]].concat();
        let good_and_bad = async || {
            ask(Method::GET, "/").await;
            ask(Method::GET, "/throw").await;
        };
        terminal.wrangler_during(&errors, READY, good_and_bad, "Exception Thrown").await;

        let run =
            async || drop(server.api(Method::POST, "workflows/Talk/instances", r#"{"instance_id":"one"}"#).await.ok());
        terminal.wrangler_during(&pretty, READY, run, "in a step").await;

        let throwing = async || ask(Method::GET, "/throw").await;
        let json = ["tail", "talker", "--format", "json", "--status", "error"];
        terminal.wrangler_until(&json, throwing, "\n}\n").await;
        terminal.assert("tail");
    }
}
