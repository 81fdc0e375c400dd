//! `stepwell d1` against a real server, from a new database to its end.

use std::process::Output;

use serde_json::{Value as Json, json};

use crate::support::{Project, Server};

/// Somebody in the directory of a project.
struct Shell<'a> {
    server: &'a Server,
    project: &'a Project,
}

impl Shell<'_> {
    async fn ends(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_stepwell"));
        command.arg("d1").args(arguments).args(["--api", &format!("http://{}", self.server.api)]);
        command.current_dir(self.project.path()).env("XDG_CONFIG_HOME", "/nonexistent");
        command.env("STEPWELL_TOKEN", self.server.token.as_deref().expect("serve has a token"));
        command.stdin(std::process::Stdio::null()).output().await.expect("the command line runs")
    }

    async fn runs(&self, arguments: &[&str]) -> String {
        let output = self.ends(arguments).await;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
        told
    }

    async fn json(&self, arguments: &[&str]) -> Json {
        serde_json::from_str(&self.runs(&[arguments, &["--json"]].concat()).await).expect("JSON")
    }

    /// Exit code and standard error of a command that must fail.
    async fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.ends(arguments).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?}: {told}");
        (output.status.code().expect("a code"), told)
    }

    async fn rows(&self, sql: &str) -> Json {
        self.json(&["execute", "DB", "--command", sql]).await[0]["results"].take()
    }
}

fn project() -> Project {
    Project::new(&[
        ("wrangler.toml", "[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"shop\"\nmigrations_dir = \"sql\"\n"),
        ("data.sql", "CREATE TABLE t (a, b);\nINSERT INTO t VALUES (1, 'x;y');\nINSERT INTO t VALUES (2, NULL);\n"),
        ("bad.sql", "DELETE FROM t;\nINSERT INTO nowhere VALUES (1);\n"),
    ])
}

#[tokio::test]
async fn a_database_is_filled_from_a_file_queried_and_exported() {
    let (server, project) = (Server::serve().await, project());
    let shell = Shell { server: &server, project: &project };
    let made = shell.json(&["create", "shop"]).await;
    assert_eq!(shell.json(&["list"]).await[0]["uuid"], made["uuid"]);
    let ran = shell.json(&["execute", "DB", "--file", "data.sql"]).await;
    assert_eq!((&ran["num_queries"], &ran["meta"]["rows_written"]), (&json!(3), &json!(2)));
    assert_eq!(shell.rows("SELECT b FROM t").await, json!([{ "b": "x;y" }, { "b": null }]));
    let table = shell.runs(&["execute", "DB", "--command", "SELECT * FROM t"]).await;
    assert_eq!(table, "a  b\n1  x;y\n2  NULL\n2 rows\n");
    let (code, told) = shell.fails(&["execute", "DB", "--file", "bad.sql"]).await;
    assert_eq!(code, 4);
    assert!(told.contains("bad.sql: statement 2 (line 2): no such table: nowhere"), "{told}");
    assert_eq!(shell.rows("SELECT count(*) AS n FROM t").await, json!([{ "n": 2 }]), "it is as it was before");
    shell.runs(&["export", "DB", "--output", "out.sql"]).await;
    shell.runs(&["create", "copy"]).await;
    shell.runs(&["execute", "copy", "--file", "out.sql"]).await;
    let copied = shell.runs(&["export", "copy", "--output", "-"]).await;
    assert_eq!(copied, project.read("out.sql"));
    let (code, told) = shell.fails(&["export", "DB", "--output", "none.sql", "--table", "nobody"]).await;
    assert_eq!((code, told.contains("no such table: nobody")), (4, true), "{told}");
    assert!(!project.file("none.sql").exists());
    let info = shell.json(&["info", "shop"]).await;
    assert_eq!((&info["name"], &info["num_tables"]), (&json!("shop"), &json!(1)));
    shell.runs(&["delete", "DB", "--yes"]).await;
    assert_eq!(shell.fails(&["info", "DB"]).await.0, 3);
}

#[tokio::test]
async fn migrations_are_applied_once_each_whole_or_not_at_all() {
    let (server, project) = (Server::serve().await, project());
    let shell = Shell { server: &server, project: &project };
    shell.runs(&["create", "shop"]).await;
    for message in ["make users", "fill users"] {
        shell.runs(&["migrations", "create", "DB", message]).await;
    }
    project.write("sql/0001_make_users.sql", "CREATE TABLE users (id INTEGER PRIMARY KEY)");
    project.write("sql/0002_fill_users.sql", "INSERT INTO users VALUES (1);\nINSERT INTO users VALUES (1);");
    let names = |names: &[&str]| names.iter().map(|name| json!({ "name": name })).collect::<Json>();
    let open = shell.json(&["migrations", "list", "DB"]).await;
    assert_eq!(open, names(&["0001_make_users.sql", "0002_fill_users.sql"]));
    let (code, told) = shell.fails(&["migrations", "apply", "DB"]).await;
    assert_eq!(code, 4);
    assert!(told.contains("migration 0002_fill_users.sql: statement 2 (line 2): UNIQUE constraint failed"), "{told}");
    assert_eq!(shell.json(&["migrations", "list", "DB"]).await, names(&["0002_fill_users.sql"]));
    assert_eq!(shell.rows("SELECT * FROM users").await, json!([]), "nothing of it was kept");
    project.write("sql/0002_fill_users.sql", "INSERT INTO users VALUES (1);\n-- done");
    assert_eq!(shell.json(&["migrations", "apply", "DB"]).await, names(&["0002_fill_users.sql"]));
    assert_eq!(shell.json(&["migrations", "apply", "DB"]).await, json!([]));
    let noted = shell.rows("SELECT name FROM d1_migrations ORDER BY id").await;
    assert_eq!(noted, names(&["0001_make_users.sql", "0002_fill_users.sql"]));
}
