//! `dev` of several projects, and how each is told of.

use serde_json::{Value as Json, json};

use crate::support::{Launch, Project, Server, eventually};

/// Projects in a directory of their own, and their names.
struct Several {
    parent: Project,
    names: Vec<&'static str>,
}

impl Several {
    fn new(names: &[&'static str]) -> Self {
        let several = Self { parent: Project::new(&[]), names: names.to_vec() };
        for name in names {
            let config = json!({ "name": name, "main": "index.js", "compatibility_date": "2025-06-01" });
            several.parent.write(&format!("{name}/wrangler.json"), &config.to_string());
            several.answer(name, "old");
        }
        several
    }

    fn answer(&self, name: &str, text: &str) {
        let source = format!("export default {{ fetch: () => Response.json({text:?}) }};");
        self.parent.write(&format!("{name}/index.js"), &source);
    }

    fn launch(&self) -> Launch {
        self.names.iter().fold(Launch::dev(&[]), |launch, name| launch.arg(&self.path(name)))
    }

    fn path(&self, name: &str) -> String {
        self.parent.file(name).display().to_string()
    }
}

impl Server {
    async fn answers_as(&self, script: &str, text: &str) {
        let told = || format!("{script} answers {text}:\n{}", self.stderr());
        eventually(told, || async { (self.get(script, "/").await == text).then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_broken_project_keeps_none_of_the_others_back() {
    let several = Several::new(&["one", "two", "three"]);
    let server = several.launch().start().await;
    several.parent.write("one/index.js", "export default {");
    several.parent.write("two/index.js", "throw new Error('not today');");
    several.answer("three", "new");
    server.answers_as("three", "new").await;
    server.says(&format!("error: {}: ", several.path("one"))).await;
    server.says(&format!("error: {}: ", several.path("two"))).await;
    assert_eq!(server.get("one", "/").await, "old");
    several.answer("one", "new");
    server.answers_as("one", "new").await;
}

#[tokio::test]
async fn what_is_wrong_with_each_project_is_told_at_the_start() {
    let several = Several::new(&["one", "two", "three"]);
    several.parent.write("one/index.js", "export default {");
    several.parent.write("three/wrangler.json", "{");
    let refused = several.launch().refused().await;
    for name in ["one", "three"] {
        assert!(refused.stderr.contains(&format!("{}: ", several.path(name))), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn a_project_that_is_given_twice_is_named() {
    let several = Several::new(&["one", "one"]);
    let refused = several.launch().refused().await;
    let told = format!("error: {} is given twice: give each project once\n", several.path("one"));
    assert_eq!(refused.stderr, told);
    let file = several.path("one/wrangler.json");
    let refused = several.launch().arg(&file).refused().await;
    assert!(refused.stderr.contains("is given twice"), "{}", refused.stderr);
    let refused = Launch::dev(&[]).arg(&several.path("one")).arg(&file).refused().await;
    let told = format!("error: {} and {file} are the same project: give it once\n", several.path("one"));
    assert_eq!(refused.stderr, told);
}

#[tokio::test]
async fn warnings_of_several_projects_name_theirs() {
    let several = Several::new(&["one", "two"]);
    several.parent.change("two/wrangler.json", "{", "{\n\"nonsense\": 1, ");
    let server = several.launch().start().await;
    server.says(&format!("warning: {}: wrangler.json:2: nonsense", several.path("two"))).await;
}

#[tokio::test]
async fn errors_and_warnings_of_a_redeploy_are_json_where_the_output_is() {
    let several = Several::new(&["one", "two"]);
    let server = several.launch().arg("--json").start().await;
    several.parent.change("one/wrangler.json", "{", "{\n\"nonsense\": 1, ");
    several.parent.write("two/index.js", "export default {");
    server.says("goes on running").await;
    server.prints("{\"deployed\":[\"one\"]}").await;
    let told = server.stderr();
    let lines: Vec<Json> =
        told.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{told}"))).collect();
    let message = |kind: &str| lines.iter().find_map(|line| line[kind]["message"].as_str()).unwrap_or_default();
    assert!(message("warning").starts_with(&format!("{}: wrangler.json:2: nonsense", several.path("one"))), "{told}");
    assert!(message("error").starts_with(&format!("{}: ", several.path("two"))), "{told}");
}
