//! Lists of instances read to their end, in both orders, and the bounds of batches.

use serde_json::{Value, json};

use super::server::Server;

const INSTANCES: &str = "/workflows/flow/instances";
/// Instances of one batch (Cloudflare).
const BATCH_MAX: usize = 100;

/// All ids of a list, page by page, and how many pages there were.
async fn read(server: &Server, path: &str) -> (Vec<String>, usize) {
    let (mut ids, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let answer = server.call("GET", &format!("{path}&cursor={cursor}"), Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let rows = answer.body["result"].as_array().expect("rows");
        ids.extend(rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()));
        pages += 1;
        match answer.body["result_info"].get("cursor").and_then(Value::as_str) {
            Some(next) => cursor = next.to_owned(),
            None => return (ids, pages),
        }
    }
}

#[tokio::test]
async fn a_list_whose_last_page_is_full_ends_with_it() {
    let server = Server::start().await;
    let ids: Vec<String> = (0..20).map(|number| format!("i{number:02}")).collect();
    server.finished(&ids.iter().map(|id| (id.as_str(), vec![])).collect::<Vec<_>>()).await;
    assert_eq!(read(&server, &format!("{INSTANCES}?per_page=10&direction=asc")).await, (ids.clone(), 2));
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(read(&server, &format!("{INSTANCES}?per_page=7")).await, (newest_first, 3));
    let filtered = format!("{INSTANCES}?per_page=5&direction=asc&status=complete&date_start=1970-01-11");
    assert_eq!(read(&server, &filtered).await, (ids[9..].to_vec(), 3));
    assert_eq!(read(&server, &format!("{INSTANCES}?per_page=5&status=errored")).await, (vec![], 1));
}

#[tokio::test]
async fn whoever_reads_a_list_page_by_page_comes_to_its_end() {
    let server = Server::start().await;
    let current = server.ok("GET", "/workers/scripts/script/versions", Value::Null).await["items"][0]["id"].clone();
    let all = json!([{ "version_id": current, "percentage": 100 }]);
    server.ok("POST", "/workers/scripts/script/deployments", json!({ "versions": all })).await;
    server.ok("POST", "/d1/database", json!({ "name": "shop" })).await;
    server.finished(&[("x", vec![])]).await;
    for (path, rows, total) in [
        ("/workers/scripts/script/versions", "/items", 1),
        ("/workers/scripts/script/deployments", "/deployments", 2),
        ("/workflows", "", 1),
        ("/workflows/flow/versions", "", 1),
        (INSTANCES, "", 1),
        ("/d1/database", "", 1),
    ] {
        for (query, count) in [("", total), ("?per_page=1", 1), ("?page=2", 0), ("?page=2&per_page=1", total - 1)] {
            let answer = server.call("GET", &format!("{path}{query}"), Value::Null).await;
            let found = answer.body["result"].pointer(rows).and_then(Value::as_array).map(Vec::len);
            assert_eq!(found, Some(count), "{path}{query}: {}", answer.body);
            let info = &answer.body["result_info"];
            assert_eq!((&info["count"], &info["total_count"]), (&json!(count), &json!(total)), "{path}{query}");
        }
    }
}

#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let server = Server::start().await;
    let created = server.ok("POST", &format!("{INSTANCES}/"), json!({ "instance_id": "a" })).await;
    assert_eq!(created["id"], "a");
    let listed = server.ok("GET", &format!("{INSTANCES}/"), Value::Null).await;
    assert_eq!(listed, server.ok("GET", INSTANCES, Value::Null).await);
    assert_eq!(listed[0]["id"], "a");
}

#[tokio::test]
async fn a_batch_has_at_most_a_hundred_instances() {
    let server = Server::start().await;
    let ids = |count: usize| (0..count).map(|number| format!("i{number}")).collect::<Vec<_>>();
    let new = |count| ids(count).iter().map(|id| json!({ "instance_id": id })).collect::<Value>();
    let (create, delete) = (format!("{INSTANCES}/batch"), format!("{INSTANCES}/batch/delete"));
    assert_eq!(server.call("POST", &create, new(BATCH_MAX + 1)).await.status, 400);
    assert_eq!(server.ok("GET", INSTANCES, Value::Null).await, json!([]));
    let created = server.ok("POST", &create, new(BATCH_MAX)).await;
    assert_eq!(created.as_array().map(Vec::len), Some(BATCH_MAX));
    let too_many = json!({ "instances": ids(BATCH_MAX + 1) });
    assert_eq!(server.call("POST", &delete, too_many).await.status, 400);
    let deleted = server.ok("POST", &delete, json!({ "instances": ids(BATCH_MAX) })).await;
    assert_eq!(deleted["deleted"].as_array().map(Vec::len), Some(BATCH_MAX));
    assert_eq!(server.ok("GET", INSTANCES, Value::Null).await, json!([]));
}

#[tokio::test]
async fn an_upload_is_a_version_of_its_workflows_when_it_has_been_deployed() {
    let server = Server::start().await;
    let versions = "/workflows/flow/versions";
    let first = server.ok("GET", versions, Value::Null).await[0]["id"].clone();
    let uploaded = server.upload_version("script").await.body["result"]["id"].clone();
    let listed = server.ok("GET", versions, Value::Null).await;
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["id"]), (Some(1), &first));
    let all = json!({ "versions": [{ "version_id": uploaded, "percentage": 100 }] });
    server.ok("POST", "/workers/scripts/script/deployments", all).await;
    let listed = server.ok("GET", versions, Value::Null).await;
    assert_eq!((&listed[0]["id"], &listed[1]["id"]), (&uploaded, &first));
}

#[tokio::test]
async fn a_workflows_code_has_no_graph() {
    let server = Server::start().await;
    let versions = server.ok("GET", "/workflows/flow/versions", Value::Null).await;
    let version = versions[0]["id"].as_str().expect("an id");
    assert_eq!(server.ok("GET", &format!("/workflows/flow/versions/{version}/graph"), Value::Null).await, Value::Null);
    let missing = server.call("GET", "/workflows/flow/versions/none/graph", Value::Null).await;
    assert_eq!((missing.status, missing.code()), (404, 10_200));
}
