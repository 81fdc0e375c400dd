//! Workflows that are declared by their class: `exports` in the configuration, `ctx.exports` in the code.

use serde_json::json;

use crate::support::{Project, Server};

const SOURCE: &str = "import { WorkflowEntrypoint, exports } from 'cloudflare:workers';
export class Parent extends WorkflowEntrypoint {
    async run({ payload }, step) {
        const id = await step.do('create', async () => (await this.ctx.exports.Child.create({ params: payload })).id);
        await step.do('send', async () => (await exports.Child.get(id)).sendEvent({ type: 'go', payload: 'sent' }));
        return id;
    }
}
export class Child extends WorkflowEntrypoint {
    async run({ payload, workflowName }, step) {
        const event = await step.waitForEvent('wait', { type: 'go' });
        return { payload, workflowName, event: event.payload };
    }
}
export class Short extends WorkflowEntrypoint {
    async run(event, step) {
        await step.do('one', async () => 1);
        await step.do('two', async () => 2);
    }
}
export default {
    async fetch(request, env, ctx) {
        const made = await ctx.exports.Parent.create({ id: 'made', params: { n: 1 } });
        return Response.json({ id: made.id, bindings: Object.keys(env), status: (await made.status()).status !== undefined });
    },
};";

#[tokio::test]
async fn declared_workflows_stand_in_ctx_exports_without_bindings() {
    let workflow = |name: &str| json!({ "type": "workflow", "name": name });
    let short = json!({ "type": "workflow", "name": "short", "limits": { "steps": 1 } });
    let exports = json!({ "Parent": workflow("parents"), "Child": workflow("children"), "Short": short });
    let more = json!({ "exports": exports, "compatibility_date": "2026-01-01" });
    let server = Server::dev(&[&Project::configured("declared", &[], more, SOURCE)]).await;
    assert_eq!(server.get("declared", "/").await, json!({ "id": "made", "bindings": [], "status": true }));
    let child = server.output("parents", "made").await;
    let child = child.as_str().expect("an id");
    let expected = json!({ "payload": { "n": 1 }, "workflowName": "children", "event": "sent" });
    assert_eq!(server.output("children", child).await, expected);
    let short = server.create("short", json!({})).await;
    let error = server.error("short", &short).await;
    assert!(error.contains("The limit of 1 steps has been reached"), "{error}");
}
