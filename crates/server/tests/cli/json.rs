//! `--json` on every command: the tree of commands is walked, so that none can be forgotten.

use serde_json::Value;

use crate::fake::Fake;
use crate::{finish, run, stepwell, write_project};

/// Those that go on until they are stopped; their end-to-end tests read what they print.
const SERVERS: [&str; 2] = ["stepwell dev", "stepwell serve"];

/// A line for each command that prints an answer. `PROJECT` stands for the directory of a project.
const LINES: [&str; 36] = [
    "stepwell deploy PROJECT",
    "stepwell versions upload PROJECT",
    "stepwell versions list --name shop",
    "stepwell versions view 7 --name shop",
    "stepwell versions deploy 7 --name shop",
    "stepwell deployments list",
    "stepwell deployments status --name shop",
    "stepwell deployments delete idle 3",
    "stepwell rollback --name shop",
    "stepwell delete idle",
    "stepwell secret put KEY --name shop",
    "stepwell secret list --name shop",
    "stepwell secret delete KEY --name shop",
    "stepwell secret bulk SECRETS --name shop",
    "stepwell workflows list",
    "stepwell workflows describe orders",
    "stepwell workflows trigger orders",
    "stepwell workflows delete orders",
    "stepwell workflows instances list orders",
    "stepwell workflows instances describe orders busy",
    "stepwell workflows instances logs orders done",
    "stepwell workflows instances pause orders busy",
    "stepwell workflows instances resume orders busy",
    "stepwell workflows instances restart orders busy",
    "stepwell workflows instances terminate orders busy",
    "stepwell workflows instances terminate-all orders",
    "stepwell workflows instances send-event orders busy --type t",
    "stepwell workflows instances delete orders a",
    "stepwell whoami --token good",
    "stepwell env",
    "stepwell capabilities",
    "stepwell setup",
    "stepwell doctor --port 0 --api-port 0",
    "stepwell completions bash",
    "stepwell exit-codes",
    "stepwell profiles list",
];

/// These have their tests with profiles, since they need a home.
const OF_PROFILES: [&str; 3] = ["stepwell login", "stepwell logout", "stepwell profiles use"];

async fn commands() -> Vec<(String, Vec<String>)> {
    let mut command = stepwell();
    command.args(["reference", "--json"]);
    let tree: Value = serde_json::from_str(&finish(command).await.stdout).expect("JSON");
    let flags = |leaf: &Value| serde_json::from_value(leaf["flags"].clone()).expect("flags");
    let leaves = tree.as_array().expect("commands").iter();
    leaves.map(|leaf| (leaf["command"].as_str().expect("words").to_owned(), flags(leaf))).collect()
}

fn is_tried(command: &str) -> bool {
    let begins = |line: &str| line.strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    SERVERS.contains(&command) || OF_PROFILES.contains(&command) || LINES.iter().any(|line| begins(line))
}

#[tokio::test]
async fn every_command_takes_json_and_is_tried_with_it() {
    let commands = commands().await;
    assert!(commands.len() > 30, "{commands:?}");
    for (command, flags) in commands {
        assert!(flags.iter().any(|flag| flag == "--json"), "{command} takes no --json");
        assert!(is_tried(&command), "no line above tries {command} with --json; add one");
    }
}

#[tokio::test]
async fn what_commands_print_with_json_is_json() {
    let directory = tempfile::tempdir().expect("a directory");
    write_project(directory.path());
    std::fs::write(directory.path().join("secrets.json"), r#"{"A": "1"}"#).expect("written");
    let place = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    let (project, secrets, home) = (place(""), place("secrets.json"), place("home"));
    for line in LINES {
        let fake = Fake::start().await;
        let words = line.split(' ').skip(1).map(|word| match word {
            "PROJECT" => project.as_str(),
            "SECRETS" => secrets.as_str(),
            other => other,
        });
        let mut command = stepwell();
        command.env("STEPWELL_API", &fake.url).env("XDG_CONFIG_HOME", &home).args(words).arg("--json");
        let ran = finish(command).await;
        let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        // Lines of logs are an object each.
        let printed = is_json(&ran.stdout) || (line.contains(" logs ") && ran.stdout.lines().all(is_json));
        let refused = ran.code != 0 && is_json(&ran.stderr);
        assert!(
            (ran.code == 0 && printed) || (line.contains("deployments delete") && refused),
            "{line}: {}",
            ran.told()
        );
    }
}

#[tokio::test]
async fn errors_are_json_where_the_output_is() {
    let fake = Fake::start().await;
    for (args, kind, code, status) in [
        (&["workflows", "describe", "nobody"][..], "not_found", 3, Some(404)),
        (&["workflows", "instances", "pause", "orders", "done"], "refused", 4, Some(400)),
        (&["workflows", "list", "--token", "wrong"], "unauthorized", 7, Some(401)),
        (&["workflows", "list", "--api", "ftp://h"], "usage", 2, None),
        (&["workflows", "list", "--no-such-flag"], "usage", 2, None),
        (&["workflows", "describe", "strange"], "failure", 1, None),
    ] {
        let ran = run(&fake, &[args, &["--json"]].concat()).await;
        let told: Value = serde_json::from_str(&ran.stderr).unwrap_or_else(|_| panic!("{}", ran.told()));
        let error = &told["error"];
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{args:?}");
        assert_eq!((&error["kind"], &error["exit_code"]), (&kind.into(), &code.into()), "{told}");
        assert_eq!(error["status"].as_u64(), status, "{told}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{told}");
    }
}
