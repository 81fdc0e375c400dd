//! D1 as a Worker sees it, through workerd's own client, and as the server's other parts see it.
//! The expected answers of the Worker's cases are those that Miniflare gives to the same Worker,
//! but for `served_by` and the counts of rows.

#[path = "d1/worker.rs"]
mod worker;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value as Json, json};
use stepwell::d1::{D1, D1Error, Statement, Value};
use stepwell_store::{AccountId, DatabaseKey, Store};
use worker::Worker;

fn statement(sql: &str) -> Statement {
    Statement { sql: sql.to_owned(), params: Vec::new(), place: None }
}

fn key(id: &str) -> DatabaseKey {
    DatabaseKey { account: AccountId::DEFAULT, id: id.to_owned() }
}

async fn run(d1: &D1, sql: &str) -> Result<Vec<Vec<Value>>, D1Error> {
    let mut outcomes = d1.query(&key("db"), vec![statement(sql)]).await?;
    Ok(outcomes.remove(0).rows)
}

fn temporary() -> (tempfile::TempDir, D1) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let d1 = D1::open(directory.path().join("d1"), Store::in_memory());
    (directory, d1)
}

fn meta(changes: u64, last_row_id: u64, changed_db: bool, rows_read: u64, rows_written: u64) -> Json {
    json!({
        "served_by": "stepwell", "served_by_primary": true, "total_attempts": 1, "changes": changes,
        "last_row_id": last_row_id, "changed_db": changed_db, "rows_read": rows_read, "rows_written": rows_written,
    })
}

