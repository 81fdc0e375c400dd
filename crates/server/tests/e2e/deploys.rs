//! Deploying: `dev` on changes of files, `serve` by uploads, and what instances under way run on.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Launch, Project, Server, eventually};

/// A Worker whose code says which it is.
const SOURCE: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
import { version } from './version.js';
export class Flow extends WorkflowEntrypoint {
    async run(event, step) {
        const before = await step.do('before', async () => version);
        const event_ = await step.waitForEvent('wait', { type: 'go' });
        const after = await step.do('after', async () => version);
        return { before, after };
    }
}
export class Nap extends WorkflowEntrypoint {
    // Longer than a run that only waits is kept.
    async run(event, step) {
        const before = await step.do('before', async () => version);
        await step.sleep('nap', '7 seconds');
        return { before, after: await step.do('after', async () => version) };
    }
}
export class Stuck extends WorkflowEntrypoint {
    async run(event, step) {
        return await step.do('try', async () => (version === 'old' ? new Promise(() => {}) : version));
    }
}
export default {
    // Slow is longer than a process stays of which nobody wants anything more.
    async fetch(request) {
        if (request.url.endsWith('/slow')) await scheduler.wait(10_000);
        return Response.json(version);
    },
};";

const CLASSES: [&str; 3] = ["Flow", "Nap", "Stuck"];

fn project() -> Project {
    let project = Project::worker("app", &CLASSES, SOURCE);
    project.write("version.js", "export const version = 'old';");
    project
}

/// The same in one module, for uploads.
fn module(version: &str) -> String {
    SOURCE.replace("import { version } from './version.js';", &format!("const version = '{version}';"))
}

impl Server {
    async fn waiting(&self) -> (String, Json) {
        let id = self.create("Flow", json!({})).await;
        let detail = self.until_status("Flow", &id, "waiting").await;
        (id, detail["deployment"].clone())
    }

    async fn finish(&self, id: &str) -> Json {
        self.send_event("Flow", id, "go", json!({})).await.ok();
        self.output("Flow", id).await
    }

    /// Pauses and resumes, so that what goes on does so in a new run.
    async fn finish_in_a_new_run(&self, id: &str) -> Json {
        self.changed("Flow", id, "pause").await;
        self.changed("Flow", id, "resume").await;
        self.finish(id).await
    }

    async fn answers(&self, version: &str) {
        let told = || format!("the code {version:?} answers");
        eventually(told, || async { (self.get("app", "/").await == version).then_some(()) }).await;
    }
}

#[tokio::test]
async fn dev_deploys_again_when_an_imported_file_changes() {
    let project = project();
    let server = Server::dev(&[&project]).await;
    assert_eq!(server.get("app", "/").await, "old");
    project.write("version.js", "export const version = 'new';");
    server.answers("new").await;
    server.prints("deployed app").await;
    assert_eq!(server.get("app", "/").await, "new");
}

#[tokio::test]
async fn in_dev_instances_go_on_with_the_newest_code() {
    let project = project();
    let server = Server::dev(&[&project]).await;
    let (id, _) = server.waiting().await;
    project.write("version.js", "export const version = 'new';");
    server.answers("new").await;
    assert_eq!(server.finish_in_a_new_run(&id).await, json!({ "before": "old", "after": "new" }));
}

#[tokio::test]
async fn in_dev_a_sleeper_wakes_on_the_newest_code() {
    let project = project();
    let server = Server::dev(&[&project]).await;
    let id = server.create("Nap", json!({})).await;
    server.until_status("Nap", &id, "waiting").await;
    project.write("version.js", "export const version = 'new';");
    server.answers("new").await;
    assert_eq!(server.output("Nap", &id).await, json!({ "before": "old", "after": "new" }));
}

#[tokio::test]
async fn dev_starts_again_with_the_code_that_is_on_disk() {
    let (project, state) = (project(), tempfile::tempdir().expect("a temporary directory"));
    let server = Launch::dev(&[&project]).state(state.path()).start().await;
    let id = server.create("Stuck", json!({})).await;
    server.until_status("Stuck", &id, "running").await;
    server.stop();
    project.write("version.js", "export const version = 'new';");
    let server = Launch::dev(&[&project]).state(state.path()).start().await;
    assert_eq!(server.output("Stuck", &id).await, "new");
}

#[tokio::test]
async fn in_serve_a_sleeper_wakes_on_its_own_code() {
    let server = Server::serve().await;
    server.deploy("app", &CLASSES, &module("old")).await.ok();
    let id = server.create("Nap", json!({})).await;
    server.until_status("Nap", &id, "waiting").await;
    server.deploy("app", &CLASSES, &module("new")).await.ok();
    assert_eq!(server.get("app", "/").await, "new");
    assert_eq!(server.output("Nap", &id).await, json!({ "before": "old", "after": "old" }));
}

