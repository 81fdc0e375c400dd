//! What user code finds in `env`, seen from both ends.

use serde_json::{Value, json};
use stepwell_runtime::session;
use stepwell_runtime::{Binding, Module, ModuleBody, SecretText, WORKERD_DATE, WorkerSpec, WorkflowExport};

use crate::host::Host;
use crate::setup::{OLD_DATE, bound, get, get_json, spec, start};

fn workflow() -> Vec<Binding> {
    vec![Binding::Workflow { name: "FLOW".to_owned(), workflow: "orders".to_owned() }]
}

/// A fetch handler that answers with the JSON of `expression`, or of the error it throws.
fn answering(expression: &str) -> String {
    format!(
        "const text = (error) => ({{ name: error.name, message: error.message }});
         export default {{ async fetch(request, env) {{
           try {{ return Response.json(await (async () => {{ {expression} }})()); }}
           catch (error) {{ return Response.json(text(error)); }}
         }} }};"
    )
}

#[tokio::test]
async fn variables_secrets_and_modules_of_every_kind_arrive() {
    let mut spec = spec(
        "import text from './note.txt'; import data from './bytes.bin'; import json from './lib/more.json';
         import common from './old.cjs'; import wasm from './empty.wasm'; import { helper } from './lib/a.js';
         export default { fetch: (request, env) => Response.json({ ...env, text, size: data.byteLength, json,
           common: common.answer, wasm: wasm instanceof WebAssembly.Module, helper }) };",
    );
    let add = |name: &str, body| Module { name: name.to_owned(), body };
    spec.modules.extend([
        add("note.txt", ModuleBody::Text("a \"note\"".to_owned())),
        add("bytes.bin", ModuleBody::Data(vec![0, 255, 1])),
        add("lib/more.json", ModuleBody::Json("{\"deep\":[1]}".to_owned())),
        add("old.cjs", ModuleBody::CommonJs("module.exports = { answer: 42 };".to_owned())),
        add("empty.wasm", ModuleBody::Wasm(b"\0asm\x01\0\0\0".to_vec())),
        add("lib/a.js", ModuleBody::EsModule("export { helper } from './b.js';".to_owned())),
        add("lib/b.js", ModuleBody::EsModule("export const helper = 'b';".to_owned())),
    ]);
    spec.bindings = vec![
        Binding::Text { name: "GREETING".to_owned(), text: "hello\n\"world\"".to_owned() },
        Binding::Json { name: "LIMITS".to_owned(), json: "{\"n\":[1,2]}".to_owned() },
        Binding::Secret { name: "KEY".to_owned(), text: SecretText("s3cret".to_owned()) },
    ];
    assert!(!format!("{spec:?}").contains("s3cret"));
    let expected = json!({
        "GREETING": "hello\n\"world\"", "LIMITS": {"n": [1, 2]}, "KEY": "s3cret", "text": "a \"note\"", "size": 3,
        "json": {"deep": [1]}, "common": 42, "wasm": true, "helper": "b",
    });
    assert_eq!(get_json(&start(&spec).await).await, expected);
}

/// The same Worker at the oldest date we care for and at the newest.
async fn check_workflow(expression: &str, expected: impl Fn(&str) -> Value) -> Vec<crate::host::Seen> {
    let mut seen = Vec::new();
    for date in [OLD_DATE, WORKERD_DATE] {
        let host = Host::start();
        let spec =
            WorkerSpec { compatibility_date: date.to_owned(), ..bound(&answering(expression), &host, workflow()) };
        assert_eq!(get_json(&start(&spec).await).await, expected(date), "at {date}");
        seen = host.seen();
    }
    seen
}

#[tokio::test]
async fn a_workflow_is_created_with_exact_params_and_its_handle_knows_the_id() {
    let expression = "const made = await env.FLOW.create({ id: 'one', params: { at: new Date(5) }, retention: { successRetention: '1 day' } });
        return { id: made.id, handle: typeof made.status };";
    let seen = check_workflow(expression, |_| json!({"id": "one", "handle": "function"})).await;
    assert_eq!(seen[0].path, "/workflows/orders/create");
    assert_eq!((&seen[0].service, &seen[0].database), (&None, &None));
    assert_eq!(seen[0].body["retention"], json!({"successRetention": "1 day"}));
    let exact = seen[0].body["params"]["exact"].as_str().unwrap();
    assert!(exact.contains("Date"), "{exact}");
}

