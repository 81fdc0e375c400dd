//! Paths of D1, over real databases.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::server::Server;

const DATABASES: &str = "/d1/database";
/// The MD5 of nothing.
const NO_FILE: &str = "d41d8cd98f00b204e9800998ecf8427e";

impl Server {
    async fn database(&self, name: &str) -> String {
        let made = self.ok("POST", DATABASES, json!({ "name": name })).await;
        made["uuid"].as_str().expect("a uuid").to_owned()
    }

    async fn sql(&self, database: &str, sql: &str) -> Value {
        self.ok("POST", &format!("{DATABASES}/{database}/query"), json!({ "sql": sql })).await
    }

    async fn import_action(&self, database: &str, body: Value) -> Value {
        self.ok("POST", &format!("{DATABASES}/{database}/import"), body).await
    }

    /// As clients do it, up to the end. The MD5 is the caller's to know.
    async fn import(&self, database: &str, script: &str, md5: &str) -> Value {
        let init = self.import_action(database, json!({ "action": "init", "etag": md5 })).await;
        let (status, headers, _) = self.bytes("PUT", path_of(&init["upload_url"]), script).await;
        assert_eq!((status, text(&headers["etag"])), (200, format!("\"{md5}\"")));
        let filename = &init["filename"];
        let begun =
            self.import_action(database, json!({ "action": "ingest", "filename": filename, "etag": md5 })).await;
        self.polled(begun, |bookmark| {
            self.import_action(database, json!({ "action": "poll", "current_bookmark": bookmark }))
        })
        .await
    }

    async fn export(&self, database: &str, options: Value) -> Value {
        let path = format!("{DATABASES}/{database}/export");
        let begun = self.ok("POST", &path, json!({ "output_format": "polling", "dump_options": options })).await;
        self.polled(begun, |bookmark| {
            self.ok("POST", &path, json!({ "output_format": "polling", "current_bookmark": bookmark }))
        })
        .await
    }

    async fn polled<F: Future<Output = Value>>(&self, mut seen: Value, poll: impl Fn(Value) -> F) -> Value {
        while seen["status"] == "active" {
            seen = poll(seen["at_bookmark"].clone()).await;
        }
        seen
    }

    async fn download(&self, export: &Value) -> (u16, HeaderMap, Bytes) {
        self.bytes("GET", path_of(&export["result"]["signed_url"]), "").await
    }
}

fn path_of(url: &Value) -> &str {
    let url = url.as_str().expect("an address");
    url.strip_prefix("http://localhost:8788").unwrap_or_else(|| panic!("{url} is not below the Host header's address"))
}

fn text(header: &HeaderValue) -> String {
    header.to_str().expect("text").to_owned()
}

fn md5(text: &str) -> String {
    use md5::{Digest as _, Md5};
    format!("{:x}", Md5::digest(text))
}

#[tokio::test]
async fn a_database_is_created_listed_shown_by_id_or_name_and_deleted() {
    let server = Server::start().await;
    let made = server.ok("POST", DATABASES, json!({ "name": "shop", "jurisdiction": "eu", "future": 1 })).await;
    let id = made["uuid"].as_str().expect("a uuid").to_owned();
    assert_eq!(
        (&made["name"], &made["version"], &made["jurisdiction"]),
        (&json!("shop"), &json!("production"), &json!("eu"))
    );
    for by in [id.as_str(), "shop"] {
        let shown = server.ok("GET", &format!("{DATABASES}/{by}"), Value::Null).await;
        assert_eq!(shown, made, "{by}");
    }
    let some = server.ok("GET", &format!("{DATABASES}/shop?fields=uuid,name"), Value::Null).await;
    assert_eq!(some, json!({ "uuid": id, "name": "shop" }));
    let listed = server.ok("GET", DATABASES, Value::Null).await;
    let row = json!({
        "uuid": id, "name": "shop", "version": "production", "created_at": made["created_at"], "jurisdiction": "eu",
    });
    assert_eq!(listed, json!([row]));
    server.sql(&id, "CREATE TABLE t (a)").await;
    let shown = server.ok("GET", &format!("{DATABASES}/shop"), Value::Null).await;
    assert_eq!(shown["num_tables"], 1);
    assert!(shown["file_size"].as_u64() > Some(0), "{shown}");
    assert_eq!(server.ok("DELETE", &format!("{DATABASES}/{id}"), Value::Null).await, Value::Null);
    assert_eq!(server.ok("GET", DATABASES, Value::Null).await, json!([]));
    let gone = server.call("POST", &format!("{DATABASES}/{id}/query"), json!({ "sql": "SELECT 1" })).await;
    assert_eq!((gone.status, gone.code()), (404, 7_404));
    let again = server.database("shop").await;
    assert_ne!(again, id);
    let tables = server.sql(&again, "SELECT count(*) AS n FROM sqlite_schema").await;
    assert_eq!(tables[0]["results"], json!([{ "n": 0 }]), "a new database of the same name is empty");
}

