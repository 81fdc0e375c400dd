//! D1 databases, from their creation to their end, and the Worker that is bound to one.

use crate::on_every_release;

on_every_release!(a_database_is_made_filled_moved_on_exported_and_deleted, the_onboarding_example_runs_on_its_database);

mod tell {
    use serde_json::json;

    use crate::release::Release;
    use crate::support::{Project, Server};
    use crate::terminal::Terminal;

    /// A project with a database of this id and a migration for it.
    fn project(id: &str) -> Project {
        let database = json!({ "binding": "DB", "database_name": "books", "database_id": id });
        let source = "export default { fetch: async (_, env) => \
            Response.json((await env.DB.prepare('SELECT * FROM book ORDER BY id').all()).results) };";
        let project = Project::configured("library", &[], json!({ "d1_databases": [database] }), source);
        let migration = "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT NOT NULL);\n";
        project.write("migrations/0001_books.sql", migration);
        project.write(
            "fill.sql",
            "INSERT INTO book (title) VALUES ('Emma');\nINSERT INTO book (title) VALUES ('Momo');\n",
        );
        project
    }

    pub async fn a_database_is_made_filled_moved_on_exported_and_deleted(release: Release) {
        let server = Server::serve().await;
        let mut terminal = Terminal::open(release, &server).await;
        terminal.wrangler(&["d1", "create", "books"]).await;
        let listed = server.api(hyper::Method::GET, "d1/database", "").await.ok();
        let project = project(listed["result"][0]["uuid"].as_str().expect("an id"));
        terminal.enter(&project, "LIBRARY");
        terminal.wrangler(&["d1", "list", "--json"]).await;
        terminal.wrangler(&["d1", "migrations", "apply", "books", "--remote"]).await;
        terminal.wrangler(&["d1", "execute", "books", "--remote", "--yes", "--file", "fill.sql"]).await;
        let select = "SELECT * FROM book";
        terminal.wrangler(&["d1", "execute", "books", "--remote", "--json", "--command", select]).await;
        terminal.wrangler(&["d1", "execute", "books", "--remote", "--command", "SELECT * FROM shelf"]).await;
        terminal.wrangler(&["d1", "info", "books"]).await;
        terminal.wrangler(&["deploy"]).await;
        terminal.fetch(&server, "library", "/").await;
        terminal.wrangler(&["d1", "export", "books", "--remote", "--output", "books.sql"]).await;
        terminal.note(&format!("books.sql:\n{}", project.read("books.sql")));
        terminal.wrangler(&["delete", "--force"]).await;
        terminal.wrangler(&["d1", "delete", "books", "--skip-confirmation"]).await;
        terminal.wrangler(&["d1", "list"]).await;
        terminal.assert("d1");
    }

    pub async fn the_onboarding_example_runs_on_its_database(release: Release) {
        let server = Server::serve().await;
        let mut terminal = Terminal::open(release, &server).await;
        terminal.enter(&Project::example("onboarding"), "ONBOARDING");
        terminal.wrangler(&["deploy"]).await;
        terminal.wrangler(&["d1", "execute", "my-app-db", "--remote", "--yes", "--file", "schema.sql"]).await;
        let params = r#"{"userId":"user_1","email":"ada@example.com","plan":"free"}"#;
        terminal.wrangler(&["workflows", "trigger", "onboarding-workflow", params]).await;
        let id = terminal.newest_instance(&server, "onboarding-workflow").await;
        server.until("onboarding-workflow", &id, |detail| detail["steps"][0]["success"] == true).await;
        let select = "SELECT name, orgId FROM Project";
        terminal.wrangler(&["d1", "execute", "my-app-db", "--remote", "--json", "--command", select]).await;
        terminal.wrangler(&["workflows", "instances", "terminate", "onboarding-workflow", &id]).await;
        terminal.assert("onboarding_d1");
    }
}
