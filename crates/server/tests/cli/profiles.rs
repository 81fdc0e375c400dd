//! Profiles on the command line: logging in and out, and which server is asked with which token.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use insta::assert_snapshot;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::fake::{ACCOUNT, Fake};
use crate::{Ran, finish, stepwell};

/// A user with a home of their own.
struct User {
    home: TempDir,
}

impl User {
    fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a directory") }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = stepwell();
        command.env("XDG_CONFIG_HOME", self.home.path()).args(args);
        command
    }

    async fn run(&self, args: &[&str]) -> Ran {
        finish(self.command(args)).await
    }

    async fn run_with(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).await.expect("it reads");
        drop(stdin);
        Ran::of(child.wait_with_output().await.expect("it ends"))
    }

    async fn logs_in(&self, fake: &Fake, name: &str, token: &str) {
        let ran = self.run_with(&["login", &fake.url, "--name", name, "--token", "-"], &format!("{token}\n")).await;
        assert_eq!(ran.code, 0, "{}", ran.told());
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("stepwell/profiles.toml")
    }

    /// The output with what differs from run to run replaced.
    fn redacted(&self, ran: &Ran, fake: &Fake) -> String {
        let home = self.home.path().to_str().expect("text");
        ran.told().replace(&fake.url, "http://SERVER").replace(home, "HOME")
    }
}

/// Names and values.
type Variables<'a> = &'a [(&'a str, &'a str)];

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn a_login_is_checked_kept_for_its_owner_and_used() {
    let (user, fake) = (User::new(), Fake::start().await);
    let ran = user.run_with(&["login", &fake.url, "--token", "-"], "good\n").await;
    assert_snapshot!("login", user.redacted(&ran, &fake));
    assert_eq!(mode(&user.file()), 0o600);
    let list = user.run(&["workflows", "list"]).await;
    assert_eq!(list.code, 0, "{}", list.told());
    let asked = fake.asked();
    assert_eq!(asked.last().expect("asked").token.as_deref(), Some("Bearer good"));
    assert_snapshot!("whoami", user.redacted(&user.run(&["whoami"]).await, &fake));
    assert_snapshot!("env_of_profile", user.redacted(&user.run(&["env"]).await, &fake));
}

#[tokio::test]
async fn a_token_that_the_server_refuses_is_not_kept() {
    let (user, fake) = (User::new(), Fake::start().await);
    let ran = user.run_with(&["login", &fake.url, "--token", "-"], "wrong\n").await;
    assert_eq!(ran.code, 7, "{}", ran.told());
    assert!(!user.file().exists());
    let empty = user.run_with(&["login", &fake.url, "--token", "-"], "\n").await;
    assert_eq!((empty.code, empty.stderr.as_str()), (2, "error: the token is empty\n"));
    let unasked = user.run(&["login", &fake.url]).await;
    assert!(unasked.code == 2 && unasked.stderr.contains("--token -"), "{}", unasked.told());
    let as_argument = user.run(&["login", &fake.url, "--token", "good"]).await;
    assert_eq!(as_argument.code, 2, "{}", as_argument.told());
    assert!(!user.file().exists());
}

#[tokio::test]
async fn profiles_are_listed_chosen_and_forgotten() {
    let (user, fake) = (User::new(), Fake::start().await);
    user.logs_in(&fake, "prod", "one").await;
    user.logs_in(&fake, "test", "two").await;
    let mut text = String::new();
    for args in [
        &["profiles", "list"][..],
        &["profiles", "list", "--json"],
        &["profiles", "use", "prod"],
        &["profiles", "use", "nobody"],
        &["login", &fake.url, "--name", "local"],
        &["login", "example.com"],
        &["logout"],
        &["profiles", "list"],
        &["logout"],
        &["logout", "--name", "test", "--json"],
        &["profiles", "use", "local"],
    ] {
        let ran = user.run(args).await;
        let line = args.join(" ").replace(&fake.url, "http://SERVER");
        text += &format!("$ {line}\n{}\n", user.redacted(&ran, &fake));
    }
    assert!(!text.contains("one") && !text.contains("two"), "a token is shown: {text}");
    assert_snapshot!(text);
    let kept = std::fs::read_to_string(user.file()).expect("a file");
    assert!(!kept.contains("token"), "{kept}");
}

