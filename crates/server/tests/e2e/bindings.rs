//! What Workers find in `env`: databases, other Workers, other Workers' workflows, vars and secrets.

use hyper::Method;
use serde_json::json;

use crate::support::{Launch, Project, Server};

const STORE: &str = "import { WorkflowEntrypoint } from 'cloudflare:workers';
export class Orders extends WorkflowEntrypoint {
    async run({ payload }, step) {
        await step.do('create', async () => {
            await this.env.DB.exec('CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT)');
        });
        const ids = await step.do('insert', async () => {
            const insert = this.env.DB.prepare('INSERT INTO orders (item) VALUES (?)');
            const results = await this.env.DB.batch(payload.items.map((item) => insert.bind(item)));
            return results.map((result) => result.meta.last_row_id);
        });
        const first = await step.do('read', async () =>
            this.env.DB.prepare('SELECT item FROM orders WHERE id = ?').bind(ids[0]).first('item'));
        return { ids, first };
    }
}
export default { fetch: () => new Response('store') };";

const REPORT: &str = "export default { async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === '/fail') {
        try {
            await env.DB.batch([env.DB.prepare(\"INSERT INTO orders (item) VALUES ('x')\"), env.DB.prepare('SELECT * FROM nowhere')]);
        } catch (error) {
            return Response.json(error.message);
        }
    }
    const { results } = await env.DB.prepare('SELECT * FROM orders ORDER BY id').all();
    return Response.json({ results, raw: await env.DB.prepare('SELECT item FROM orders ORDER BY id').raw() });
} };";

fn database(id: &str) -> serde_json::Value {
    json!({ "d1_databases": [{ "binding": "DB", "database_name": "any", "database_id": id }] })
}

#[tokio::test]
async fn workers_that_name_the_same_database_share_it() {
    let store = Project::configured("store", &["Orders"], database("shop"), STORE);
    let report = Project::configured("report", &[], database("shop"), REPORT);
    let other = Project::configured("other", &[], database("elsewhere"), REPORT);
    let server = Server::dev(&[&store, &report, &other]).await;
    let output = server.run("Orders", json!({ "items": ["pen", "ink"] })).await;
    assert_eq!(output, json!({ "ids": [1, 2], "first": "pen" }));
    let expected = json!({
        "results": [{ "id": 1, "item": "pen" }, { "id": 2, "item": "ink" }], "raw": [["pen"], ["ink"]],
    });
    assert_eq!(server.get("report", "/").await, expected);
    assert_eq!(server.get("report", "/fail").await, "D1_ERROR: no such table: nowhere: SQLITE_ERROR");
    assert_eq!(server.get("report", "/").await, expected, "a batch that fails changes nothing");
    assert_eq!(server.fetch("other", Method::GET, "/", "").await.status, 500, "another database has no such table");
}

#[tokio::test]
async fn a_service_binding_passes_method_path_headers_and_body() {
    let callee = "export default { async fetch(request) {
        const { pathname, host } = new URL(request.url);
        return Response.json({ method: request.method, pathname, host, tag: request.headers.get('x-tag'), body: await request.text() },
            { status: 418, headers: { 'x-answer': 'yes' } });
    } };";
    let caller = "export default { async fetch(request, env) {
        const answer = await env.OTHER.fetch('https://internal/a/b?c', { method: 'PUT', body: 'text', headers: { 'x-tag': '7' } });
        return Response.json({ status: answer.status, header: answer.headers.get('x-answer'), body: await answer.json() });
    } };";
    let services = json!({ "services": [{ "binding": "OTHER", "service": "callee" }] });
    let callee = Project::configured("callee", &[], json!({}), callee);
    let caller = Project::configured("caller", &[], services, caller);
    let server = Server::dev(&[&caller, &callee]).await;
    let body = json!({ "method": "PUT", "pathname": "/a/b", "host": "internal", "tag": "7", "body": "text" });
    assert_eq!(server.get("caller", "/").await, json!({ "status": 418, "header": "yes", "body": body }));
}

#[tokio::test]
async fn a_workflow_of_another_script_is_bound_by_script_name() {
    let caller = "export default { async fetch(request, env) {
        const { id } = await env.FAR.create({ params: { from: 'caller' } });
        return Response.json(id);
    } };";
    let flow = "import { WorkflowEntrypoint } from 'cloudflare:workers';
        export class Far extends WorkflowEntrypoint { async run({ payload, workflowName }) { return { payload, workflowName }; } }";
    let far = json!([{ "name": "Far", "binding": "FAR", "class_name": "Far", "script_name": "owner" }]);
    let owner = Project::worker("owner", &["Far"], flow);
    let caller = Project::configured("caller", &[], json!({ "workflows": far }), caller);
    let server = Server::dev(&[&owner, &caller]).await;
    let id = server.get("caller", "/").await;
    let output = server.output("Far", id.as_str().expect("an id")).await;
    assert_eq!(output, json!({ "payload": { "from": "caller" }, "workflowName": "Far" }));
}