#[tokio::test]
async fn plain_params_travel_as_json_alone_and_absent_ones_not_at_all() {
    let expression = "await env.FLOW.create({ params: { n: [1, 'two'] } }); await env.FLOW.create(); return null;";
    let seen = check_workflow(expression, |_| Value::Null).await;
    assert_eq!(seen[0].body, json!({"params": {"json": {"n": [1, "two"]}}}));
    assert_eq!(seen[1].body, json!({}));
}

#[tokio::test]
async fn status_gives_back_the_output_with_its_types() {
    let expression = "const status = await (await env.FLOW.get('one')).status();
        return { status: status.status, error: status.error, date: status.output instanceof Date, at: status.output.getTime() };";
    check_workflow(expression, |_| json!({"status": "complete", "error": null, "date": true, "at": 0})).await;
}

#[tokio::test]
async fn an_error_of_the_server_reaches_user_code_with_its_exact_message() {
    check_workflow("return await env.FLOW.get('absent');", |date| {
        let name = if date == OLD_DATE { "Error" } else { "WorkflowError" };
        json!({"name": name, "message": "(instance.not_found) Instance does not exist"})
    })
    .await;
}

#[tokio::test]
async fn every_call_of_a_handle_reaches_the_server() {
    let expression = "const made = await env.FLOW.get('one');
        await made.pause(); await made.resume(); await made.terminate({ rollback: true });
        await made.restart({ from: { name: 'pay' } }); await made.sendEvent({ type: 'paid', payload: 7 }); await made.delete();
        const array = await env.FLOW.createBatch([{ id: 'a', params: 1 }, { id: 'b' }]);
        const object = await env.FLOW.createBatch({ instances: [{ id: 'c' }] });
        await env.FLOW.createBatch({ count: 2, params: 3 });
        const deleted = await env.FLOW.deleteBatch(['a']);
        const events = await made.subscribe({ filter: ['workflow_queued'] });
        const read = await Promise.all([events.next(), events.next(), events.next()]);
        read[1].value.params = read[1].value.params instanceof Date;
        return { array: array.map((made) => made.id), object: object.created.map((made) => made.id), deleted, read };";
    let seen = check_workflow(expression, |_| {
        json!({
            "array": ["a", "b"], "object": ["c"], "deleted": {"deleted": [{"id": "a"}], "errors": []},
            "read": [
                {"done": false, "value": {"instanceId": "one", "eventId": 7, "type": "workflow_queued"}},
                {"done": false, "value": {"instanceId": "one", "eventId": 8, "type": "workflow_started", "params": true}},
                {"done": true},
            ],
        })
    })
    .await;
    let asked: Vec<String> = seen
        .iter()
        .map(|seen| format!("{} {}", seen.path.trim_start_matches("/workflows/orders/"), seen.body))
        .collect();
    insta::assert_snapshot!(asked.join("\n"), @r#"
    getInstance {"id":"one"}
    pause {"id":"one"}
    resume {"id":"one"}
    terminate {"id":"one","options":{"rollback":true}}
    restart {"id":"one","options":{"from":{"name":"pay"}}}
    sendEvent {"id":"one","payload":{"json":7},"type":"paid"}
    deleteInstance {"id":"one"}
    createBatch {"form":"array","instances":[{"id":"a","params":{"json":1}},{"id":"b"}]}
    createBatch {"form":"object","instances":[{"id":"c"}]}
    createBatch {"count":2,"form":"object","params":{"json":3}}
    deleteBatch {"instances":["a"]}
    subscribe {"id":"one","options":{"filter":["workflow_queued"]}}
    next {"incarnation":5,"options":{"filter":["workflow_queued"]},"reader":3}
    next {"cursor":8,"incarnation":5,"options":{"filter":["workflow_queued"]},"reader":3}
"#);
}

#[tokio::test]
async fn a_workflow_that_is_declared_by_its_class_stands_in_ctx_exports() {
    let source = "import { WorkflowEntrypoint, exports } from 'cloudflare:workers';
        export class Orders extends WorkflowEntrypoint {}
        export default { async fetch(request, env, ctx) {
          const made = await ctx.exports.Orders.create({ id: 'mine', params: new Date(0) });
          const found = await exports.Orders.get('other');
          return Response.json([made.id, found.id, typeof made.status]);
        } };";
    let host = Host::start();
    let exports = vec![WorkflowExport { class: "Orders".to_owned(), workflow: "orders".to_owned() }];
    for date in ["2025-12-01", "2026-11-17"] {
        let compatibility_date = date.to_owned();
        let classes = vec!["Orders".to_owned()];
        let spec =
            WorkerSpec { exports: exports.clone(), classes, compatibility_date, ..bound(source, &host, Vec::new()) };
        assert_eq!(get_json(&start(&spec).await).await, json!(["mine", "other", "function"]), "{date}");
    }
    assert_eq!(host.seen()[0].path, "/workflows/orders/create");
}

#[tokio::test]
async fn what_cannot_be_cloned_is_refused_before_the_server_is_asked() {
    let expression = "return await env.FLOW.create({ params: { symbol: Symbol('s') } });";
    let host = Host::start();
    let answer = get_json(&start(&bound(&answering(expression), &host, workflow())).await).await;
    assert_eq!(answer["name"], "DataCloneError", "{answer}");
    assert!(host.seen().is_empty());
}

#[tokio::test]
async fn a_workflow_can_create_another_from_inside_its_code() {
    let source = "import { WorkflowEntrypoint } from 'cloudflare:workers';
        export class Parent extends WorkflowEntrypoint {
          async run(event, step) {
            return await step.do('create', async () => (await this.env.FLOW.create({ id: 'child-' + event.instanceId })).id);
          }
        }";
    let host = Host::start();
    let spec = WorkerSpec { classes: vec!["Parent".to_owned()], ..bound(source, &host, workflow()) };
    let process = start(&spec).await;
    let (sender, mut receiver) =
        session::connect(process.session_socket().path(), process.session_token()).await.unwrap();
    let settings = json!({
        "steps_max": 100, "preserve_non_retryable": true,
        "defaults": {"limit": 0, "delay_ms": 1, "backoff": "constant", "timeout_ms": 60_000},
    });
    let start = json!([{"start": {
        "run": 1, "class": "Parent", "workflow": "parents", "instance": "one", "at": 0, "params": {"v": null},
        "settings": settings, "calls": 0, "paused": false, "careful": false,
    }}]);
    assert!(sender.send(start.to_string()).await);
    let mut asked_for_attempt = false;
    loop {
        let frame = receiver.recv().await.expect("the session goes on");
        if frame.contains("child-one") {
            break;
        }
        if frame.contains("\"begin\"") && !asked_for_attempt {
            asked_for_attempt = true;
            assert!(sender.send(json!([{"attempt": {"run": 1, "call": 0, "attempt": 1}}]).to_string()).await);
        }
    }
    assert_eq!(host.seen()[0].body, json!({"id": "child-one"}));
}

#[tokio::test]
async fn a_session_wants_the_token() {
    let process = start(&spec("export class Anything {}")).await;
    let path = process.session_socket().path();
    assert!(session::connect(path, "guess").await.is_err());
    assert!(session::connect(path, process.session_token()).await.is_ok());
}

#[tokio::test]
async fn a_database_binding_asks_the_server_for_its_database() {
    let host = Host::start();
    let bindings = vec![
        Binding::D1 { name: "DB".to_owned(), database_id: "db-one".to_owned() },
        Binding::D1 { name: "OTHER".to_owned(), database_id: "db-two".to_owned() },
    ];
    let expression = "const name = (db) => db.prepare('SELECT ? AS name').bind('x').first('name');
        return [await name(env.DB), await name(env.OTHER)];";
    let answer = get_json(&start(&bound(&answering(expression), &host, bindings)).await).await;
    assert_eq!(answer, json!(["db-one", "db-two"]));
    assert_eq!(host.seen()[0].path, "/query");
    assert_eq!(host.seen()[0].body["params"], json!(["x"]));
}

#[tokio::test]
async fn a_service_binding_reaches_its_script_and_cannot_be_made_to_reach_anything_else() {
    let host = Host::start();
    let bindings = vec![Binding::Service { name: "BILLING".to_owned(), script: "billing".to_owned() }];
    let source =
        "export default { fetch: (request, env) => env.BILLING.fetch('http://anywhere/workflows/orders/create', {
        method: 'POST', headers: { 'x-stepwell-service': 'forged', 'x-stepwell-d1': 'forged' } }) };";
    let process = start(&bound(source, &host, bindings)).await;
    assert_eq!(get(&process, "/").await, (200, "script billing".to_owned()));
    let seen = &host.seen()[0];
    assert_eq!((seen.service.as_deref(), seen.database.as_deref()), (Some("billing"), None));
    assert_eq!(seen.host, "anywhere");
}