#[tokio::test]
async fn databases_are_listed_in_pages_and_by_a_part_of_their_name() {
    let server = Server::start().await;
    for number in 0..5 {
        server.database(&format!("db-{number}")).await;
    }
    let count = async |query: &str| {
        let answer = server.call("GET", &format!("{DATABASES}?{query}"), Value::Null).await;
        let rows = answer.body["result"].as_array().expect("rows").len();
        (rows, answer.body["result_info"].clone())
    };
    let info = |page, per_page, count| json!({ "page": page, "per_page": per_page, "count": count, "total_count": 5 });
    assert_eq!(count("per_page=2&page=1").await, (2, info(1, 2, 2)));
    assert_eq!(count("per_page=2&page=3").await, (1, info(3, 2, 1)));
    assert_eq!(count("per_page=2&page=4").await, (0, info(4, 2, 0)));
    assert_eq!(count("name=-3").await.0, 1);
    assert_eq!(count("name=nobody").await.0, 0);
}

#[tokio::test]
async fn an_id_of_a_users_own_names_a_database() {
    let server = Server::start().await;
    let made = server.ok("POST", DATABASES, json!({ "name": "shop", "id": "my-own-id" })).await;
    assert_eq!(made["uuid"], "my-own-id");
    server.sql("my-own-id", "CREATE TABLE t (a)").await;
    assert_eq!(server.ok("GET", &format!("{DATABASES}/my-own-id"), Value::Null).await["num_tables"], 1);
}

#[tokio::test]
async fn every_statement_of_a_query_has_a_result_and_the_last_one_the_parameters() {
    let server = Server::start().await;
    let id = server.database("shop").await;
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t (name) VALUES ('a;b'), ('c');";
    let results = server.sql(&id, sql).await;
    assert_eq!(results.as_array().map(Vec::len), Some(2));
    assert_eq!((&results[1]["success"], &results[1]["meta"]["changes"]), (&json!(true), &json!(2)));
    let body = json!({ "sql": "SELECT 1; SELECT id FROM t WHERE name = ?", "params": ["c"] });
    let results = server.ok("POST", &format!("{DATABASES}/{id}/query"), body).await;
    assert_eq!(results[1]["results"], json!([{ "id": 2 }]));
    let batch = json!({ "batch": [
        { "sql": "INSERT INTO t (name) VALUES (?)", "params": ["d"] }, { "sql": "SELECT name, name FROM t WHERE id > 1" },
    ] });
    let results = server.ok("POST", &format!("{DATABASES}/{id}/raw"), batch).await;
    let table = json!({ "columns": ["name", "name"], "rows": [["c", "c"], ["d", "d"]] });
    assert_eq!(results[1]["results"], table);
}

#[tokio::test]
async fn a_query_that_fails_changes_nothing_and_says_which_statement() {
    let server = Server::start().await;
    let id = server.database("shop").await;
    server.sql(&id, "CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1)").await;
    let path = format!("{DATABASES}/{id}/query");
    for (sql, message) in [
        ("SELECT * FROM nowhere", "no such table: nowhere: SQLITE_ERROR"),
        ("SELEC 1", "near \"SELEC\": syntax error at offset 0: SQLITE_ERROR"),
        (
            "DELETE FROM t;\nINSERT INTO t VALUES (2), (2);",
            "statement 2 (line 2): UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)",
        ),
        ("-- nothing", "No SQL statements detected."),
        ("ATTACH 'x' AS y", "not authorized: SQLITE_AUTH"),
    ] {
        let answer = server.call("POST", &path, json!({ "sql": sql })).await;
        assert_eq!((answer.status, answer.code()), (400, 7_500), "{sql}: {}", answer.body);
        assert_eq!(answer.body["errors"][0]["message"], message);
    }
    assert_eq!(server.sql(&id, "SELECT a FROM t").await[0]["results"], json!([{ "a": 1 }]));
}

