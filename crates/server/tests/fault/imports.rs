//! Imports into D1 databases whose server is killed in the middle.

use std::fmt::Write as _;
use std::path::Path;

use hyper::Method;
use md5::{Digest as _, Md5};
use serde_json::{Value as Json, json};

use crate::support::{Journal, Project, Server, until};

const WORKER: &str = "export class W extends WorkflowEntrypoint { async run() {} }";
const DATABASE: &str = "shop";
/// Rows of a script: some seconds of work in a build for tests.
const ROWS: usize = 200_000;

/// Replaces the one row of the table by many.
fn script() -> String {
    let mut script = "DELETE FROM t;\n".to_owned();
    for row in 0..ROWS {
        let _ = writeln!(script, "INSERT INTO t VALUES ({row}, 'a text that fills some pages of the file');");
    }
    script
}

async fn act(server: &Server, action: &str, body: Json) -> Option<Json> {
    let path = format!("d1/database/{DATABASE}/{action}");
    let (status, mut answer) = server.try_api(Method::POST, &path, Some(body)).await?;
    assert_eq!(status, 200, "{action}: {answer}");
    Some(answer["result"].take())
}

/// Uploads the script; the body that runs it.
async fn uploaded(server: &Server, script: &str) -> Json {
    let etag = format!("{:x}", Md5::digest(script));
    let init = act(server, "import", json!({ "action": "init", "etag": etag })).await.expect("an answer");
    let url = init["upload_url"].as_str().expect("an address");
    assert_eq!(server.put(url, script.to_owned()).await, 200);
    json!({ "action": "ingest", "filename": init["filename"], "etag": etag })
}

async fn count(server: &Server) -> u64 {
    let rows = act(server, "query", json!({ "sql": "SELECT count(*) AS n FROM t" })).await.expect("an answer");
    rows[0]["results"][0]["n"].as_u64().expect("a number")
}

/// Bytes in the database's write-ahead log, into which a large transaction spills before it commits.
fn log_bytes(state: &Path) -> u64 {
    std::fs::metadata(state.join(format!("d1/{DATABASE}.sqlite-wal"))).map_or(0, |file| file.len())
}

#[tokio::test]
async fn an_import_whose_server_ends_leaves_the_database_as_it_was_and_a_finished_one_is_whole() {
    let journal = Journal::start().await;
    let project = Project::new(WORKER, &journal);
    let script = script();
    let server = Server::start(&project).await;
    let new = json!({ "name": DATABASE, "id": DATABASE });
    server.try_api(Method::POST, "d1/database", Some(new)).await.expect("an answer");
    act(&server, "query", json!({ "sql": "CREATE TABLE t (a, b); INSERT INTO t VALUES (0, '')" })).await;
    drop(server);
    for mebibytes in [1, 4] {
        let server = Server::start(&project).await;
        let ingest = uploaded(&server, &script).await;
        let before = log_bytes(&project.state());
        let running = act(&server, "import", ingest);
        let spilled = until("the import is under way", async || {
            (log_bytes(&project.state()) >= before + (mebibytes << 20)).then_some(())
        });
        tokio::select! {
            ended = running => panic!("the import ended before the server: {ended:?}"),
            () = spilled => {}
        }
        server.kill();
        let server = Server::start(&project).await;
        assert_eq!(count(&server).await, 1, "killed after {mebibytes} MiB");
        let left = std::fs::read_dir(project.state().join("d1/@transfers")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "the uploaded file is gone");
    }
    let server = Server::start(&project).await;
    let ingest = uploaded(&server, &script).await;
    let mut import = act(&server, "import", ingest).await.expect("an answer");
    while import["status"] == "active" {
        let poll = json!({ "action": "poll", "current_bookmark": import["at_bookmark"] });
        import = act(&server, "import", poll).await.expect("an answer");
    }
    assert_eq!(import["status"], "complete", "{import}");
    server.kill();
    assert_eq!(count(&Server::start(&project).await).await, ROWS as u64);
}
