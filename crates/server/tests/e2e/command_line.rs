//! The command line against a real server, from logging in to the end of a Worker. Shapes and errors are tried with a server that
//! knows its answers by heart.

use std::process::{Output, Stdio};

use hyper::Method;
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Launch, Project, Server, eventually, operator_token};

/// Somebody at a shell, in the directory of a project, with a configuration directory of their own.
struct User<'a> {
    server: &'a Server,
    project: &'a Project,
    home: TempDir,
}

impl<'a> User<'a> {
    async fn logged_in(server: &'a Server, project: &'a Project) -> Self {
        let user = Self { server, project, home: tempfile::tempdir().expect("a directory") };
        let token = server.token.as_deref().expect("serve has a token");
        user.runs_with(&["login", &format!("http://{}", server.api), "--token", "-"], token).await;
        user
    }

    /// What a command prints; it must succeed.
    async fn runs(&self, arguments: &[&str]) -> String {
        self.runs_with(arguments, "").await
    }

    async fn runs_with(&self, arguments: &[&str], input: &str) -> String {
        let output = self.output(arguments, input).await;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
        told
    }

    /// The exit code of a command that must fail, and what it says.
    async fn fails(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.output(arguments, "").await;
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    async fn output(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_stepwell"));
        command.args(arguments).current_dir(self.project.path()).env("XDG_CONFIG_HOME", self.home.path());
        for variable in ["STEPWELL_API", "STEPWELL_TOKEN", "STEPWELL_DATA", "CLOUDFLARE_API_BASE_URL"] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command line runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A command that does not read its input may end before it is written.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await.expect("it ends")
    }

    async fn json(&self, arguments: &[&str]) -> Json {
        serde_json::from_str(&self.runs(&[arguments, &["--json"]].concat()).await).expect("JSON")
    }

    /// Waits until the Worker's answer begins so: a new worker process takes over in a moment.
    async fn serves(&self, text: &str) {
        eventually(|| format!("{text:?} is served"), || async { self.served().await.starts_with(text).then_some(()) })
            .await;
    }

    /// What the Worker answers.
    async fn served(&self) -> String {
        let answer = self.server.fetch("app", Method::GET, "/", "").await;
        format!("{} {}", answer.status, answer.text())
    }
}

fn code(version: &str) -> String {
    format!(
        "import {{ WorkflowEntrypoint }} from 'cloudflare:workers';
export class Flow extends WorkflowEntrypoint {{
    async run(event, step) {{
        return step.do('only', async () => event.payload.n + ' on {version}');
    }}
}}
export default {{ fetch(request, env) {{ return new Response('{version} ' + (env.KEY ?? 'without')); }} }};"
    )
}

#[tokio::test]
async fn a_worker_goes_from_its_first_deploy_to_its_end_by_command_line() {
    let server = Server::serve().await;
    let project = Project::worker("app", &["Flow"], &code("one"));
    let user = User::logged_in(&server, &project).await;
    user.runs(&["deploy"]).await;
    assert!(user.served().await.starts_with("200 one"));
    user.runs_with(&["secret", "put", "KEY"], "hidden\n").await;
    assert_eq!(user.json(&["secret", "list"]).await[0]["name"], "KEY");

    project.write("index.js", &code("two"));
    let uploaded = user.json(&["versions", "upload", "--tag", "second"]).await;
    assert!(user.served().await.starts_with("200 one"), "an upload does not serve");
    user.runs(&["versions", "deploy", "second"]).await;
    user.serves("200 two hidden").await;
    let status = user.json(&["deployments", "status"]).await;
    assert_eq!((&status["version_id"], status["version"].as_u64()), (&uploaded["id"], uploaded["number"].as_u64()));
    user.runs(&["rollback"]).await;
    user.serves("200 one").await;

    user.runs(&["workflows", "trigger", "Flow", "--id", "a", "--params", r#"{"n":1}"#]).await;
    let watched = user.json(&["workflows", "instances", "describe", "Flow", "a", "--watch"]).await;
    assert_eq!(watched["output"], "\"1 on one\"");
    let batch = r#"[{"id":"a"},{"id":"b","params":{"n":2}},{"params":{"n":3}}]"#;
    let told = user.runs_with(&["workflows", "trigger", "Flow", "--batch", "@-"], batch).await;
    assert_eq!(told, "2 instances of Flow created. 1 left out: their ids are taken.\n");
    user.runs(&["workflows", "instances", "terminate-all", "Flow"]).await;

    user.runs_with(&["secret", "bulk"], r#"{"KEY": null, "OTHER": "x"}"#).await;
    assert_eq!(user.json(&["secret", "list"]).await[0]["name"], "OTHER");
    let who = user.json(&["whoami"]).await;
    assert_eq!((&who["origin"], &who["token"]["status"]), (&"profile default".into(), &"active".into()));
    user.runs(&["workflows", "delete", "Flow"]).await;
    user.runs(&["delete"]).await;
    assert_eq!(user.json(&["deployments", "list"]).await, Json::Array(Vec::new()));
}

#[tokio::test]
async fn secrets_come_with_what_is_uploaded_and_serve_with_it() {
    let server = Server::serve().await;
    let project = Project::worker("app", &["Flow"], &code("one"));
    let user = User::logged_in(&server, &project).await;
    user.runs(&["deploy"]).await;
    project.write("secrets.json", r#"{"KEY": "from a file"}"#);
    project.write("index.js", &(code("two") + "throw new Error('does not start');"));
    let (status, told) = user.fails(&["deploy", "--secrets-file", "secrets.json"]).await;
    assert_eq!(status, Some(4), "{told}");
    assert_eq!(user.json(&["secret", "list"]).await, Json::Array(Vec::new()), "a failed deploy keeps none");

    project.write("index.js", &code("two"));
    user.runs(&["versions", "upload", "--secrets-file", "secrets.json", "--tag", "second"]).await;
    assert!(user.served().await.starts_with("200 one without"));
    user.runs(&["versions", "deploy", "second"]).await;
    user.serves("200 two from a file").await;

    let made = user.runs_with(&["versions", "secret", "put", "KEY", "--tag", "third"], "of a version\n").await;
    assert!(made.starts_with("Made version 3 of app with secret KEY"), "{made}");
    assert!(user.served().await.starts_with("200 two from a file"), "a version that was made does not serve");
    user.runs(&["versions", "deploy", "third"]).await;
    user.serves("200 two of a version").await;
    user.runs(&["versions", "secret", "delete", "KEY", "--tag", "fourth"]).await;
    assert_eq!(user.json(&["versions", "secret", "list"]).await["secrets"][0]["name"], "KEY");
    let newest = user.json(&["versions", "secret", "list", "--latest-version"]).await;
    assert_eq!((&newest["version"], &newest["secrets"]), (&4.into(), &Json::Array(Vec::new())));
    let (status, told) = user.fails(&["versions", "secret", "delete", "KEY"]).await;
    assert!(status == Some(3) && told.contains("has no secret \"KEY\""), "{status:?} {told}");
    user.runs(&["versions", "deploy", "fourth"]).await;
    user.serves("200 two without").await;
}

/// A server whose clock begins there.
async fn serve_at(state: &std::path::Path, time: &str) -> Server {
    let mut server = Launch::serve().state(state).arg("--test-clock").arg(time).start().await;
    server.token = Some(operator_token(state));
    server
}

#[tokio::test]
async fn an_expired_token_is_refused_with_when_it_ended() {
    const BEFORE: &str = "2026-11-21T10:00:00Z";
    let state = tempfile::tempdir().expect("a directory");
    let project = Project::worker("app", &["Flow"], &code("one"));
    let server = serve_at(state.path(), BEFORE).await;
    let user = User::logged_in(&server, &project).await;
    let create = ["token", "create", "ci", "--scope", "metadata", "--expires-in", "1 hour", "--now", BEFORE];
    let token = user.json(&create).await["value"].as_str().expect("a token").to_owned();
    user.runs(&["workflows", "list", "--token", &token]).await;
    server.stop();

    let server = serve_at(state.path(), "2026-11-21T11:00:00Z").await;
    let user = User::logged_in(&server, &project).await;
    let (status, told) = user.fails(&["workflows", "list", "--token", &token]).await;
    assert!(told.contains("this API token expired at 2026-11-21T11:00:00Z; `stepwell token create`"), "{told}");
    assert_eq!(status, Some(7), "{told}");
    let (_, told) = user.fails(&["workflows", "list", "--token", &token, "--json"]).await;
    let told: Json = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["error"]["kind"], &told["error"]["status"]), (&"unauthorized".into(), &401.into()));
}

#[tokio::test]
async fn a_dev_server_wants_no_token_and_tells_programs_when_it_is_ready() {
    let project = Project::worker("app", &["Flow"], &code("one"));
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_stepwell"));
    command.args(["dev", "--json", "--port", "0", "--api-port", "0"]).current_dir(project.path());
    let mut child = command.kill_on_drop(true).stdout(Stdio::piped()).spawn().expect("the server can be started");
    let mut lines = {
        use tokio::io::AsyncBufReadExt as _;
        tokio::io::BufReader::new(child.stdout.take().expect("a pipe")).lines()
    };
    let line = lines.next_line().await.expect("text").expect("it is ready");
    let ready: Json = serde_json::from_str(&line).expect("JSON");
    let api = ready["api"].as_str().expect("an address");
    assert!(ready["workers"]["app"].as_str().is_some_and(|url| url.contains("app.localhost")), "{ready}");
    let home = tempfile::tempdir().expect("a directory");
    let mut login = tokio::process::Command::new(env!("CARGO_BIN_EXE_stepwell"));
    login.args(["login", api, "--json"]).env("XDG_CONFIG_HOME", home.path()).env_remove("STEPWELL_TOKEN");
    let output = login.stdin(Stdio::null()).output().await.expect("the command line runs");
    let told: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&told["has_token"], output.status.code()), (&false.into(), Some(0)));
}
