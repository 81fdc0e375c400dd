//! The real binary against a server that knows a few answers by heart: what people see, what programs see, what is asked,
//! and how it ends.

#[path = "cli/asked.rs"]
mod asked;
#[path = "cli/d1.rs"]
mod d1;
#[path = "cli/d1_known.rs"]
mod d1_known;
#[path = "cli/exit_codes.rs"]
mod exit_codes;
#[path = "cli/fake.rs"]
mod fake;
#[path = "cli/instances.rs"]
mod instances;
#[path = "cli/json.rs"]
mod json;
#[path = "cli/machine.rs"]
mod machine;
#[path = "cli/operators.rs"]
mod operators;
#[path = "cli/profiles.rs"]
mod profiles;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/workers.rs"]
mod workers;
#[path = "cli/workers_known.rs"]
mod workers_known;

use std::path::Path;

use fake::Fake;
use insta::assert_snapshot;
use tokio::process::Command;

const NOW: &str = "2026-11-21T12:00:00Z";

/// What a command did.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: std::process::Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code().expect("a code"), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// For a snapshot.
    fn told(&self) -> String {
        let errors = if self.stderr.is_empty() { String::new() } else { format!("\n-- stderr\n{}", self.stderr) };
        format!("exit {}\n-- stdout\n{}{errors}", self.code, self.stdout)
    }
}

