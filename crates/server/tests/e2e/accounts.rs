//! Two accounts on one server, with the same names for everything: neither sees anything of the other.

use std::process::Stdio;

use hyper::Method;
use serde_json::{Value as Json, json};
use stepwell::accounts::ACCOUNT_ID;

use crate::support::{Project, Server, eventually};

/// A Worker that tells its owner, keeps a row in its database, and asks its workflow through the binding.
fn code(owner: &str) -> String {
    format!(
        "import {{ WorkflowEntrypoint }} from 'cloudflare:workers';
export class Flow extends WorkflowEntrypoint {{
    async run(event, step) {{
        const kept = await step.do('read', async () => {{
            await this.env.DB.exec('CREATE TABLE IF NOT EXISTS t (owner TEXT)');
            await this.env.DB.prepare('INSERT INTO t VALUES (?)').bind('{owner}').run();
            return (await this.env.DB.prepare('SELECT owner FROM t').all()).results.map((row) => row.owner);
        }});
        return {{ owner: '{owner}', kept, workflow: event.workflowName }};
    }}
}}
export default {{
    async fetch(request, env) {{
        if (new URL(request.url).pathname === '/start') return Response.json(await env.FLOW.create({{ id: 'one' }}));
        return new Response('{owner}');
    }},
}};"
    )
}

fn project(owner: &str) -> Project {
    let more = json!({
        "workflows": [{ "name": "flow", "binding": "FLOW", "class_name": "Flow" }],
        "d1_databases": [{ "binding": "DB", "database_id": "shared" }],
    });
    Project::configured("app", &[], more, &code(owner))
}

async fn runs(server: &Server, token: &str, account: &str, arguments: &[&str]) -> Result<Json, String> {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_stepwell"));
    command.args(arguments).args(["--json", "--account", account]).stdin(Stdio::null());
    command.env("STEPWELL_API", format!("http://{}", server.api)).env("STEPWELL_TOKEN", token);
    let output = command.output().await.expect("the command line runs");
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).expect("JSON"));
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn text<'a>(value: &'a Json, member: &str) -> &'a str {
    value[member].as_str().expect(member)
}

#[tokio::test]
async fn accounts_with_equal_names_are_apart() {
    let server = Server::serve().await;
    let operator = server.token.clone().expect("serve has a token");
    let made = runs(&server, &operator, ACCOUNT_ID, &["account", "create", "team"]).await.expect("made");
    let team = text(&made, "id");
    let made = runs(&server, &operator, team, &["token", "create", "theirs", "--scope", "all"]).await.expect("made");
    let theirs = text(&made, "value");
    for (owner, account, token) in [("ours", ACCOUNT_ID, operator.as_str()), ("theirs", team, theirs)] {
        let project = project(owner);
        let directory = project.path().to_str().expect("text").to_owned();
        runs(&server, token, account, &["deploy", &directory]).await.expect("deployed");
    }
    for (host, owner, account) in [("app", "ours", ACCOUNT_ID), ("app.team", "theirs", team)] {
        assert_eq!(server.fetch(host, Method::GET, "/", "").await.text(), owner);
        assert_eq!(server.fetch(host, Method::GET, "/start", "").await.json()["id"], "one");
        let describe = ["workflows", "instances", "describe", "flow", "one"];
        let detail = eventually(
            || format!("the instance of {owner} completes"),
            || async {
                let detail = runs(&server, &operator, account, &describe).await.expect("described");
                (detail["status"] == "complete").then_some(detail)
            },
        )
        .await;
        let output: Json = serde_json::from_str(text(&detail, "output")).expect("JSON");
        assert_eq!(output, json!({ "owner": owner, "kept": [owner], "workflow": "flow" }));
        let listed = runs(&server, &operator, account, &["workflows", "list"]).await.expect("listed");
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    }
    let refused = runs(&server, theirs, ACCOUNT_ID, &["workflows", "list"]).await.expect_err("not theirs");
    assert!(refused.contains("10000"), "{refused}");
    let refused = runs(&server, &operator, team, &["account", "delete", team, "--yes"]).await.expect_err("not empty");
    assert!(refused.contains("script app"), "{refused}");
}
