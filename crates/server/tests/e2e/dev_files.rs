//! `dev` and the files of its projects: what is seen when they change.

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Project, Server, eventually};

const ENV: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
export class Flow extends WorkflowEntrypoint {
    async run(event, step) {
        return await step.do('look', { retries: { limit: 0, delay: 0 } }, async () => {
            await scheduler.wait(event.payload.ms);
            return this.env.KEY;
        });
    }
}
export default {
    async fetch(request, env) {
        if (new URL(request.url).pathname === '/mail') return fetch('https://mail.example/');
        return Response.json(env.KEY ?? null);
    },
};";

impl Server {
    pub async fn answers_at(&self, path: &str, expected: Json) {
        let told = || format!("{path} answers {expected}:\n{}", self.stderr());
        eventually(told, || async {
            let answer = self.fetch("app", Method::GET, path, "").await;
            (answer.status == 200 && answer.json() == expected).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_changed_local_secret_is_seen_by_what_begins_after_it() {
    let project = Project::worker("app", &["Flow"], ENV);
    project.write(".dev.vars", "KEY=old\n");
    let server = Server::dev(&[&project]).await;
    let id = server.create("Flow", json!({ "ms": 2_000 })).await;
    server.until("Flow", &id, |detail| detail["steps"][0]["name"] == "look-1").await;
    assert_eq!(server.get("app", "/").await, "old");
    project.write(".dev.vars", "KEY=new\n");
    server.answers_at("/", json!("new")).await;
    assert_eq!(server.run("Flow", json!({ "ms": 0 })).await, "new");
    assert_eq!(server.output("Flow", &id).await, "old", "an attempt that may not be repeated ends where it began");
    std::fs::remove_file(project.file(".dev.vars")).expect("a file");
    server.answers_at("/", Json::Null).await;
}

#[tokio::test]
async fn a_local_secret_that_comes_with_code_that_does_not_load_is_not_kept() {
    let source = "import { env } from 'cloudflare:workers';
        if (env.KEY === 'bad') throw new Error('not with this key');
        export default { fetch: () => Response.json(env.KEY) };";
    let project = Project::worker("app", &[], source);
    project.write(".dev.vars", "KEY=good\n");
    let server = Server::dev(&[&project]).await;
    project.write(".dev.vars", "KEY=bad\n");
    server.says("not with this key").await;
    server.says("the code deployed before goes on running").await;
    server.answers_at("/", json!("good")).await;
}

#[tokio::test]
async fn a_changed_outbound_stub_answers_instead_of_the_old_one() {
    let stub = |text: &str| format!("export default {{ fetch: () => Response.json({text:?}) }};");
    let project = Project::worker("app", &["Flow"], ENV);
    for name in ["one", "two"] {
        let config = json!({ "name": name, "main": "index.js", "compatibility_date": "2025-06-01" });
        project.write(&format!("{name}/wrangler.json"), &config.to_string());
        project.write(&format!("{name}/index.js"), &stub(name));
    }
    project.write("stepwell.toml", "[dev.outbound]\n\"mail.example\" = \"./one\"\n");
    let server = Server::dev(&[&project]).await;
    assert_eq!(server.get("app", "/mail").await, "one");
    project.change("stepwell.toml", "./one", "./two");
    server.answers_at("/mail", json!("two")).await;
}