#[tokio::test]
async fn run_answers_meta_and_rows() {
    let seen = Worker::start().await.case("run").await;
    let expected = json!([
        {"success": true, "results": [], "meta": meta(0, 0, true, 0, 0)},
        {"success": true, "results": [], "meta": meta(1, 1, true, 0, 1)},
        {"success": true, "results": [{"name": "ada"}], "meta": meta(0, 1, false, 1, 0)},
    ]);
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn all_answers_objects_with_blobs_as_arrays() {
    let seen = Worker::start().await.case("all").await;
    let rows = json!([
        {"id": 1, "name": "ada", "score": 1.5, "photo": [0, 127, 255]},
        {"id": 2, "name": "bob", "score": 1, "photo": null},
    ]);
    assert_eq!(seen, json!({"success": true, "results": rows, "meta": meta(0, 2, false, 2, 0)}));
}

#[tokio::test]
async fn raw_keeps_columns_of_the_same_name() {
    let seen = Worker::start().await.case("raw").await;
    let (ada, bob) = (json!([1, "ada", "ada"]), json!([2, "bob", "bob"]));
    assert_eq!(seen, json!([[ada, bob], [["id", "name", "name"], ada, bob]]));
}

#[tokio::test]
async fn first_answers_a_row_a_column_or_null() {
    let seen = Worker::start().await.case("first").await;
    let missing = json!({"error": "D1_COLUMN_NOTFOUND: Column not found (nope)", "cause": "Column not found"});
    assert_eq!(seen, json!([{"id": 2, "name": "bob"}, "bob", null, missing]));
}

#[tokio::test]
async fn a_batch_is_kept_whole_or_not_at_all() {
    let seen = Worker::start().await.case("batch").await;
    let cause = "UNIQUE constraint failed: users.name: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)";
    let refused = json!({"error": format!("D1_ERROR: {cause}"), "cause": cause});
    assert_eq!(seen, json!([[[1, []], [3, []], [0, [{"n": 3}]]], refused, 3]));
}

#[tokio::test]
async fn exec_runs_lines_as_one_transaction() {
    let seen = Worker::start().await.case("exec").await;
    let cause = "Error in line 1: INSERT INTO t VALUES (4);: near \"SELEC\": syntax error at offset 0: SQLITE_ERROR";
    let refused = json!({"error": format!("D1_EXEC_ERROR: {cause}"), "cause": cause});
    assert_eq!(seen, json!([{"count": 3}, refused, 6]));
}

#[tokio::test]
async fn a_session_gets_bookmarks_that_advance() {
    let seen = Worker::start().await.case("session").await;
    assert_eq!(seen, json!({"before": null, "advances": true, "continued": 1}));
}

#[tokio::test]
async fn values_pass_as_javascript_has_them() {
    let seen = Worker::start().await.case("values").await;
    let expected = json!({
        "text": "é\u{0}x", "missing": null, "half": 0.5, "truth": 1, "bytes": [1, 2], "type": "real",
        "big": 9_007_199_254_740_992_u64, "infinity": null, "minus": -1,
    });
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn errors_have_the_words_of_d1() {
    let seen = Worker::start().await.case("errors").await;
    insta::assert_json_snapshot!(seen);
}

#[tokio::test]
async fn databases_of_different_ids_share_nothing_and_clones_share_all() {
    let (_directory, d1) = temporary();
    run(&d1, "CREATE TABLE t (a)").await.expect("create");
    assert!(run(&d1.clone(), "SELECT * FROM t").await.is_ok());
    let other = d1.query(&key("other"), vec![statement("SELECT * FROM t")]).await;
    assert_eq!(other.expect_err("no such table").to_string(), "no such table: t: SQLITE_ERROR");
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let (directory, d1) = temporary();
    run(&d1, "CREATE TABLE t (a); INSERT INTO t VALUES (1)").await.expect("write");
    drop(d1);
    let again = D1::open(directory.path().join("d1"), Store::in_memory());
    assert_eq!(run(&again, "SELECT a FROM t").await.expect("read"), [[Value::Integer(1)]]);
}

#[tokio::test]
async fn more_databases_than_may_be_open_at_once_all_work() {
    let (_directory, d1) = temporary();
    for round in ["CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"] {
        for number in 0..=stepwell::d1::limits::OPEN_DATABASES_MAX {
            let id = format!("db-{number}");
            d1.query(&key(&id), vec![statement(round)]).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        }
    }
}

#[tokio::test]
async fn a_seed_runs_once_and_only_on_a_database_without_tables() {
    let (_directory, d1) = temporary();
    let script = "CREATE TABLE t (a);\n-- the only row\nINSERT INTO t VALUES (1);\n";
    assert!(d1.seed(&key("db"), script.to_owned()).await.expect("first seed"));
    assert!(!d1.seed(&key("db"), script.to_owned()).await.expect("second seed"));
    assert_eq!(run(&d1, "SELECT a FROM t").await.expect("read"), [[Value::Integer(1)]]);
}

#[tokio::test]
async fn a_seed_that_fails_leaves_nothing() {
    let (_directory, d1) = temporary();
    assert!(d1.seed(&key("db"), "CREATE TABLE t (a); INSERT INTO nope VALUES (1)".to_owned()).await.is_err());
    assert!(run(&d1, "SELECT * FROM t").await.is_err());
}

#[tokio::test]
async fn a_seed_may_be_longer_than_a_statement() {
    let (_directory, d1) = temporary();
    let script = format!("CREATE TABLE t (a);{}", "INSERT INTO t VALUES ('0123456789');".repeat(10_000));
    assert!(d1.seed(&key("db"), script).await.expect("seed"));
    assert_eq!(run(&d1, "SELECT count(*) FROM t").await.expect("read"), [[Value::Integer(10_000)]]);
}

#[tokio::test]
async fn parameters_belong_to_the_last_statement() {
    let (_directory, d1) = temporary();
    let sql = "SELECT ?; SELECT 1".to_owned();
    let refused = d1.query(&key("db"), vec![Statement { sql, params: vec![Value::Real(1.0)], place: None }]).await;
    assert!(matches!(refused, Err(D1Error::EarlyBindings)), "{refused:?}");
    let sql = "SELECT 1".to_owned();
    let refused = d1.query(&key("db"), vec![Statement { sql, params: vec![Value::Real(1.0)], place: None }]).await;
    assert!(matches!(refused, Err(D1Error::Bindings)), "{refused:?}");
}

#[tokio::test]
async fn what_leaves_the_file_or_the_transaction_is_refused() {
    let (_directory, d1) = temporary();
    for sql in [
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'copy'",
        "PRAGMA writable_schema = ON",
        "PRAGMA wal_checkpoint",
        "PRAGMA user_version = 3",
        "SELECT load_extension('x')",
        "CREATE VIRTUAL TABLE t USING fts3(a)",
        "CREATE TABLE _cf_x (a)",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "SELECT 1; COMMIT; SELECT 1",
    ] {
        assert!(run(&d1, sql).await.is_err(), "{sql} was allowed");
    }
}

#[tokio::test]
async fn what_d1_allows_is_allowed() {
    let (_directory, d1) = temporary();
    for sql in [
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)",
        "CREATE INDEX i ON t (a)",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = 1; END",
        "INSERT INTO t (a) VALUES (2)",
        "CREATE VIEW v AS SELECT * FROM t",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "SELECT sqrt(4), pow(2, 3)",
        "INSERT INTO f VALUES ('hello world')",
        "SELECT * FROM f WHERE f MATCH 'hello'",
        "PRAGMA table_info(t)",
        "SELECT name FROM pragma_table_info('t')",
        "PRAGMA foreign_key_check",
        "PRAGMA optimize",
        "ALTER TABLE t ADD COLUMN b",
        "ALTER TABLE t RENAME COLUMN b TO c",
        "ALTER TABLE t RENAME TO u",
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 10) SELECT x FROM n",
        "SELECT value FROM json_each('[1]')",
        "REINDEX",
        "ANALYZE",
        "DROP TABLE f",
    ] {
        run(&d1, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[tokio::test]
async fn a_result_too_large_to_hold_is_refused() {
    let (_directory, d1) = temporary();
    let sql =
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 40) SELECT zeroblob(1000000) FROM n";
    let refused = run(&d1, sql).await;
    assert!(matches!(refused, Err(D1Error::ResultTooLarge)), "{:?}", refused.map(|rows| rows.len()));
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("a file in the way");
    let error = run(&D1::open(file.join("d1"), Store::in_memory()), "SELECT 1").await.expect_err("no directory");
    assert!(error.to_string().starts_with("cannot open D1 database \"db\" at "), "{error}");
}

#[tokio::test]
async fn calls_at_the_same_time_take_turns() {
    let (_directory, d1) = temporary();
    run(&d1, "CREATE TABLE t (n); INSERT INTO t VALUES (0)").await.expect("create");
    let calls = (0..50).map(|_| {
        let d1 = d1.clone();
        tokio::spawn(async move { run(&d1, "UPDATE t SET n = n + 1").await.map(|_| ()) })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no panic").expect("update");
    }
    assert_eq!(run(&d1, "SELECT n FROM t").await.expect("read"), [[Value::Integer(50)]]);
}

async fn answer(d1: &D1, uri: &str, body: &str) -> (u16, Json) {
    let request = Request::post(uri).body(Body::from(body.to_owned())).expect("a request");
    let response = d1.handle(&key("db"), request).await;
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1_000_000).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

#[tokio::test]
async fn rows_are_laid_out_as_asked() {
    let (_directory, d1) = temporary();
    let body = r#"{"sql": "SELECT 1 AS b, 2 AS a, 3 AS b"}"#;
    let (_, columns) = answer(&d1, "/query?resultsFormat=ROWS_AND_COLUMNS", body).await;
    assert_eq!(columns[0]["results"], json!({"columns": ["b", "a", "b"], "rows": [[1, 2, 3]]}));
    for format in ["ARRAY_OF_OBJECTS", "NONE"] {
        let (_, objects) = answer(&d1, &format!("/execute?resultsFormat={format}"), body).await;
        assert_eq!(objects[0]["results"], json!([{"b": 3, "a": 2}]));
    }
}

#[tokio::test]
async fn a_request_that_is_not_of_d1_is_refused_with_a_reason() {
    let (_directory, d1) = temporary();
    let (status, dump) = answer(&d1, "/dump", "").await;
    assert_eq!((status, &dump["error"]), (404, &json!("POST /dump is not part of D1")));
    let (_, shapeless) = answer(&d1, "/query", "[1]").await;
    assert!(shapeless["error"].as_str().is_some_and(|text| text.contains("{\"sql\", \"params\"}")), "{shapeless}");
    let (_, object) = answer(&d1, "/query", r#"{"sql": "SELECT ?", "params": [{}]}"#).await;
    assert!(object["error"].as_str().is_some_and(|text| text.contains("is an object")), "{object}");
}
