//! D1 databases from both sides: managed over REST, used by Workers.

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::support::{Answer, Project, Server, eventually};

/// Runs what it is posted, and answers the rows or the error.
const RUNNER: &str = "export default { async fetch(request, env) {
    try {
        const { results } = await env.DB.prepare(await request.text()).all();
        return Response.json(results);
    } catch (error) {
        return Response.json(error.message);
    }
} };";

impl Server {
    async fn database(&self, body: Json) -> String {
        let made = self.api(Method::POST, "d1/database", body.to_string()).await.ok();
        made["result"]["uuid"].as_str().expect("a uuid").to_owned()
    }

    async fn sql(&self, database: &str, sql: &str) -> Json {
        let path = format!("d1/database/{database}/query");
        let answer = self.api(Method::POST, &path, json!({ "sql": sql }).to_string()).await;
        answer.ok()["result"][0]["results"].take()
    }

    async fn in_worker(&self, script: &str, sql: &str) -> Json {
        self.fetch(script, Method::POST, "/", sql).await.ok()
    }

    async fn delete_database(&self, database: &str) {
        self.api(Method::DELETE, &format!("d1/database/{database}"), "").await.ok();
    }

    async fn databases(&self) -> Json {
        let rows = self.api(Method::GET, "d1/database", "").await.ok()["result"].take();
        let rows = rows.as_array().expect("rows").iter();
        rows.map(|row| json!([row["name"], row["uuid"]])).collect()
    }

    async fn deploy_runner(&self, database: &str) -> Answer {
        let bindings = [json!({ "type": "d1", "name": "DB", "id": database })];
        let metadata = json!({ "main_module": "index.js", "compatibility_date": "2025-06-01", "bindings": bindings });
        let body = format!(
            "--cut\r\ncontent-disposition: form-data; name=\"metadata\"\r\ncontent-type: application/json\r\n\r\n{metadata}\r\n\
             --cut\r\ncontent-disposition: form-data; name=\"index.js\"; filename=\"index.js\"\r\n\
             content-type: application/javascript+module\r\n\r\n{RUNNER}\r\n--cut--\r\n"
        );
        let headers = [("content-type", "multipart/form-data; boundary=cut")];
        self.api_with(Method::PUT, "workers/scripts/runner", &headers, body).await
    }
}

#[tokio::test]
async fn a_worker_reads_what_was_written_over_rest_and_the_other_way_round() {
    let server = Server::serve().await;
    let id = server.database(json!({ "name": "shop" })).await;
    server.sql(&id, "CREATE TABLE t (a)").await;
    server.sql(&id, "INSERT INTO t VALUES ('rest')").await;
    server.deploy_runner(&id).await.ok();
    assert_eq!(server.in_worker("runner", "SELECT a FROM t").await, json!([{ "a": "rest" }]));
    server.in_worker("runner", "INSERT INTO t VALUES ('worker')").await;
    assert_eq!(server.sql("shop", "SELECT a FROM t").await, json!([{ "a": "rest" }, { "a": "worker" }]));
    server.deploy_runner("shop").await.ok();
    let rows = server.in_worker("runner", "SELECT count(*) AS n FROM t").await;
    assert_eq!(rows, json!([{ "n": 2 }]), "a binding may name the database by its name");
    assert_eq!(server.databases().await, json!([["shop", id]]));
}

#[tokio::test]
async fn a_worker_is_told_that_its_database_was_deleted_and_no_deploy_brings_an_issued_one_back() {
    let server = Server::serve().await;
    let id = server.database(json!({ "name": "shop" })).await;
    server.deploy_runner(&id).await.ok();
    server.in_worker("runner", "CREATE TABLE t (a)").await;
    server.delete_database("shop").await;
    let gone = format!("D1 database \"shop\" ({id}) was deleted; bind another database and deploy the Worker again");
    assert_eq!(server.in_worker("runner", "SELECT 1").await, format!("D1_ERROR: {gone}"));
    let refused = server.deploy_runner(&id).await;
    assert_eq!(refused.refusal(), (400, format!("binding DB of type d1: {gone}")));
    assert_eq!(refused.json()["errors"][0]["code"], 10_021);
    assert_eq!(server.databases().await, json!([]));
    let files = std::fs::read_dir(server.state().join("d1")).expect("a directory").count();
    assert_eq!(files, 0, "its files are gone");
}

#[tokio::test]
async fn a_database_that_only_a_configuration_names_is_listed_and_begins_anew_with_the_next_deploy() {
    let database = json!({ "d1_databases": [
        { "binding": "DB", "database_name": "shop", "database_id": "id-of-another-account" },
    ] });
    let project = Project::configured("runner", &[], database, RUNNER);
    let server = Server::dev(&[&project]).await;
    assert_eq!(server.databases().await, json!([["shop", "id-of-another-account"]]));
    server.in_worker("runner", "CREATE TABLE t (a)").await;
    assert_eq!(server.sql("shop", "SELECT count(*) AS n FROM t").await, json!([{ "n": 0 }]));
    server.delete_database("shop").await;
    let gone = "D1_ERROR: D1 database \"shop\" (id-of-another-account) was deleted; deploy the Worker again to begin with an \
        empty one, or bind another database";
    assert_eq!(server.in_worker("runner", "SELECT 1").await, gone);
    project.write("index.js", &format!("// again\n{RUNNER}"));
    let told = || "the Worker has an empty database".to_owned();
    eventually(told, || async { (server.in_worker("runner", "SELECT * FROM t").await != gone).then_some(()) }).await;
    let error = server.in_worker("runner", "SELECT * FROM t").await;
    assert_eq!(error, "D1_ERROR: no such table: t: SQLITE_ERROR");
    assert_eq!(server.databases().await, json!([["shop", "id-of-another-account"]]));
}