#[tokio::test]
async fn refusals_of_databases_have_cloudflares_codes() {
    let server = Server::start().await;
    let id = server.database("shop").await;
    let (one, import, export) =
        (format!("{DATABASES}/{id}"), format!("{DATABASES}/{id}/import"), format!("{DATABASES}/{id}/export"));
    let query = format!("{DATABASES}/{id}/query");
    for (method, path, body, status, code) in [
        ("POST", DATABASES, json!({ "name": "shop" }), 400, 7_502),
        ("POST", DATABASES, json!({ "name": "other", "id": id }), 400, 7_502),
        ("POST", DATABASES, json!({ "name": "no blanks" }), 400, 7_400),
        ("POST", DATABASES, json!({ "name": "x".repeat(65) }), 400, 7_400),
        ("POST", DATABASES, json!({ "nam": "x" }), 400, 7_400),
        ("POST", DATABASES, json!({ "name": "x", "id": "ü" }), 400, 7_400),
        ("GET", "/d1/database?page=0", Value::Null, 400, 7_400),
        ("GET", "/d1/database?per_page=10001", Value::Null, 400, 7_400),
        ("GET", "/d1/database/nobody", Value::Null, 404, 7_404),
        ("DELETE", "/d1/database/nobody", Value::Null, 404, 7_404),
        ("POST", "/d1/database/nobody/query", json!({ "sql": "SELECT 1" }), 404, 7_404),
        ("PATCH", &one, json!({ "read_replication": { "mode": "auto" } }), 400, 7_400),
        ("POST", &query, json!({}), 400, 7_400),
        ("POST", &query, json!({ "sql": "SELECT ?", "params": [{}] }), 400, 7_400),
        ("POST", &import, json!({ "action": "begin" }), 400, 7_400),
        ("POST", &import, json!({ "action": "init", "etag": "short" }), 400, 7_400),
        ("POST", &import, json!({ "action": "ingest", "filename": "x", "etag": NO_FILE }), 404, 7_404),
        ("POST", &import, json!({ "action": "poll", "current_bookmark": "x" }), 404, 7_404),
        ("POST", &export, json!({ "output_format": "file" }), 400, 7_400),
        ("POST", &export, json!({ "output_format": "polling", "current_bookmark": "x" }), 404, 7_404),
        ("GET", &format!("{one}/time_travel/bookmark?timestamp=x"), Value::Null, 400, 20_501),
        ("POST", &format!("{one}/time_travel/restore?bookmark=x"), Value::Null, 400, 20_501),
    ] {
        let answer = server.call(method, path, body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{method} {path}: {}", answer.body);
    }
    server.ok("PATCH", &one, json!({ "read_replication": { "mode": "disabled" } })).await;
}

#[tokio::test]
async fn an_imported_script_is_there_and_an_export_brings_it_back() {
    let server = Server::start().await;
    let id = server.database("shop").await;
    let script = "CREATE TABLE t (a); INSERT INTO t VALUES ('x;y'); INSERT INTO t VALUES (2);";
    let imported = server.import(&id, script, &md5(script)).await;
    assert_eq!(
        (&imported["success"], &imported["status"], &imported["type"]),
        (&json!(true), &json!("complete"), &json!("import"))
    );
    assert_eq!(imported["result"]["num_queries"], 3);
    assert_eq!(imported["result"]["meta"]["rows_written"], 2);
    assert!(imported["result"]["final_bookmark"].is_string());
    let export = server.export(&id, json!({ "no_schema": false, "tables": [] })).await;
    assert_eq!((&export["status"], &export["result"]["filename"]), (&json!("complete"), &json!("shop.sql")));
    let (status, headers, script_back) = server.download(&export).await;
    assert_eq!((status, text(&headers["content-type"])), (200, "application/sql".to_owned()));
    assert_eq!(headers["content-length"], script_back.len().to_string());
    let expected = "PRAGMA defer_foreign_keys=TRUE;\nCREATE TABLE t (a);\nINSERT INTO \"t\" (\"a\") VALUES('x;y');\nINSERT INTO \"t\" (\"a\") VALUES(2);\n";
    assert_eq!(script_back, expected);
    let rows = server.export(&id, json!({ "no_schema": true, "tables": ["t"] })).await;
    assert!(!String::from_utf8_lossy(&server.download(&rows).await.2).contains("CREATE"));
    let other = server.database("copy").await;
    server.import(&other, expected, &md5(expected)).await;
    assert_eq!(server.sql(&other, "SELECT a FROM t").await[0]["results"], json!([{ "a": "x;y" }, { "a": 2 }]));
}

#[tokio::test]
async fn an_import_that_fails_says_where_and_leaves_the_database_as_it_was() {
    let server = Server::start().await;
    let id = server.database("shop").await;
    server.sql(&id, "CREATE TABLE t (a); INSERT INTO t VALUES (1)").await;
    let script = "DELETE FROM t;\nINSERT INTO t VALUES (2);\nINSERT INTO nowhere VALUES (3);\n";
    let failed = server.import(&id, script, &md5(script)).await;
    let error = "statement 3 (line 3): no such table: nowhere: SQLITE_ERROR";
    assert_eq!(
        (&failed["success"], &failed["status"], &failed["error"]),
        (&json!(false), &json!("error"), &json!(error))
    );
    assert_eq!(server.sql(&id, "SELECT a FROM t").await[0]["results"], json!([{ "a": 1 }]));
    assert_eq!(server.transfer_files(), 0, "the file of an import that ended is gone");
}

#[tokio::test]
async fn an_upload_is_known_by_its_address_and_must_be_what_was_announced() {
    let server = Server::start().await;
    let id = server.database("shop").await;
    let init = server.import_action(&id, json!({ "action": "init", "etag": md5("SELECT 1") })).await;
    let (status, headers, _) = server.bytes("PUT", path_of(&init["upload_url"]), "SELECT 2").await;
    assert_eq!((status, text(&headers["etag"])), (200, format!("\"{}\"", md5("SELECT 2"))));
    let ingest = json!({ "action": "ingest", "filename": init["filename"], "etag": md5("SELECT 1") });
    let path = format!("{DATABASES}/{id}/import");
    let refused = server.call("POST", &path, ingest.clone()).await;
    assert_eq!((refused.status, refused.code()), (400, 7_400), "{}", refused.body);
    let (status, _, _) = server.bytes("PUT", path_of(&init["upload_url"]), "SELECT 1").await;
    assert_eq!(status, 200, "it can be uploaded again");
    let other = server.database("other").await;
    let elsewhere = server.call("POST", &format!("{DATABASES}/{other}/import"), ingest.clone()).await;
    assert_eq!(elsewhere.status, 404, "it is for its database alone");
    let first = server.import_action(&id, ingest.clone()).await;
    let second = server.import_action(&id, ingest).await;
    assert_eq!(first["at_bookmark"], second["at_bookmark"], "an import that is begun twice runs once");
    for (method, path) in [("PUT", "/client/v4/d1/uploads/0123"), ("GET", "/client/v4/d1/exports/0123/shop.sql")] {
        let (status, _, body) = server.bytes(method, path, "").await;
        let body: Value = serde_json::from_slice(&body).expect("the envelope");
        assert_eq!((status, &body["errors"][0]["code"]), (404, &json!(7_404)), "{method} {path}");
    }
}

#[tokio::test]
async fn usage_of_the_last_day_is_told_as_wrangler_asks() {
    let server = Server::start().await;
    let id = server.database("shop").await;
    server.sql(&id, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").await;
    server.sql(&id, "SELECT * FROM t").await;
    let ask = async |query: &str| {
        let filter = json!({ "AND": [{
            "datetimeHour_geq": "2020-01-01T00:00:00.000Z", "datetimeHour_leq": "2100-01-01T00:00:00.000Z", "databaseId": id,
        }] });
        let variables = json!({ "accountTag": stepwell::accounts::ACCOUNT_ID, "filter": filter });
        let body = json!({ "query": query, "operationName": "q", "variables": variables }).to_string();
        let (status, _, body) = server.bytes("POST", "/client/v4/graphql", &body).await;
        assert_eq!(status, 200);
        serde_json::from_slice::<Value>(&body).expect("JSON")
    };
    let told = ask("query q { viewer { accounts { d1AnalyticsAdaptiveGroups(limit: 10000) { sum } } } }").await;
    let sum = &told["data"]["viewer"]["accounts"][0]["d1AnalyticsAdaptiveGroups"][0]["sum"];
    assert_eq!(sum, &json!({ "readQueries": 1, "writeQueries": 2, "rowsRead": 2, "rowsWritten": 2 }));
    let other = ask("query q { viewer { accounts { d1QueriesAdaptiveGroups(limit: 1) { sum } } } }").await;
    assert!(other["data"].is_null() && other["errors"][0]["message"].is_string(), "{other}");
}
