//! `--json` on every command: the tree of commands is walked, so that none can be forgotten.

use serde_json::Value;

use crate::fake::Fake;
use crate::{Ran, finish, run, stepwell, write_project};

/// Those that go on until they are stopped; their end-to-end tests read what they print.
const ENDLESS: [&str; 3] = ["stepwell dev", "stepwell serve", "stepwell tail"];

/// A line for each command that prints an answer. `PROJECT` stands for the directory of a project.
const LINES: [&str; 56] = [
    "stepwell deploy PROJECT",
    "stepwell versions upload PROJECT",
    "stepwell versions list --name shop",
    "stepwell versions view 7 --name shop",
    "stepwell versions deploy 7 --name shop",
    "stepwell versions secret put KEY --name shop",
    "stepwell versions secret list --name shop",
    "stepwell versions secret delete KEY --name shop",
    "stepwell versions secret bulk SECRETS --name shop",
    "stepwell deployments list",
    "stepwell deployments status --name shop",
    "stepwell deployments history --name shop",
    "stepwell deployments delete idle 3",
    "stepwell rollback --name shop",
    "stepwell delete idle",
    "stepwell secret put KEY --name shop",
    "stepwell secret list --name shop",
    "stepwell secret delete KEY --name shop",
    "stepwell secret bulk SECRETS --name shop",
    "stepwell token create ci --scope deploy,metadata",
    "stepwell token list",
    "stepwell token revoke t-2",
    "stepwell account create team",
    "stepwell account list",
    "stepwell account delete a-2",
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
    "stepwell d1 create shop",
    "stepwell d1 list",
    "stepwell d1 info shop",
    "stepwell d1 execute shop --command SELECT",
    "stepwell d1 export shop --output SCRIPT",
    "stepwell d1 delete shop",
    "stepwell d1 migrations create shop first --config PROJECT",
    "stepwell d1 migrations list shop --config PROJECT",
    "stepwell d1 migrations apply shop --config PROJECT",
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
    ENDLESS.contains(&command) || OF_PROFILES.contains(&command) || LINES.iter().any(|line| begins(line))
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

/// A project and a file of secrets, for the lines above.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        write_project(directory.path());
        std::fs::write(directory.path().join("secrets.json"), r#"{"A": "1"}"#).expect("written");
        Self { directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("text").to_owned()
    }

    async fn run(&self, line: &str, fake: &Fake, more: &[&str]) -> Ran {
        let (project, secrets, script) = (self.path(""), self.path("secrets.json"), self.path("script.sql"));
        let words = line.split(' ').skip(1).map(|word| match word {
            "PROJECT" => project.as_str(),
            "SECRETS" => secrets.as_str(),
            "SCRIPT" => script.as_str(),
            other => other,
        });
        let mut command = stepwell();
        command.env("STEPWELL_API", &fake.url).env("XDG_CONFIG_HOME", self.path("home")).args(words).args(more);
        let ran = finish(command).await;
        Ran { stdout: ran.stdout.replace(&fake.url, "http://SERVER"), ..ran }
    }
}

#[tokio::test]
async fn what_commands_print_with_json_is_json() {
    let place = Place::new();
    for line in LINES {
        let ran = place.run(line, &Fake::start().await, &["--json"]).await;
        let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        // Lines of logs are an object each.
        let printed = is_json(&ran.stdout) || (line.contains(" logs ") && ran.stdout.lines().all(is_json));
        assert!(ran.code == 0 && printed, "{line}: {}", ran.told());
    }
}

#[tokio::test]
async fn a_newer_server_that_tells_more_is_understood() {
    let place = Place::new();
    for line in LINES {
        let (now, newer) = (Fake::start().await, Fake::answering(with_more).await);
        let expected = place.run(line, &now, &[]).await;
        if now.lines().is_empty() {
            continue;
        }
        let ran = place.run(line, &newer, &[]).await;
        assert_eq!((ran.code, ran.stdout), (expected.code, expected.stdout), "{line}: {}", ran.stderr);
    }
}

/// With a member in every object that nobody knows yet, but for those whose members are names of the user or words.
fn with_more(text: String) -> String {
    let Ok(mut answer) = serde_json::from_str(&text) else { return text };
    add_more(&mut answer);
    answer.to_string()
}

fn add_more(value: &mut Value) {
    match value {
        Value::Array(members) => members.iter_mut().for_each(add_more),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if !["annotations", "instances", "json", "params"].contains(&name.as_str()) {
                    add_more(member);
                }
            }
            members.insert("of_a_later_version".to_owned(), serde_json::json!({ "a": [1] }));
        }
        _ => {}
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

#[tokio::test]
async fn warnings_are_json_where_the_output_is() {
    let (place, fake) = (Place::new(), Fake::start().await);
    let config = place.path("wrangler.json");
    let text = std::fs::read_to_string(&config).expect("a configuration").replacen('{', "{ \"nonsense\": 1,", 1);
    std::fs::write(config, text).expect("written");
    for (more, code) in [(&["--json"][..], 0), (&["--json", "--token", "wrong"], 7)] {
        let ran = place.run("stepwell deploy PROJECT", &fake, more).await;
        let lines: Vec<Value> = ran
            .stderr
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{}", ran.told())))
            .collect();
        let warned = lines[0]["warning"]["message"].as_str().is_some_and(|message| message.contains("nonsense"));
        assert!(ran.code == code && warned, "{}", ran.told());
        assert_eq!(lines.get(1).map(|line| &line["error"]["exit_code"]), (code > 0).then_some(&code.into()));
    }
}
