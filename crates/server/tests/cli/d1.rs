//! Databases on the command line: what people see and what is asked. The rest is tried with a real server.

use insta::assert_snapshot;

use crate::fake::Fake;
use crate::run;

#[tokio::test]
async fn databases_are_asked_for_in_wranglers_words_and_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = "[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"shop\"\ndatabase_id = \"shop-id\"\n";
    std::fs::write(directory.path().join("wrangler.toml"), config).expect("written");
    std::fs::write(directory.path().join("schema.sql"), "CREATE TABLE t (a);").expect("written");
    let place = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    let (root, schema, output) = (place(""), place("schema.sql"), place("out.sql"));
    let mut text = String::new();
    for args in [
        &["d1", "create", "shop"][..],
        &["d1", "list"],
        &["d1", "info", "shop"],
        &["d1", "info", "DB", "--config", &root],
        &["d1", "info", "nobody"],
        &["d1", "execute", "shop", "--command", "SELECT * FROM t"],
        &["d1", "execute", "DB", "--file", &schema, "--config", &root],
        &["d1", "execute", "shop"],
        &["d1", "execute", "shop", "--remote", "--command", "SELECT * FROM t"],
        &["d1", "execute", "shop", "--local", "--command", "SELECT * FROM t"],
        &["d1", "migrations", "list", "DB", "--remote", "--config", &root],
        &["d1", "export", "shop", "--output", &output],
        &["d1", "export", "shop", "--output", "-", "--no-schema", "--table", "t"],
        &["d1", "delete", "shop", "--yes"],
        &["d1", "migrations", "list", "DB", "--config", &root],
    ] {
        let fake = Fake::start().await;
        let ran = run(&fake, args).await;
        let asked: Vec<String> = fake.asked().iter().map(|asked| format!("{} {}\n", asked.line, asked.body)).collect();
        text += &format!("$ {}\n{}{}\n", args.join(" "), asked.concat(), ran.told());
    }
    assert_snapshot!(text.replace(&root, "ROOT/"));
    assert_eq!(std::fs::read_to_string(output).expect("an export"), "CREATE TABLE t (a);\n");
}