/// A clean environment but for where programs are found.
fn stepwell() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepwell"));
    command.env_clear().env("TZ", "UTC").args(["--now", NOW]);
    // No profile of whoever runs the tests.
    command.env("XDG_CONFIG_HOME", "/nonexistent").stdin(std::process::Stdio::null());
    for name in ["PATH", "HOME", "XDG_CACHE_HOME", "STEPWELL_TOOLS"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

async fn finish(mut command: Command) -> Ran {
    Ran::of(command.output().await.expect("the binary runs"))
}

async fn run(fake: &Fake, args: &[&str]) -> Ran {
    let mut command = stepwell();
    command.env("STEPWELL_API", &fake.url).args(args);
    let ran = finish(command).await;
    Ran {
        stderr: ran.stderr.replace(&fake.url, "http://SERVER"),
        stdout: ran.stdout.replace(&fake.url, "http://SERVER"),
        ..ran
    }
}

async fn told(args: &[&str]) -> String {
    run(&Fake::start().await, args).await.told()
}

async fn told_in_width(width: &str, args: &[&str]) -> String {
    let fake = Fake::start().await;
    let mut command = stepwell();
    command.env("STEPWELL_API", &fake.url).env("COLUMNS", width).args(args);
    finish(command).await.told()
}

#[tokio::test]
async fn workflows_are_listed_with_their_counts() {
    assert_snapshot!(told(&["workflows", "list"]).await);
}

#[tokio::test]
async fn a_workflow_is_described_with_its_latest_version() {
    assert_snapshot!(told(&["workflows", "describe", "orders"]).await);
}

#[tokio::test]
async fn deployments_are_listed_with_who_needs_them() {
    assert_snapshot!(told(&["deployments", "list"]).await);
    assert_snapshot!(told(&["deployments", "list", "shop", "--json"]).await);
    assert_snapshot!(told(&["deployments", "delete", "shop", "7"]).await);
}

#[tokio::test]
async fn instances_are_listed_with_how_they_stand() {
    assert_snapshot!(told(&["workflows", "instances", "list", "orders"]).await);
}

#[tokio::test]
async fn no_instances_come_with_what_to_do() {
    assert_snapshot!(told(&["workflows", "instances", "list", "idle"]).await);
}

#[tokio::test]
async fn a_running_instance_shows_attempts_and_what_it_waits_for() {
    assert_snapshot!(told(&["workflows", "instances", "describe", "orders", "busy"]).await);
}

#[tokio::test]
async fn a_complete_instance_shows_its_output_as_it_was_written() {
    assert_snapshot!(told(&["workflows", "instances", "describe", "orders", "done"]).await);
}

#[tokio::test]
async fn an_errored_instance_shows_why_and_cannot_command_the_terminal() {
    let told = told(&["workflows", "instances", "describe", "orders", "failed"]).await;
    assert!(!told.contains('\u{1b}'), "{told:?}");
    assert_snapshot!(told);
}

#[tokio::test]
async fn a_terminated_instance_shows_what_was_left_open() {
    assert_snapshot!(told(&["workflows", "instances", "describe", "orders", "stopped"]).await);
}

#[tokio::test]
async fn an_instance_of_which_nothing_is_heard_says_what_it_may_wait_for() {
    let silent = told(&["workflows", "instances", "describe", "orders", "silent"]).await;
    let queued = told(&["workflows", "instances", "describe", "orders", "later"]).await;
    let line = |text: &str, label: &str| text.lines().find(|line| line.starts_with(label)).map(str::to_owned);
    let expected = "Quiet      nothing has happened for 45 s: run() waits for something outside its steps, or computes";
    assert_eq!(line(&silent, "Quiet").as_deref(), Some(expected), "{silent}");
    let expected = "Waits for  a place: 3 of this workflow run, which is its concurrency limit";
    assert_eq!(line(&queued, "Waits for").as_deref(), Some(expected), "{queued}");
    for id in ["busy", "done", "failed"] {
        let other = told(&["workflows", "instances", "describe", "orders", id]).await;
        assert_eq!((line(&other, "Quiet"), line(&other, "Waits for")), (None, None), "{other}");
    }
}

#[tokio::test]
async fn a_narrow_screen_gets_no_longer_lines() {
    for id in ["busy", "failed", "done", "stopped", "silent", "later"] {
        let told = told_in_width("60", &["workflows", "instances", "describe", "orders", id]).await;
        for line in told.lines() {
            assert!(line.chars().count() <= 60, "{line:?} of\n{told}");
        }
    }
    assert_snapshot!(told_in_width("60", &["workflows", "instances", "describe", "orders", "failed"]).await);
}

#[tokio::test]
async fn outputs_are_cut_at_the_limit_and_can_be_left_out() {
    let cut = ["workflows", "instances", "describe", "orders", "done", "--truncate-output-limit", "20"];
    assert_snapshot!("outputs_cut", told(&cut).await);
    let without = told(&["workflows", "instances", "describe", "orders", "busy", "--step-output=false"]).await;
    assert!(!without.contains('→'), "{without}");
}

#[tokio::test]
async fn a_file_gets_every_step_of_a_long_timeline() {
    let told = told(&["workflows", "instances", "describe", "orders", "long"]).await;
    let number = |line: &str| line.trim_start().strip_prefix("✓ part-")?.split(' ').next()?.parse::<usize>().ok();
    let steps = told.lines().filter_map(number);
    assert!(steps.eq(1..=instances::LONG_STEPS), "{told}");
    assert_eq!(told.matches("→ 1").count(), instances::LONG_STEPS);
    assert!(!told.contains("more steps"), "{told}");
}

#[tokio::test]
async fn json_is_the_result_as_the_server_wrote_it() {
    let fake = Fake::start().await;
    let ran = run(&fake, &["workflows", "instances", "describe", "orders", "done", "--json"]).await;
    assert_eq!((ran.code, ran.stdout), (0, format!("{}\n", instances::detail("done", 0).expect("known"))));
    for args in [
        &["workflows", "list", "--json"][..],
        &["workflows", "describe", "orders", "--json"],
        &["workflows", "trigger", "orders", "--json"],
        &["workflows", "delete", "orders", "--json"],
        &["workflows", "instances", "list", "orders", "--json"],
        &["workflows", "instances", "describe", "orders", "busy", "--json"],
        &["workflows", "instances", "pause", "orders", "busy", "--json"],
        &["workflows", "instances", "send-event", "orders", "busy", "--type", "t", "--json"],
        &["workflows", "instances", "delete", "orders", "a", "--json"],
    ] {
        let ran = run(&fake, args).await;
        let parsed = serde_json::from_str::<serde_json::Value>(&ran.stdout);
        assert!(ran.code == 0 && parsed.is_ok(), "{args:?}: {}", ran.told());
    }
}

#[tokio::test]
async fn latest_is_the_newest_instance_everywhere() {
    let newest = "GET /workflows/orders/instances?per_page=1&direction=desc";
    for (args, line) in [
        (&["describe", "orders"][..], "GET /workflows/orders/instances/busy"),
        (&["describe", "orders", "latest"], "GET /workflows/orders/instances/busy"),
        (&["pause", "orders", "latest"], "PATCH /workflows/orders/instances/busy/status"),
        (&["resume", "orders", "latest"], "PATCH /workflows/orders/instances/busy/status"),
        (&["restart", "orders", "latest"], "PATCH /workflows/orders/instances/busy/status"),
        (&["terminate", "orders", "latest"], "PATCH /workflows/orders/instances/busy/status"),
        (&["send-event", "orders", "latest", "--type", "t"], "POST /workflows/orders/instances/busy/events/t"),
        (&["delete", "orders", "latest"], "POST /workflows/orders/instances/batch/delete"),
    ] {
        let fake = Fake::start().await;
        let ran = run(&fake, &[&["workflows", "instances"], args].concat()).await;
        assert_eq!(ran.code, 0, "{}", ran.told());
        assert_eq!(fake.lines(), [newest, line], "{args:?}");
    }
}

#[tokio::test]
async fn latest_of_no_instances_is_not_found() {
    assert_snapshot!(told(&["workflows", "instances", "describe", "idle"]).await);
}

#[tokio::test]
async fn changes_are_asked_for_in_cloudflare_s_words_and_told() {
    let fake = Fake::start().await;
    let mut text = String::new();
    for args in [
        &["trigger", "orders"][..],
        &["trigger", "orders", "{\"n\": 12345678901234567890}", "--id", "order-\"9\""],
        &["trigger", "orders", "--params", "[1]"],
        &["delete", "orders"],
        &["instances", "pause", "orders", "busy"],
        &["instances", "resume", "orders", "busy"],
        &["instances", "restart", "orders", "busy"],
        &[
            "instances",
            "restart",
            "orders",
            "busy",
            "--from-step-name",
            "s",
            "--from-step-count",
            "2",
            "--from-step-type",
            "do",
        ],
        &["instances", "terminate", "orders", "busy"],
        &["instances", "terminate", "orders", "busy", "--rollback"],
        &["instances", "terminate-all", "orders"],
        &["instances", "terminate-all", "orders", "--status", "waiting", "--yes"],
        &["instances", "send-event", "orders", "busy", "--type", "a/b", "--payload", "{\"ok\": true}"],
        &["instances", "send-event", "orders", "a b", "--type", "go"],
        &["instances", "delete", "orders", "a", "b"],
        &[
            "instances",
            "list",
            "orders",
            "--status",
            "errored",
            "--reverse",
            "--per-page",
            "3",
            "--page",
            "2",
            "--date-start",
            "2026-01-01",
            "--date-end",
            "2026-01-31",
        ],
    ] {
        let ran = run(&fake, &[&["workflows"], args].concat()).await;
        let asked = fake.asked().pop().expect("a request");
        text += &format!("$ {}\n{} {}\n{}\n", args.join(" "), asked.line, asked.body, ran.told());
    }
    assert_snapshot!(text);
}

#[tokio::test]
async fn deletions_that_fail_are_told_one_by_one() {
    assert_snapshot!(told(&["workflows", "instances", "delete", "orders", "a", "missing", "b"]).await);
}

#[tokio::test]
async fn many_deletions_are_asked_for_in_batches() {
    let fake = Fake::start().await;
    let ids: Vec<String> = (0..230).map(|number| format!("i{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let ran = run(&fake, &[&["workflows", "instances", "delete", "orders"], ids.as_slice()].concat()).await;
    assert_eq!(ran.stdout, "230 instances of orders deleted.\n");
    assert_eq!(fake.lines().len(), 3);
}

#[tokio::test]
async fn watching_waits_for_the_end_and_tells_by_its_code_how_it_was() {
    for (id, code) in [("watched", 0), ("doomed", 6)] {
        let fake = Fake::start().await;
        let ran = run(&fake, &["workflows", "instances", "describe", "orders", id, "--watch"]).await;
        assert_eq!(ran.code, code, "{}", ran.told());
        assert_eq!(ran.stdout.matches("Instance ").count(), 1, "{}", ran.told());
        let waiting = format!("GET /workflows/orders/instances/{id}?wait_ms=30000");
        assert_eq!(fake.lines(), [waiting.as_str(); 3]);
    }
}

#[tokio::test]
async fn the_token_comes_from_the_flag_the_environment_or_the_data_directory() {
    let data = tempfile::tempdir().expect("a directory");
    std::fs::write(data.path().join("operator-token"), "from-file\n").expect("a file");
    let data = data.path().to_str().expect("text");
    for (args, variable, token) in [
        (&["workflows", "list"][..], None, None),
        (&["workflows", "list", "--data", data], None, Some("Bearer from-file")),
        (&["workflows", "list", "--data", data], Some("from-env"), Some("Bearer from-file")),
        (&["workflows", "list"], Some("from-env"), Some("Bearer from-env")),
        (&["workflows", "list", "--token", "from-flag"], Some("from-env"), Some("Bearer from-flag")),
    ] {
        let fake = Fake::start().await;
        let mut command = stepwell();
        command.args(args).args(["--api", &fake.url]);
        if let Some(token) = variable {
            command.env("STEPWELL_TOKEN", token);
        }
        assert_eq!(finish(command).await.code, 0);
        assert_eq!(fake.asked()[0].token.as_deref(), token);
    }
}

#[tokio::test]
async fn errors_say_what_to_do_and_have_their_exit_codes() {
    let fake = Fake::start().await;
    let mut text = String::new();
    for args in [
        &["workflows", "describe", "nobody"][..],
        &["workflows", "describe", "strange"],
        &["workflows", "describe", ""],
        &["workflows", "list", "--token", "wrong"],
        &["workflows", "list", "--data", "/nonexistent"],
        &["workflows", "list", "--api", "https://example.com"],
        &["workflows", "trigger", "orders", "{broken"],
        &["workflows", "instances", "describe", "orders", "nobody"],
        &["workflows", "instances", "logs", "orders", "nobody"],
        &["workflows", "instances", "delete", "orders", "missing"],
        &["workflows", "instances", "delete", "orders", "a b c \\"],
        &["workflows", "trigger", "orders", "--id", "a b"],
        &["workflows", "trigger", "orders", "--id", "taken"],
        &["workflows", "trigger", "orders", "--batch", r#"[{"id":"a"},{"id":"a b"}]"#],
        &["workflows", "instances", "pause", "orders", "done"],
        &["workflows", "instances", "pause", "orders", ""],
        &["workflows", "instances", "send-event", "orders", "busy", "--type", "t", "--payload", "nope"],
        &["workflows", "instances", "list", "orders", "--status", "done"],
        &["workflows", "instances", "list", "orders", "--date-start", "yesterday"],
        &["workflows", "instances", "list", "orders", "--date-start", "2026-02-01", "--date-end", "2026-01-01"],
        &["workflows", "instances", "describe", "orders", "done", "--logs", "--json"],
        &["workflows", "trigger", "orders", "--params", "@/nonexistent"],
        &["deploy", "/nonexistent"],
        &["versions", "list", "--config", "/nonexistent"],
        &["versions", "view", "8", "--name", "shop"],
        &["versions", "deploy", "7@50%", "--name", "shop"],
        &["secret", "list", "--name", "nobody"],
        &["secret", "bulk", "/nonexistent", "--name", "shop"],
        &["delete", "shop"],
        &["rollback", "--name", ""],
        &["workflows", "list", "--profile", "nobody"],
        &["workflows", "list", "--api", "ftp://h"],
        &["workflows", "describe", "nobody", "--json"],
        &["workflows", "list", "--token", "wrong", "--json"],
        &["workflows", "describe", "--json"],
    ] {
        text += &format!("$ {}\n{}\n", args.join(" "), run(&fake, args).await.told());
    }
    assert_snapshot!(text);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_how_to_start_one() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let mut command = stepwell();
    command.args(["workflows", "list", "--api", &url]);
    let ran = finish(command).await;
    assert_eq!(ran.code, 5);
    assert_snapshot!(ran.stderr.replace(&url, "http://SERVER"));
}

#[tokio::test]
async fn env_prints_what_wrangler_needs() {
    let fake = Fake::start().await;
    assert_snapshot!("env_of_dev", run(&fake, &["env"]).await.told());
    let data = tempfile::tempdir().expect("a directory");
    std::fs::write(data.path().join("operator-token"), "stepwell_a'b\n").expect("a file");
    let data = data.path().to_str().expect("text");
    assert_snapshot!("env_of_serve", run(&fake, &["env", "--data", data, "--api", "http://h:9/"]).await.told());
    let json = run(&fake, &["env", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["CLOUDFLARE_API_BASE_URL"], "http://SERVER/client/v4");
}

#[tokio::test]
async fn output_that_nobody_reads_any_more_is_no_error() {
    let fake = Fake::start().await;
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = stepwell();
    command.args(["workflows", "list", "--api", &fake.url]).stdout(writer);
    let ran = finish(command).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[tokio::test]
async fn help_names_every_command_and_exit_code() {
    assert_snapshot!(told(&["--help"]).await);
}

/// What is in the directory of a project, for the fake server to receive.
fn write_project(root: &Path) {
    let config = r#"{
        "name": "shop", "main": "index.js", "compatibility_date": "2026-01-01", "compatibility_flags": ["nodejs_compat"],
        "vars": { "GREETING": "hello", "FLAGS": { "a": 1 } },
        "limits": { "cpu_ms": 1000 },
        "d1_databases": [{ "binding": "DB", "database_id": "shop-db" }],
        "services": [{ "binding": "MAIL", "service": "mailer" }],
        "workflows": [
            { "binding": "ORDERS", "name": "orders", "class_name": "Orders", "limits": { "steps": 50 } },
            { "binding": "OTHER", "name": "other", "class_name": "Other", "script_name": "elsewhere" }
        ]
    }"#;
    let code = "import { WorkflowEntrypoint } from 'cloudflare:workers';\nimport note from './note.txt';\n\
                export class Orders extends WorkflowEntrypoint { async run() { return note; } }\n\
                export default { fetch() { return new Response(note); } };\n";
    for (name, text) in [("wrangler.json", config), ("index.js", code), ("note.txt", "a note")] {
        std::fs::write(root.join(name), text).expect("a file");
    }
}

#[tokio::test]
async fn deploy_uploads_modules_and_metadata_as_wrangler_does() {
    let fake = Fake::start().await;
    let project = tempfile::tempdir().expect("a directory");
    write_project(project.path());
    let ran = run(&fake, &["deploy", project.path().to_str().expect("text")]).await;
    assert_eq!(ran.code, 0, "{}", ran.told());
    let asked = fake.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(lines, ["GET /workflows/orders", "PUT /workers/scripts/shop", "PUT /workflows/orders"]);
    assert_eq!(ran.stderr, "");
    assert_eq!(asked[2].body, r#"{"class_name":"Orders","limits":{"steps":50},"script_name":"shop"}"#);
    assert_snapshot!(format!("{}\n-- parts\n{}", ran.stdout, heads(&asked[1])));
}

#[tokio::test]
async fn a_workflow_that_another_worker_has_is_taken_over_with_a_word() {
    let fake = Fake::start().await;
    let project = tempfile::tempdir().expect("a directory");
    write_project(project.path());
    let ran = run(&fake, &["deploy", project.path().to_str().expect("text"), "--name", "store"]).await;
    assert_eq!(ran.code, 0, "{}", ran.told());
    assert!(ran.stderr.contains("workflow orders goes from Worker shop to Worker store"), "{}", ran.told());
}

/// The parts of an upload: their headers, and the text of those that are no code of esbuild.
fn heads(asked: &fake::Asked) -> String {
    let boundary = asked.content_type.strip_prefix("multipart/form-data; boundary=").expect("multipart");
    let whole = asked.body.strip_suffix(&format!("--{boundary}--\r\n")).expect("an end");
    let mut text = String::new();
    for part in whole.split(&format!("--{boundary}\r\n")).skip(1) {
        let (head, body) = part.split_once("\r\n\r\n").expect("a head");
        let body = body.strip_suffix("\r\n").expect("an end");
        let is_generated = head.contains("index.js");
        text += &format!("{}\n{}\n\n", head.replace('\r', ""), if is_generated { "(generated)" } else { body });
    }
    text
}

#[tokio::test]
async fn what_code_printed_is_shown_with_its_step_and_level() {
    assert_snapshot!(told(&["workflows", "instances", "logs", "orders", "done"]).await);
    let of_one = told(&["workflows", "instances", "logs", "orders", "done", "--step", "charge-2"]).await;
    assert!(of_one.contains("charge-2 error: no") && !of_one.contains("slow"), "{of_one}");
    let of_all = told(&["workflows", "instances", "logs", "orders", "done", "--step", "charge", "--follow"]).await;
    assert!(of_all.contains("very slow") && of_all.contains("charge-2") && !of_all.contains("begins"), "{of_all}");
    let nothing = told(&["workflows", "instances", "logs", "orders", "done", "--step", "other"]).await;
    assert!(nothing.contains("Instance done has printed nothing in step other."), "{nothing}");
}

#[tokio::test]
async fn whoever_follows_lines_lets_the_server_wait_for_the_end() {
    let fake = Fake::start().await;
    let ran = run(&fake, &["workflows", "instances", "logs", "orders", "watched", "--follow"]).await;
    assert_eq!(ran.code, 0, "{}", ran.told());
    let looks: Vec<String> = fake.lines().into_iter().filter(|line| !line.contains("/logs")).collect();
    assert_eq!(looks, ["GET /workflows/orders/instances/watched?simple=true&wait_ms=30000"; 3]);
}

#[tokio::test]
async fn programs_get_each_line_as_an_object() {
    let fake = Fake::start().await;
    let ran = run(&fake, &["workflows", "instances", "logs", "orders", "done", "--json"]).await;
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!((lines.len(), &lines[1]["text"]), (3, &serde_json::json!("slow\nvery slow")));
}

#[tokio::test]
async fn a_description_has_the_printed_lines_below_it_when_asked() {
    let told = told(&["workflows", "instances", "describe", "orders", "done", "--logs"]).await;
    let (timeline, printed) = told.split_once("\nPrinted\n").expect(&told);
    assert!(timeline.contains("complete") || timeline.contains("Complete"), "{told}");
    assert!(printed.contains("charge-1 warn: slow\n    very slow"), "{told}");
}