#[tokio::test]
async fn in_dev_with_pin_instances_keep_their_code() {
    let project = project();
    let server = Launch::dev(&[&project]).arg("--pin").start().await;
    let (old, deployment) = server.waiting().await;
    project.write("version.js", "export const version = 'new';");
    server.answers("new").await;
    assert_eq!(server.finish_in_a_new_run(&old).await, json!({ "before": "old", "after": "old" }));
    assert_eq!(server.instance("Flow", &old).await["deployment"], deployment);
    let (new, _) = server.waiting().await;
    assert_eq!(server.finish(&new).await, json!({ "before": "new", "after": "new" }));
}

#[tokio::test]
async fn a_syntax_error_keeps_the_old_code_running() {
    let project = project();
    let server = Server::dev(&[&project]).await;
    project.write("version.js", "export const version = 'new'\nexport const = 1;");
    server.says("version.js:2:13").await;
    server.says("the code deployed before goes on running").await;
    assert_eq!(server.get("app", "/").await, "old");
    project.write("version.js", "export const version = 'repaired';");
    server.answers("repaired").await;
}

#[tokio::test]
async fn a_worker_that_throws_at_load_keeps_the_old_code_running() {
    let project = project();
    let server = Server::dev(&[&project]).await;
    project.write("version.js", "export const version = 'new';\nthrow new TypeError('not today');");
    server.says("not today").await;
    server.says("the code deployed before goes on running").await;
    assert_eq!(server.get("app", "/").await, "old");
}

#[tokio::test]
async fn a_request_under_way_ends_on_the_code_on_which_it_began() {
    let project = project();
    let server = Server::dev(&[&project]).await;
    assert_eq!(server.get("app", "/").await, "old");
    let change = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        project.write("version.js", "export const version = 'new';");
        server.answers("new").await;
    };
    let (slow, ()) = tokio::join!(server.get("app", "/slow"), change);
    assert_eq!(slow, "old");
}

#[tokio::test]
async fn a_change_of_vars_reaches_the_worker() {
    let source = "export default { fetch: (request, env) => Response.json(env.GREETING) };";
    let project = Project::configured("app", &[], json!({ "vars": { "GREETING": "old" } }), source);
    let server = Server::dev(&[&project]).await;
    assert_eq!(server.get("app", "/").await, "old");
    project.change("wrangler.json", "\"old\"", "\"new\"");
    server.answers("new").await;
}

#[tokio::test]
async fn in_serve_instances_keep_their_code_also_over_a_restart_of_the_server() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let mut server = Launch::serve().state(state.path()).start().await;
    server.deploy("app", &CLASSES, &module("old")).await.ok();
    let (first, _) = server.waiting().await;
    let (second, _) = server.waiting().await;
    server.deploy("app", &CLASSES, &module("new")).await.ok();
    assert_eq!(server.get("app", "/").await, "new");
    assert_eq!(server.finish_in_a_new_run(&first).await, json!({ "before": "old", "after": "old" }));

    let token = server.token.take();
    server.stop();
    let mut server = Launch::serve().state(state.path()).start().await;
    assert_eq!(server.token, None, "a token is shown once");
    server.token = token;
    assert_eq!(server.get("app", "/").await, "new");
    assert_eq!(server.finish(&second).await, json!({ "before": "old", "after": "old" }));
    server.changed("Flow", &second, "restart").await;
    server.until_status("Flow", &second, "waiting").await;
    assert_eq!(server.finish(&second).await, json!({ "before": "new", "after": "new" }));
}

#[tokio::test]
async fn an_upload_that_does_not_load_changes_nothing() {
    let server = Server::serve().await;
    server.deploy("app", &CLASSES, &module("old")).await.ok();
    for (source, text) in [
        ("export default {", "SyntaxError"),
        ("throw new RangeError('at load');", "at load"),
        ("export default { fetch() {} };", "Flow"),
    ] {
        let answer = server.deploy("app", &CLASSES, source).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.refusal().1.contains(text), "{}", answer.text());
    }
    assert_eq!(server.get("app", "/").await, "old");
}

#[tokio::test]
async fn serve_wants_its_token() {
    let mut server = Server::serve().await;
    let token = server.token.take();
    assert!(token.is_some());
    let answer = server.api(Method::GET, "workflows", "").await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    server.token = Some("wrong".to_owned());
    assert_eq!(server.api(Method::GET, "workflows", "").await.status, 401);
    server.token = token;
    server.api(Method::GET, "workflows", "").await.ok();
}

#[tokio::test]
async fn a_waiting_instance_outlives_a_restart_of_dev() {
    let project = project();
    let state = tempfile::tempdir().expect("a temporary directory");
    let server = Launch::dev(&[&project]).state(state.path()).start().await;
    let (id, _) = server.waiting().await;
    server.stop();
    let server = Launch::dev(&[&project]).state(state.path()).start().await;
    assert_eq!(server.status("Flow", &id).await, "waiting");
    assert_eq!(server.finish(&id).await, json!({ "before": "old", "after": "old" }));
}
