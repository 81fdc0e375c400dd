//! Stacks of errors lead to the lines of TypeScript that threw, whatever registry workerd uses, and after a deploy over HTTP.

use hyper::Method;
use serde_json::json;

use crate::support::{Launch, Project, Server};

const INDEX: &str = "import { WorkflowEntrypoint, WorkflowStep } from 'cloudflare:workers';
import { deep } from './lib/deep';
type Params = { a: number };

export class Throws extends WorkflowEntrypoint<unknown, Params> {
    async run(event: { payload: Params }, step: WorkflowStep) {
        const config = { retries: { limit: 0, delay: 1 } };
        await step.do('deep', config, async () => deep(event.payload)).catch(() => {});
        throw new TypeError('at the\\n    at top (index.js:1:1)');
    }
}
export default { fetch: () => new Response('') };";

const DEEP: &str = "interface Unused {
    b: string;
}

export function deep(x: { a: number }): never {
    throw new Error(`deep ${x.a}`);
}";

async fn check(flags: &[&str]) {
    let config = json!({ "compatibility_flags": flags, "main": "src/index.ts" });
    let project = Project::configured("throws", &["Throws"], config, "");
    project.write("src/index.ts", INDEX);
    project.write("src/lib/deep.ts", DEEP);
    let server = Server::dev(&[&project]).await;
    let id = server.create("Throws", json!({ "a": 1 })).await;
    let detail = server.ended("Throws", &id).await;
    let stack = "TypeError: at the\n    at top (index.js:1:1)\n    at Throws.run (src/index.ts:9:15)";
    assert_eq!(detail["error"]["stack"], stack, "{detail}");
    let step = "Error: deep 1\n    at deep (src/lib/deep.ts:6:11)\n    at src/index.ts:8:51";
    assert_eq!(detail["steps"][0]["attempts"][0]["error"]["stack"], step, "{detail}");
    let told = server.cli(&["workflows", "instances", "describe", "Throws", &id]).await;
    assert!(told.contains("at Throws.run (src/index.ts:9:15)") && !told.contains("shim"), "{told}");
}

#[tokio::test]
async fn a_throw_in_typescript_is_shown_with_its_file_and_line() {
    check(&[]).await;
}

#[tokio::test]
async fn the_newer_module_registry_gives_the_same_stacks() {
    check(&["new_module_registry"]).await;
}

#[tokio::test]
async fn a_throw_while_code_loads_is_shown_with_its_file_and_line() {
    let project = Project::configured("loads", &[], json!({ "main": "src/index.ts" }), "");
    let must = "interface Unused {\n    a: string;\n}\nexport function must(name: string): string {\n    throw new Error(`no ${name}`);\n}";
    project.write("src/cfg.ts", must);
    let index = "import { must } from './cfg';\ntype Key = string;\nconst key: Key = must('KEY');\nexport default { fetch: () => new Response(key) };";
    project.write("src/index.ts", index);
    let expected = "Uncaught Error: no KEY\n  at src/cfg.ts:5:11 in must\n  at src/index.ts:3:18\n";
    let told = Launch::dev(&[&project]).refused().await.message(&[]);
    assert!(told.contains(expected), "{told}");
    let told = Server::serve().await.cli_fails(&["deploy", &project.path().display().to_string()]).await;
    assert!(told.contains(expected.trim_end()), "{told}");
}

#[tokio::test]
async fn what_a_fetch_handler_throws_is_in_the_log_of_dev_with_its_stack() {
    let project = Project::configured("fetches", &[], json!({ "main": "src/index.ts" }), "");
    let index = "type What = string;\nfunction deep(what: What): never {\n    throw new RangeError(`in ${what}`);\n}\nexport default { fetch: async () => deep('handler') };";
    project.write("src/index.ts", index);
    let server = Server::dev(&[&project]).await;
    assert_eq!(server.fetch("fetches", Method::GET, "/a?b", "").await.status, 500);
    server.says("/a?b of fetches: RangeError: in handler\n    at deep (src/index.ts:3:11)\n").await;
}