#[tokio::test]
async fn a_profile_s_token_goes_to_its_own_server_only() {
    let (user, prod, other) = (User::new(), Fake::start().await, Fake::start().await);
    user.logs_in(&prod, "prod", "of-prod").await;
    let cases: [(&[&str], Variables<'_>, &Fake, Option<&str>); 7] = [
        (&[], &[], &prod, Some("of-prod")),
        (&["--api", &other.url], &[], &other, None),
        (&[], &[("STEPWELL_API", &other.url)], &other, None),
        (&[], &[("STEPWELL_TOKEN", "of-env")], &prod, Some("of-env")),
        (&[], &[("CLOUDFLARE_API_TOKEN", "of-cloudflare")], &prod, Some("of-prod")),
        (&[], &[("CLOUDFLARE_API_BASE_URL", &other.url), ("CLOUDFLARE_API_TOKEN", "c")], &other, Some("c")),
        (&["--profile", "prod"], &[("STEPWELL_API", &other.url), ("STEPWELL_TOKEN", "e")], &prod, Some("of-prod")),
    ];
    for (args, variables, server, token) in cases {
        let before = server.asked().len();
        let mut command = user.command(&[&["workflows", "list"], args].concat());
        command.envs(variables.iter().copied());
        let ran = finish(command).await;
        assert_eq!(ran.code, 0, "{}", ran.told());
        let asked = server.asked();
        let asked = asked.get(before).expect("this server is asked");
        let bearer = token.map(|token| format!("Bearer {token}"));
        assert_eq!(asked.token, bearer, "{args:?} {variables:?}");
    }
}

#[tokio::test]
async fn an_address_that_makes_no_sense_is_told_with_who_named_it() {
    let user = User::new();
    let mut command = user.command(&["workflows", "list"]);
    command.env("CLOUDFLARE_API_BASE_URL", "https://api.cloudflare.com/client/v4");
    let ran = finish(command).await;
    assert!(ran.code == 2 && ran.stderr.contains("(named by CLOUDFLARE_API_BASE_URL)"), "{}", ran.told());
}

#[tokio::test]
async fn another_account_is_asked_where_the_profile_or_a_flag_says_so() {
    let (user, fake) = (User::new(), Fake::start().await);
    let login = ["login", &fake.url, "--token", "-", "--account", "second"];
    let ran = user.run_with(&login, "good").await;
    assert_eq!(ran.code, 0, "{}", ran.told());
    user.run(&["workflows", "list"]).await;
    user.run(&["workflows", "list", "--account", ACCOUNT]).await;
    let lines = fake.lines();
    assert_eq!(lines[lines.len() - 2..], ["GET /accounts/second/workflows?page=1", "GET /workflows?page=1"]);
    let unknown = user.run_with(&["login", &fake.url, "--token", "-", "--account", "third"], "good").await;
    assert_eq!(unknown.code, 7, "{}", unknown.told());
}

#[tokio::test]
async fn a_file_that_others_could_read_is_closed_with_a_word() {
    let (user, fake) = (User::new(), Fake::start().await);
    user.logs_in(&fake, "prod", "good").await;
    std::fs::set_permissions(user.file(), std::fs::Permissions::from_mode(0o644)).expect("changed");
    let ran = user.run(&["workflows", "list"]).await;
    assert_eq!(ran.code, 0, "{}", ran.told());
    assert!(ran.stderr.contains("could be read by others and is closed to them now"), "{}", ran.told());
    assert_eq!(mode(&user.file()), 0o600);
    assert_eq!(user.run(&["workflows", "list"]).await.stderr, "");
}

#[tokio::test]
async fn a_profile_that_does_not_serve_is_told_by_its_name() {
    let (user, fake) = (User::new(), Fake::start().await);
    user.logs_in(&fake, "prod", "good").await;
    let file = std::fs::read_to_string(user.file()).expect("a file").replace("good", "wrong");
    std::fs::write(user.file(), file).expect("written");
    let refused = user.run(&["workflows", "list"]).await;
    assert_snapshot!("token_revoked", user.redacted(&refused, &fake));
    let url = fake.url.clone();
    drop(fake);
    let away = user.run(&["workflows", "list"]).await;
    assert_eq!(away.code, 5, "{}", away.told());
    assert!(away.stderr.contains("Profile prod names it") && away.stderr.contains(&url), "{}", away.told());
    std::fs::write(user.file(), "[profiles\n").expect("written");
    let broken = user.run(&["workflows", "list"]).await;
    assert!(broken.code == 1 && broken.stderr.contains("profiles.toml cannot be understood"), "{}", broken.told());
    let elsewhere = user.run(&["workflows", "list", "--api", &url]).await;
    assert_eq!(elsewhere.code, 5, "a broken file is in nobody's way: {}", elsewhere.told());
}