const ENV: &str = "import { WorkflowEntrypoint, env as imported } from 'cloudflare:workers';
    export class Env extends WorkflowEntrypoint { async run(event, step) {
        return await step.do('look', async () => ({ text: this.env.TEXT, json: this.env.JSON, secret: this.env.SECRET, imported: imported.TEXT }));
    } }";

#[tokio::test]
async fn vars_and_local_secrets_are_in_env() {
    let vars = json!({ "vars": { "TEXT": "text", "JSON": { "a": [1, true] }, "SECRET": "hidden by the secret" } });
    let project = Project::configured("app", &["Env"], vars, ENV);
    project.write(".dev.vars", "SECRET=\"s3cret value\"\n");
    let server = Server::dev(&[&project]).await;
    let expected = json!({ "text": "text", "json": { "a": [1, true] }, "secret": "s3cret value", "imported": "text" });
    assert_eq!(server.run("Env", json!({})).await, expected);
}

#[tokio::test]
async fn a_secret_never_touches_the_disk_in_clear() {
    let source = "export default { fetch: (request, env) => Response.json(env.SECRET) };";
    let project = Project::configured("app", &[], json!({}), source);
    project.write(".dev.vars", "SECRET=\"s3cret value\"\n");
    let server = Server::dev(&[&project]).await;
    assert_eq!(server.get("app", "/").await, "s3cret value");
    let found = std::process::Command::new("grep").args(["-rl", "s3cret value"]).arg(server.state()).output();
    let found = String::from_utf8(found.expect("grep runs").stdout).expect("paths");
    assert_eq!(found, "");
}

#[tokio::test]
async fn a_named_environment_has_its_own_vars() {
    let own = json!([{ "name": "Env", "binding": "Env", "class_name": "Env" }]);
    let config =
        json!({ "vars": { "TEXT": "top" }, "env": { "staging": { "vars": { "TEXT": "staging" }, "workflows": own } } });
    let project = Project::configured("app", &["Env"], config, ENV);
    let server = Launch::dev(&[&project]).arg("--env").arg("staging").start().await;
    assert_eq!(server.run("Env", json!({})).await["text"], "staging");
}

#[tokio::test]
async fn an_old_compatibility_date_has_bindings_that_work() {
    let source = "import { WorkflowEntrypoint } from 'cloudflare:workers';
        export class Old extends WorkflowEntrypoint {
            async run(event, step) { return await step.do('count', async () => (await this.env.DB.prepare('SELECT 1 AS n').first()).n); }
        }
        export default { async fetch(request, env) {
            const instance = await env.Old.create();
            return Response.json({ id: instance.id, kind: typeof (await instance.status()).status });
        } };";
    let mut more = database("old");
    more["compatibility_date"] = json!("2022-03-21");
    let server = Server::dev(&[&Project::configured("old", &["Old"], more, source)]).await;
    let created = server.get("old", "/").await;
    assert_eq!(created["kind"], "string");
    assert_eq!(server.output("Old", created["id"].as_str().expect("an id")).await, 1);
}

#[tokio::test]
async fn node_modules_work_with_the_flag() {
    let source = "import { WorkflowEntrypoint } from 'cloudflare:workers';
        import { createHash } from 'node:crypto';
        import { Buffer } from 'node:buffer';
        export class Node extends WorkflowEntrypoint {
            async run() { return [createHash('md5').update('a').digest('hex'), Buffer.from('a').toString('base64')]; }
        }";
    let more = json!({ "compatibility_flags": ["nodejs_compat"] });
    let server = Server::dev(&[&Project::configured("node", &["Node"], more, source)]).await;
    assert_eq!(server.run("Node", json!({})).await, json!(["0cc175b9c0f1b6a831c399e269772661", "YQ=="]));
}

#[tokio::test]
async fn what_is_bound_and_not_there_says_so() {
    let source = "const told = async (action) => { try { return (await action()) ?? null; } catch (error) { return error.message; } };
        export default { async fetch(request, env) {
            const called = async () => { const answer = await env.OTHER.fetch('https://x/'); return `${answer.status} ${await answer.text()}`; };
            return Response.json([await told(called), await told(() => env.FAR.create()), await told(() => env.FAR.get('x'))]);
        } };";
    let far = json!([{ "name": "Far", "binding": "FAR", "class_name": "Far", "script_name": "owner" }]);
    let more = json!({ "services": [{ "binding": "OTHER", "service": "nobody" }], "workflows": far });
    let server = Server::dev(&[&Project::configured("app", &[], more, source)]).await;
    insta::assert_json_snapshot!(server.get("app", "/").await);
}
