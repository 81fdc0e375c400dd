//! Workers on the command line: versions, which one serves, secrets, and the end of one.

use std::path::Path;
use std::process::Stdio;

use insta::assert_snapshot;
use tokio::io::AsyncWriteExt as _;

use crate::fake::Fake;
use crate::{Ran, finish, run, stepwell, told, write_project};

/// With `input` on standard input.
async fn run_with(fake: &Fake, args: &[&str], input: &str) -> Ran {
    let mut command = stepwell();
    command.env("STEPWELL_API", &fake.url).args(args).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that does not read its input may end before it is written.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    Ran::of(child.wait_with_output().await.expect("it ends"))
}

async fn run_in(fake: &Fake, directory: &Path, args: &[&str]) -> Ran {
    let mut command = stepwell();
    command.env("STEPWELL_API", &fake.url).args(args).current_dir(directory);
    finish(command).await
}

#[tokio::test]
async fn versions_are_listed_viewed_and_made_to_serve() {
    let mut text = String::new();
    for args in [
        &["versions", "list", "--name", "shop"][..],
        &["versions", "list", "--name", "shop", "--json"],
        &["versions", "view", "stable", "--name", "shop"],
        &["versions", "deploy", "7@100%", "--name", "shop", "--message", "as before"],
        &["deployments", "status", "--name", "shop"],
        &["deployments", "list", "--name", "shop"],
        &["deployments", "history", "--name", "shop"],
        &["rollback", "--name", "shop"],
        &["rollback", "v-7", "--name", "shop", "--message", "it was better", "--yes"],
    ] {
        let fake = Fake::start().await;
        let ran = run(&fake, args).await;
        let asked = fake.asked().pop().expect("a request");
        let body = if asked.body.is_empty() { String::new() } else { format!(" {}", asked.body) };
        text += &format!("$ {}\n{}{body}\n{}\n", args.join(" "), asked.line, ran.told());
    }
    assert_snapshot!(text);
}

