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

const VERSION: &str = "import { version } from './lib/version.js';
export default { fetch: () => Response.json(version) };";

fn version(text: &str) -> String {
    format!("export const version = {text:?};")
}

/// A project whose code is in `src`.
fn in_src() -> Project {
    let config = json!({ "name": "app", "main": "src/index.js", "compatibility_date": "2025-06-01" });
    let project = Project::new(&[("wrangler.json", &config.to_string())]);
    project.write("src/index.js", VERSION);
    project.write("src/lib/version.js", &version("first"));
    project
}

#[tokio::test]
async fn changes_are_seen_in_a_directory_that_replaces_a_watched_one() {
    let project = in_src();
    let server = Server::dev(&[&project]).await;
    for turn in 0..3 {
        std::fs::remove_dir_all(project.file("src")).expect("a directory");
        project.write("src/index.js", VERSION);
        project.write("src/lib/version.js", &version(&format!("replaced {turn}")));
        server.answers_at("/", json!(format!("replaced {turn}"))).await;
        project.write("src/lib/version.js", &version(&format!("edited {turn}")));
        server.answers_at("/", json!(format!("edited {turn}"))).await;
    }
    // What is missing for a while is an error, and seen when it is there again.
    std::fs::remove_dir_all(project.file("src/lib")).expect("a directory");
    server.says("the code deployed before goes on running").await;
    project.write("src/lib/version.js", &version("back"));
    server.answers_at("/", json!("back")).await;
}

#[tokio::test]
async fn changes_are_seen_in_a_directory_that_was_moved_away_and_back() {
    let project = in_src();
    let server = Server::dev(&[&project]).await;
    for (turn, moved) in ["src", "src/lib", ""].into_iter().enumerate() {
        let (from, to) = (project.file(moved), project.path().with_extension("away"));
        std::fs::rename(&from, &to).expect("moved");
        std::fs::rename(&to, &from).expect("moved back");
        project.write("src/lib/version.js", &version(&format!("turn {turn}")));
        server.answers_at("/", json!(format!("turn {turn}"))).await;
    }
}

#[tokio::test]
async fn a_configuration_that_is_preferred_to_the_one_in_use_is_taken_when_it_appears() {
    let project = Project::new(&[
        (
            "wrangler.toml",
            "name = \"app\"\nmain = \"index.js\"\ncompatibility_date = \"2025-06-01\"\nvars.KEY = \"toml\"\n",
        ),
        ("index.js", "export default { fetch: (_, env) => Response.json(env.KEY) };"),
    ]);
    let server = Server::dev(&[&project]).await;
    let config =
        json!({ "name": "app", "main": "index.js", "compatibility_date": "2025-06-01", "vars": { "KEY": "json" } });
    project.write("wrangler.json", &config.to_string());
    server.answers_at("/", json!("json")).await;
}

#[tokio::test]
async fn a_change_of_the_typescript_configuration_is_seen() {
    let paths = |target: &str| json!({ "compilerOptions": { "paths": { "#version": [target] } } }).to_string();
    let project = in_src();
    project.write("src/index.js", &VERSION.replace("./lib/version.js", "#version"));
    project.write("src/lib/other.js", &version("other"));
    project.write("tsconfig.json", &json!({ "extends": "./tsconfig.base.json" }).to_string());
    project.write("tsconfig.base.json", &paths("./src/lib/version.js"));
    let server = Server::dev(&[&project]).await;
    assert_eq!(server.get("app", "/").await, "first");
    project.write("tsconfig.base.json", &paths("./src/lib/other.js"));
    server.answers_at("/", json!("other")).await;
    project.write("src/tsconfig.json", &paths("./lib/version.js"));
    server.answers_at("/", json!("first")).await;
}

#[tokio::test]
async fn a_deploy_that_fails_for_no_fault_of_its_project_is_tried_again() {
    let project = in_src();
    let server = Server::dev(&[&project]).await;
    // Another program that holds the database has the effect of a full disk.
    let held = rusqlite::Connection::open(server.state().join("stepwell.db")).expect("the database");
    held.execute_batch("BEGIN IMMEDIATE").expect("held");
    project.write("src/lib/version.js", &version("new"));
    server.says("this is tried again by itself").await;
    assert_eq!(server.get("app", "/").await, "first");
    held.execute_batch("ROLLBACK").expect("given up");
    server.answers_at("/", json!("new")).await;
    server.prints("deployed app").await;
}
