//! What is wrong is refused with its place and what to do, and harms nothing.

use hyper::Method;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::{Answer, Launch, Project, Server};

const SIZES: &str = include_str!("workers/sizes.js");
const MIB: usize = 1 << 20;

async fn server() -> Server {
    let steps = json!([{ "name": "Sizes", "binding": "Sizes", "class_name": "Sizes", "limits": { "steps": 5 } }]);
    Server::dev(&[&Project::configured("sizes", &["Waits"], json!({ "workflows": steps }), SIZES)]).await
}

/// What `dev` says of a project that it cannot run.
async fn refused(files: &[(&str, &str)]) -> String {
    let project = Project::new(files);
    Launch::dev(&[&project]).refused().await.message(&[(project.path(), "PROJECT")])
}

fn told(answer: &Answer) -> String {
    let (status, message) = answer.refusal();
    format!("{status} {message}")
}

#[tokio::test]
async fn projects_that_cannot_run_are_refused_with_their_place() {
    let config = "name = \"app\"\nmain = \"index.js\"\ncompatibility_date = \"2025-01-01\"\n";
    let workflow = format!("{config}[[workflows]]\nname = \"flow\"\nbinding = \"FLOW\"\nclass_name = \"Flow\"\n");
    let plain = "export default { fetch() {} };";
    let mut seen = Vec::new();
    for (what, files) in [
        ("no configuration", vec![]),
        ("broken TOML", vec![("wrangler.toml", "name = \"app\nmain = 1")]),
        ("broken JSON", vec![("wrangler.json", "{\n  \"name\": \"app\",\n  \"main\" 1\n}")]),
        ("no main", vec![("wrangler.toml", "name = \"app\"\ncompatibility_date = \"2025-01-01\"")]),
        ("main does not exist", vec![("wrangler.toml", config)]),
        ("main is a directory", vec![("wrangler.toml", &*config.replace("index.js", "src")), ("src/index.js", plain)]),
        (
            "wrong types",
            vec![
                (
                    "wrangler.toml",
                    "name = 7\nmain = \"index.js\"\ncompatibility_date = \"2025-01-01\"\nworkflows = true",
                ),
                ("index.js", plain),
            ],
        ),
        ("class not exported", vec![("wrangler.toml", &workflow), ("index.js", plain)]),
        (
            "class that cannot run",
            vec![("wrangler.toml", &workflow), ("index.js", "export class Flow {}\nexport default { fetch() {} };")],
        ),
        ("syntax error", vec![("wrangler.toml", config), ("index.js", "export default {\n  fetch( {}\n};")]),
        ("import not found", vec![("wrangler.toml", config), ("index.js", "import 'no-such-package';")]),
        (
            "throws at load",
            vec![("wrangler.toml", config), ("index.js", "throw new TypeError('at load');\nexport default {};")],
        ),
        (
            "unknown flag",
            vec![
                (
                    "wrangler.json",
                    r#"{"name":"app","main":"index.js","compatibility_date":"2025-01-01","compatibility_flags":["no_such_flag"]}"#,
                ),
                ("index.js", plain),
            ],
        ),
        (
            "date in the future",
            vec![
                ("wrangler.json", r#"{"name":"app","main":"index.js","compatibility_date":"2999-01-01"}"#),
                ("index.js", plain),
            ],
        ),
        (
            "no name for a script",
            vec![
                ("wrangler.json", r#"{"name":"Not A Name","main":"index.js","compatibility_date":"2025-01-01"}"#),
                ("index.js", plain),
            ],
        ),
    ] {
        let message = refused(&files.iter().map(|(name, text)| (*name, *text)).collect::<Vec<_>>()).await;
        seen.push(format!("## {what}\n{message}"));
    }
    assert_snapshot!(seen.join("\n").replace(stepwell_runtime::WORKERD_DATE, "NEWEST"));
}

#[tokio::test]
async fn local_secrets_that_are_no_utf_8_are_refused_by_their_file() {
    let project = Project::worker("app", &[], "export default {};");
    // As PowerShell writes what is piped into a file.
    std::fs::write(project.file(".dev.vars"), b"\xff\xfeK\0=\x001\0").expect("a file");
    let refused = Launch::dev(&[&project]).refused().await;
    assert_snapshot!(refused.message(&[(project.path(), "PROJECT")]));
}

#[tokio::test]
async fn a_byte_order_mark_before_local_secrets_takes_none_of_them() {
    let source = "export default { fetch: (_, env) => Response.json([env.FIRST, env.SECOND]) };";
    let project = Project::worker("app", &[], source);
    project.write(".dev.vars", "\u{feff}FIRST=1\nSECOND=2\n");
    assert_eq!(Server::dev(&[&project]).await.get("app", "/").await, json!(["1", "2"]));
}

#[tokio::test]
async fn a_source_file_in_the_place_of_a_project_is_named_with_what_is_expected() {
    let project = Project::worker("app", &[], "export default {};");
    let source = project.file("index.js");
    let refused = Launch::dev(&[]).arg(&source.display().to_string()).refused().await;
    assert_snapshot!(refused.message(&[(project.path(), "PROJECT")]));
}

#[tokio::test]
async fn two_projects_cannot_define_the_same_name() {
    let first = Project::worker("one", &["Waits"], SIZES);
    let second = Project::worker("two", &["Waits"], SIZES);
    let refused = Launch::dev(&[&first, &second]).refused().await;
    assert_snapshot!(refused.message(&[(first.path(), "FIRST"), (second.path(), "SECOND")]));
}

#[tokio::test]
async fn unknown_keys_are_warned_of_and_the_worker_runs() {
    let config = "name = \"app\"\nmain = \"index.js\"\ncompatibility_date = \"2025-01-01\"\ncompatability_flags = []\n";
    let project =
        Project::new(&[("wrangler.toml", config), ("index.js", "export default { fetch: () => Response.json(1) };")]);
    let server = Server::dev(&[&project]).await;
    assert_eq!(server.get("app", "/").await, 1);
    let warnings = server.stderr().replace(&project.path().display().to_string(), "PROJECT");
    assert_snapshot!(warnings);
}

#[tokio::test]
async fn bad_names_ids_and_bodies_are_refused() {
    let server = server().await;
    let instances = "workflows/Sizes/instances";
    let long_id = json!({ "instance_id": "x".repeat(101) }).to_string();
    let mut seen = Vec::new();
    for (what, method, path, body) in [
        ("unknown workflow", Method::GET, "workflows/nope", ""),
        ("instance of an unknown workflow", Method::POST, "workflows/nope/instances", "{}"),
        ("unknown instance", Method::GET, "workflows/Sizes/instances/nope", ""),
        (
            "pause of an unknown instance",
            Method::PATCH,
            "workflows/Sizes/instances/nope/status",
            r#"{"status":"pause"}"#,
        ),
        ("event to an unknown instance", Method::POST, "workflows/Sizes/instances/nope/events/go", "1"),
        ("bad id", Method::POST, instances, r#"{"instance_id":"a b"}"#),
        ("long id", Method::POST, instances, &long_id),
        ("broken body", Method::POST, instances, "{\n\"params\": }"),
        ("body of another shape", Method::POST, instances, "[]"),
        ("empty batch", Method::POST, "workflows/Sizes/instances/batch", "[]"),
        ("bad workflow name", Method::PUT, "workflows/-a", r#"{"script_name":"sizes","class_name":"Sizes"}"#),
        ("workflow of no script", Method::PUT, "workflows/new", r#"{"script_name":"nope","class_name":"Sizes"}"#),
        ("bad status filter", Method::GET, "workflows/Sizes/instances?status=done", ""),
        ("bad page", Method::GET, "workflows/Sizes/instances?per_page=0", ""),
        ("no such path", Method::GET, "nowhere", ""),
    ] {
        let answer = server.api(method, path, body.to_owned()).await;
        seen.push(format!("{what}: {}", told(&answer)));
    }
    let id = server.create("Waits", json!({})).await;
    let answer = server.change("Waits", &id, "explode").await;
    seen.push(format!("bad status: {}", told(&answer)));
    let answer = server.send_event("Waits", &id, "a%20b", json!(1)).await;
    seen.push(format!("bad event type: {}", told(&answer)));
    let answer = server.try_create("Waits", json!({ "instance_id": id })).await;
    seen.push(format!("taken id: {}", told(&answer)));
    let answer = server.fetch("nobody", Method::GET, "/", "").await;
    let text = answer.text().replace(server.ingress.rsplit_once(':').expect("a port").1, "PORT");
    seen.push(format!("unknown host: {} {text}", answer.status));
    assert_snapshot!(seen.join("\n"));
}

#[tokio::test]
async fn params_and_events_of_more_than_a_mebibyte_are_refused() {
    let server = server().await;
    let fits = "x".repeat(MIB);
    let too_large = "x".repeat(MIB + 1);
    server.try_create("Waits", json!({ "params": fits })).await.ok();
    let answer = server.try_create("Waits", json!({ "params": too_large })).await;
    assert_eq!(told(&answer), "413 the value has 1048577 bytes; the maximum is 1048576 (1 MiB)");

    let id = server.create("Waits", json!({})).await;
    let answer = server.send_event("Waits", &id, "go", json!(too_large)).await;
    assert_eq!(told(&answer), "413 the value has 1048577 bytes; the maximum is 1048576 (1 MiB)");
    server.send_event("Waits", &id, "go", json!(fits)).await.ok();
    assert_eq!(server.output("Waits", &id).await, MIB);
}

#[tokio::test]
async fn results_of_more_than_a_mebibyte_fail_their_attempt() {
    let server = server().await;
    // The quotes of its JSON do not count.
    assert_eq!(server.run("Sizes", json!({ "bytes": MIB })).await, MIB);
    let id = server.create("Sizes", json!({ "bytes": MIB + 1 })).await;
    let error = server.error("Sizes", &id).await;
    assert_eq!(error, "WorkflowInternalError: Step make-1 output is too large. Maximum allowed size is 1MiB.");
    let detail = server.instance("Sizes", &id).await;
    assert_eq!(detail["steps"][0]["attempts"].as_array().map(Vec::len), Some(2), "it is retried");
    let id = server.create("Sizes", json!({ "output": MIB + 1 })).await;
    let error = server.error("Sizes", &id).await;
    assert_eq!(error, "WorkflowInternalError: Workflow output is too large. Maximum allowed size is 1MiB.");
}

#[tokio::test]
async fn more_steps_than_the_workflow_may_make_are_refused() {
    let server = server().await;
    assert_eq!(server.run("Sizes", json!({ "steps": 4 })).await, 0);
    let id = server.create("Sizes", json!({ "steps": 5 })).await;
    let error = server.error("Sizes", &id).await;
    let expected = "WorkflowFatalError: The limit of 5 steps has been reached. This limit can be changed in your worker configuration.";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_data_directory_in_use_is_named() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let first = Launch::serve().state(state.path()).start().await;
    let refused = Launch::serve().state(state.path()).refused().await;
    let pid = format!("process {}", first.pid());
    assert_snapshot!(refused.message(&[(state.path(), "DATA")]).replace(&pid, "process PID"));
    first.stop();
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_is_named() {
    let state = tempfile::tempdir().expect("a temporary directory");
    // A file in its way: no user, root included, makes a directory there.
    std::fs::write(state.path().join("file"), "").expect("a file");
    let mut seen = String::new();
    for name in ["file", "file/data"] {
        let refused = Launch::serve().state(&state.path().join(name)).refused().await;
        seen += &refused.message(&[(state.path(), "DIR")]);
    }
    assert_snapshot!(seen);
}

#[tokio::test]
async fn a_workerd_that_is_missing_or_another_is_named() {
    let mut seen = Vec::new();
    for program in ["/no/such/workerd", "/bin/false"] {
        let refused = Launch::serve().env("STEPWELL_WORKERD", program).refused().await;
        seen.push(refused.message(&[]));
    }
    assert_snapshot!(seen.join("\n"));
}