#[tokio::test]
async fn a_version_is_uploaded_without_serving() {
    let fake = Fake::start().await;
    let project = tempfile::tempdir().expect("a directory");
    write_project(project.path());
    let dir = project.path().to_str().expect("text");
    let ran = run(&fake, &["versions", "upload", dir, "--message", "a try", "--tag", "try-1"]).await;
    assert_eq!(fake.lines(), ["POST /workers/scripts/shop/versions?bindings_inherit=strict"], "{}", ran.told());
    let body = &fake.asked()[0].body;
    assert!(body.contains(r#""annotations":{"workers/message":"a try","workers/tag":"try-1"}"#), "{body}");
    assert_eq!(ran.stdout, "Uploaded version 10 of shop: v-10\nstepwell versions deploy 10 --name shop\n");
    let dry = run(&fake, &["deploy", dir, "--dry-run", "--json"]).await;
    let dry: serde_json::Value = serde_json::from_str(&dry.stdout).expect("JSON");
    assert_eq!((&dry["name"], &dry["dry_run"]), (&"shop".into(), &true.into()));
    assert_eq!(fake.lines().len(), 1, "nothing more has been uploaded");
}

#[tokio::test]
async fn a_secret_s_value_comes_on_standard_input() {
    let fake = Fake::start().await;
    let ran = run_with(&fake, &["secret", "put", "KEY", "--name", "shop"], "s3cret \n").await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "Secret KEY of shop has been set.\n"), "{}", ran.told());
    assert_eq!(fake.asked()[0].body, r#"{"name":"KEY","text":"s3cret","type":"secret_text"}"#);
    let as_argument = run(&fake, &["secret", "put", "KEY", "s3cret", "--name", "shop"]).await;
    assert_eq!(as_argument.code, 2, "{}", as_argument.told());
}

#[tokio::test]
async fn secrets_are_set_and_deleted_from_json_and_from_lines() {
    let lines = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(lines.path(), "A=1\nB='x y'\n").expect("written");
    let lines = lines.path().to_str().expect("text").to_owned();
    let fake = Fake::start().await;
    let from_json = run_with(&fake, &["secret", "bulk", "--name", "shop"], r#"{"A": "1", "OLD": null}"#).await;
    assert_eq!(from_json.stdout, "1 secret of shop set, 1 deleted.\n", "{}", from_json.told());
    let from_lines = run(&fake, &["secret", "bulk", &lines, "--name", "shop"]).await;
    assert_eq!(from_lines.stdout, "2 secrets of shop set.\n", "{}", from_lines.told());
    let bodies: Vec<String> = fake.asked().into_iter().map(|asked| asked.body).collect();
    let secret = |name: &str, text: &str| format!(r#"{{"name":"{name}","text":"{text}","type":"secret_text"}}"#);
    assert_eq!(bodies[0], format!(r#"{{"secrets":{{"A":{},"OLD":null}}}}"#, secret("A", "1")));
    assert_eq!(bodies[1], format!(r#"{{"secrets":{{"A":{},"B":{}}}}}"#, secret("A", "1"), secret("B", "x y")));
}

#[tokio::test]
async fn secrets_of_a_version_change_with_a_new_one() {
    let mut text = String::new();
    for (args, input) in [
        (&["put", "KEY"][..], "s3cret \n"),
        (&["put", "KEY", "--message", "rotated", "--tag", "r2"], "s3cret"),
        (&["bulk"], r#"{"A": "1", "OLD": null}"#),
        (&["delete", "KEY"], ""),
        (&["delete", "NONE"], ""),
        (&["list"], ""),
        (&["list", "--latest-version", "--json"], ""),
        (&["put", ""], "s3cret"),
    ] {
        let fake = Fake::start().await;
        let ran = run_with(&fake, &[&["versions", "secret"], args, &["--name", "shop"]].concat(), input).await;
        let asked = fake.asked().pop().map_or_else(String::new, |asked| format!("{} {}", asked.line, asked.body));
        text += &format!("$ {}\n{asked}\n{}\n", args.join(" "), ran.told());
    }
    assert_snapshot!(text);
}

/// What an upload with a file of secrets sends, and how it ended.
async fn uploaded_with(secrets: &str, command: &[&str]) -> (Option<String>, Ran) {
    let project = tempfile::tempdir().expect("a directory");
    write_project(project.path());
    std::fs::write(project.path().join("secrets"), secrets).expect("written");
    let fake = Fake::start().await;
    let ran = run_in(&fake, project.path(), &[command, &["--secrets-file", "secrets"]].concat()).await;
    (fake.asked().into_iter().map(|asked| asked.body).find(|body| body.contains("name=\"metadata\"")), ran)
}

#[tokio::test]
async fn secrets_of_a_file_go_up_with_the_code() {
    let secret = |name: &str| format!(r#"{{"name":"{name}","text":"s3cret","type":"secret_text"}}"#);
    for (command, file, name) in [
        (&["deploy"][..], r#"{"KEY": "s3cret"}"#, "KEY"),
        (&["versions", "upload"], "KEY=s3cret", "KEY"),
        (&["deploy"], "GREETING=s3cret", "GREETING"),
    ] {
        let (body, ran) = uploaded_with(file, command).await;
        let body = body.expect("an upload");
        assert!(ran.code == 0 && body.contains(&secret(name)), "{}", ran.told());
        assert!(!body.contains("keep_bindings"), "all others stay");
        assert_eq!(body.matches(&format!(r#""name":"{name}""#)).count(), 1);
        let is_warned = ran.stderr.contains("the secret GREETING takes the place of the variable");
        assert_eq!(is_warned, name == "GREETING", "{}", ran.told());
    }
}

#[tokio::test]
async fn a_file_of_secrets_that_cannot_be_is_refused_before_anything_is_sent() {
    for (file, told) in [(r#"{"A": null}"#, "\"A\" has no value"), ("nonsense", "secrets: neither"), ("{", "not JSON")]
    {
        let (body, ran) = uploaded_with(file, &["deploy"]).await;
        assert!(ran.code == 2 && body.is_none() && ran.stderr.contains(told), "{}", ran.told());
    }
}

#[tokio::test]
async fn secrets_are_listed_by_name_and_deleted() {
    let mut text = String::new();
    for args in [
        &["secret", "list", "--name", "shop"][..],
        &["secret", "list", "--name", "idle"],
        &["secret", "delete", "KEY", "--name", "shop"],
    ] {
        text += &format!("$ {}\n{}\n", args.join(" "), told(args).await);
    }
    assert_snapshot!(text);
}

#[tokio::test]
async fn the_worker_is_that_of_the_configuration_at_hand() {
    let project = tempfile::tempdir().expect("a directory");
    write_project(project.path());
    for (args, line) in [
        (&["secret", "list"][..], "GET /workers/scripts/shop/secrets"),
        (&["secret", "list", "--env", "staging", "--name", "shop"], "GET /workers/scripts/shop-staging/secrets"),
        (&["secret", "list", "-c", "wrangler.json"], "GET /workers/scripts/shop/secrets"),
        (&["versions", "list"], "GET /workers/scripts/shop/versions"),
        (&["delete", "--force"], "DELETE /workers/services/shop?force=true"),
        (&["delete", "idle"], "DELETE /workers/services/idle?force=false"),
    ] {
        let fake = Fake::start().await;
        let ran = run_in(&fake, project.path(), args).await;
        assert_eq!(fake.lines().pop().as_deref(), Some(line), "{args:?}: {}", ran.told());
    }
}

#[tokio::test]
async fn of_two_configurations_in_a_directory_one_is_taken_and_told() {
    let project = tempfile::tempdir().expect("a directory");
    write_project(project.path());
    std::fs::write(project.path().join("wrangler.toml"), "name = \"other\"\n").expect("written");
    let fake = Fake::start().await;
    let ran = run_in(&fake, project.path(), &["secret", "list"]).await;
    assert_eq!(fake.lines(), ["GET /workers/scripts/shop/secrets"]);
    let warning = "warning: wrangler.json: is taken, and wrangler.toml beside it is not; remove one, or name the file that \
                   is meant\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (0, warning));
    let named = run_in(&fake, project.path(), &["secret", "list", "-c", "wrangler.toml"]).await;
    assert_eq!(named.stderr.matches("warning").count(), 0, "{}", named.told());
}

#[tokio::test]
async fn a_worker_that_others_are_bound_to_is_deleted_by_force_only() {
    let fake = Fake::start().await;
    let refused = run(&fake, &["delete", "shop"]).await;
    assert_eq!((refused.code, fake.lines().len()), (4, 1), "{}", refused.told());
    assert!(refused.stderr.contains("shop is bound in front"), "{}", refused.told());
    let dry = run(&fake, &["delete", "idle", "--dry-run"]).await;
    assert_eq!((dry.stdout.as_str(), fake.lines().len()), ("idle would be deleted.\n", 2));
    let forced = run(&fake, &["delete", "shop", "--force"]).await;
    assert_eq!(forced.stdout, "Worker shop has been deleted.\n", "{}", forced.told());
}
