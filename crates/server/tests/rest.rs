//! The REST face and the host face over a real store and a real driver that has no workers: instances are created,
//! changed and ended, but no code runs. Histories of finished instances are put into the store directly.

#[path = "rest/auth.rs"]
mod auth;
#[path = "rest/bad_bodies.rs"]
mod bad_bodies;
#[path = "rest/connections.rs"]
mod connections;
#[path = "rest/d1.rs"]
mod d1;
#[path = "rest/lists.rs"]
mod lists;
#[path = "rest/openapi.rs"]
mod openapi;
#[path = "rest/scripts.rs"]
mod scripts;
#[path = "rest/server.rs"]
mod server;

use std::time::Duration;

use serde_json::{Value, json};
use server::Server;
use stepwell::creation_rate::CreationRates;
use stepwell_engine::{CallId, Entry, Payload};

const INSTANCES: &str = "/workflows/flow/instances";

#[tokio::test]
async fn an_instance_is_created_shown_and_listed() {
    let server = Server::start().await;
    let created = server.ok("POST", INSTANCES, json!({"instance_id": "a", "params": {"n": 1}})).await;
    assert_eq!((&created["id"], &created["status"]), (&json!("a"), &json!("queued")));
    let shown = server.ok("GET", &format!("{INSTANCES}/a"), Value::Null).await;
    assert_eq!(shown["status"], "queued");
    assert_eq!(shown["params"], json!({"n": 1}));
    assert_eq!(shown["trigger"], json!({"source": "api"}));
    assert_eq!((&shown["start"], &shown["end"], &shown["success"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(shown["steps"], json!([]));
    assert_eq!(shown["versionId"], created["version_id"]);
    for path in [INSTANCES.to_owned(), format!("{INSTANCES}/")] {
        let rows = server.ok("GET", &path, Value::Null).await;
        assert_eq!(rows[0]["id"], "a", "{path}");
        assert_eq!(rows[0]["workflow_id"], created["workflow_id"]);
    }
}

#[tokio::test]
async fn params_may_be_missing_a_value_or_a_string_of_json() {
    let server = Server::start().await;
    for (id, body, expected) in [
        ("none", json!({"instance_id": "none"}), json!({})),
        ("value", json!({"instance_id": "value", "params": [1]}), json!([1])),
        ("text", json!({"instance_id": "text", "params": "{\"a\":1}"}), json!({"a": 1})),
        ("digits", json!({"instance_id": "digits", "params": "5"}), json!("5")),
    ] {
        server.ok("POST", INSTANCES, body).await;
        assert_eq!(server.ok("GET", &format!("{INSTANCES}/{id}"), Value::Null).await["params"], expected);
    }
}

#[tokio::test]
async fn refusals_are_in_the_envelope_with_cloudflares_codes() {
    let server = Server::start().await;
    server.ok("POST", INSTANCES, json!({"instance_id": "a"})).await;
    let (batch, events) = (format!("{INSTANCES}/batch"), format!("{INSTANCES}/a/events/-bad"));
    let missing = format!("{INSTANCES}/missing");
    let (status, per_page) = (format!("{INSTANCES}?status=done"), format!("{INSTANCES}?per_page=0"));
    let (page, cursor) = (format!("{INSTANCES}?per_page=1000&page=99"), format!("{INSTANCES}?cursor=x"));
    let wait = format!("{INSTANCES}/a?wait_ms=60001");
    let cases = [
        ("POST", INSTANCES, json!({"instance_id": "a"}), 400, 10_405),
        ("POST", INSTANCES, json!({"instance_id": "no spaces"}), 400, 10_404),
        ("POST", INSTANCES, json!({"params": "x".repeat((1 << 20) + 1)}), 413, 10_413),
        ("POST", "/workflows/other/instances", json!({}), 404, 10_200),
        ("GET", "/workflows/other", Value::Null, 404, 10_200),
        ("GET", &missing, Value::Null, 404, 10_400),
        ("GET", &status, Value::Null, 400, 10_001),
        ("GET", &per_page, Value::Null, 400, 10_001),
        ("GET", &page, Value::Null, 400, 10_001),
        ("GET", &cursor, Value::Null, 400, 10_001),
        ("GET", &wait, Value::Null, 400, 10_001),
        ("GET", "/workflows?page=x", Value::Null, 400, 10_001),
        ("POST", &batch, json!([]), 400, 10_001),
        ("POST", &batch, json!(vec![json!({}); 101]), 400, 10_001),
        ("POST", &events, json!({}), 400, 10_406),
        ("GET", "/no/such/route", Value::Null, 404, 7_003),
        ("PATCH", "/workflows", json!({}), 404, 7_003),
        ("PUT", "/workflows/new", json!({"script_name": "none", "class_name": "C"}), 404, 10_007),
        ("PUT", "/workflows/-bad", json!({"script_name": "script", "class_name": "C"}), 400, 10_001),
    ];
    for (method, path, body, status, code) in cases {
        let answer = server.call(method, path, body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{method} {path}: {}", answer.body);
        assert_eq!(answer.body["success"], false);
        assert_eq!(answer.body["result"], Value::Null);
    }
}

#[tokio::test]
async fn malformed_json_is_refused_with_its_place() {
    let server = Server::start().await;
    let answer = server.send("POST", INSTANCES, "{\n\"params\": ]").await;
    assert_eq!(answer.status, 400);
    let message = answer.body["errors"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("line 2 column 11"), "{message}");
}

#[tokio::test]
async fn requests_are_known_by_an_id() {
    let server = Server::start().await;
    let answer = server.call("GET", "/workflows", Value::Null).await;
    assert_eq!(answer.request_id.len(), 36, "{}", answer.request_id);
}

#[tokio::test]
async fn a_list_is_read_by_cursor_until_there_is_none() {
    let server = Server::start().await;
    for number in 0..25 {
        server.ok("POST", INSTANCES, json!({"instance_id": format!("i{number:02}")})).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("{INSTANCES}?per_page=10&direction=asc&cursor={cursor}");
        let answer = server.call("GET", &path, Value::Null).await;
        let rows = answer.body["result"].as_array().expect("rows").clone();
        assert_eq!(answer.body["result_info"]["count"], rows.len());
        assert_eq!(answer.body["result_info"]["total_count"], 25);
        seen.extend(rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()));
        match answer.body["result_info"]["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, (0..25).map(|number| format!("i{number:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_list_is_read_by_page_newest_first() {
    let server = Server::start().await;
    server.finished(&[("x", vec![]), ("y", vec![]), ("z", vec![])]).await;
    let ids = async |path: String| {
        let rows = server.ok("GET", &path, Value::Null).await;
        rows.as_array()
            .expect("rows")
            .iter()
            .map(|row| row["id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(format!("{INSTANCES}?per_page=2")).await, ["z", "y"]);
    assert_eq!(ids(format!("{INSTANCES}?per_page=2&page=2")).await, ["x"]);
    assert_eq!(ids(format!("{INSTANCES}?per_page=2&page=3")).await, Vec::<String>::new());
    assert_eq!(ids(format!("{INSTANCES}?date_start=1970-01-03")).await, ["z", "y"]);
    assert_eq!(ids(format!("{INSTANCES}?date_end=1970-01-02")).await, ["x"]);
    assert_eq!(ids(format!("{INSTANCES}?status=queued")).await, Vec::<String>::new());
    assert_eq!(ids(format!("{INSTANCES}?status=complete&direction=asc")).await, ["x", "y", "z"]);
}

#[tokio::test]
async fn a_history_of_ten_thousand_steps_is_shown_whole() {
    let server = Server::start().await;
    let step = |call: u32| Entry::Did {
        call: CallId(call),
        parent: None,
        name: "step".to_owned(),
        count: call + 1,
        config: None,
        value: Payload::from_json(call.to_string()),
    };
    let entries = (0..10_000).map(step).chain([Entry::Completed { output: Payload::from_json("{\"done\":1}") }]);
    server.finished(&[("long", entries.collect())]).await;
    let shown = server.ok("GET", &format!("{INSTANCES}/long?order=desc"), Value::Null).await;
    assert_eq!((&shown["success"], &shown["output"]), (&json!(true), &json!("{\"done\":1}")));
    assert_eq!((&shown["step_count"], shown["steps"].as_array().map(Vec::len)), (&json!(10_000), Some(10_000)));
    assert_eq!(shown["steps"][0]["name"], "step-10000");
    let simple = server.ok("GET", &format!("{INSTANCES}/long?simple=true"), Value::Null).await;
    assert_eq!((simple.get("steps"), &simple["step_count"]), (None, &json!(10_000)));
    let step = server.ok("GET", &format!("{INSTANCES}/long/step?name=step-77&type=step"), Value::Null).await;
    assert_eq!(step, json!({"status": "complete", "output": "76", "error": null}));
    let missing = server.call("GET", &format!("{INSTANCES}/long/step?name=step-0"), Value::Null).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn an_instance_of_a_schedule_is_found_by_its_id_as_it_is() {
    let server = Server::start().await;
    let completed = Entry::Completed { output: Payload::UNDEFINED };
    server.finished(&[("*/1 * * * *-1795902420000", vec![completed])]).await;
    for id in ["*/1%20*%20*%20*%20*-1795902420000", "%2A%2F1%20%2A%20%2A%20%2A%20%2A-1795902420000"] {
        let path = format!("{INSTANCES}/{id}");
        let shown = server.ok("GET", &format!("{path}?simple=true"), Value::Null).await;
        assert_eq!(
            (&shown["id"], &shown["schedule"]["cron"]),
            (&json!("*/1 * * * *-1795902420000"), &json!("*/1 * * * *"))
        );
        server.ok("GET", &format!("{path}/logs"), Value::Null).await;
        let change = json!({ "status": "terminate" });
        for (method, rest, body, code) in [
            ("PATCH", "/status", change, 10_402),
            ("POST", "/events/go-1", json!({}), 10_401),
            ("GET", "/step?name=a/b-1", Value::Null, 10_404),
            ("GET", "/nothing", Value::Null, 7_003),
        ] {
            let answer = server.call(method, &format!("{path}{rest}"), body).await;
            assert_eq!(answer.code(), code, "{method} {path}{rest}: {}", answer.body);
        }
    }
    let missing = server.call("GET", &format!("{INSTANCES}/*/2%20*%20*%20*%20*-1795902420000"), Value::Null).await;
    assert_eq!(missing.code(), 10_400, "{}", missing.body);
}

#[tokio::test]
async fn an_instance_is_paused_resumed_restarted_and_terminated() {
    let server = Server::start().await;
    server.ok("POST", INSTANCES, json!({"instance_id": "a"})).await;
    for (word, status) in
        [("pause", "paused"), ("resume", "queued"), ("restart", "queued"), ("terminate", "terminated")]
    {
        let changed = server.ok("PATCH", &format!("{INSTANCES}/a/status"), json!({"status": word})).await;
        assert_eq!(changed["status"], status, "{word}");
        assert!(changed["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{changed}");
    }
    let again = server.call("PATCH", &format!("{INSTANCES}/a/status"), json!({"status": "terminate"})).await;
    assert_eq!((again.status, again.code()), (400, 10_402));
    let shown = server.ok("GET", &format!("{INSTANCES}/a"), Value::Null).await;
    assert_eq!((&shown["status"], &shown["success"]), (&json!("terminated"), &json!(false)));
    assert_eq!(shown["steps"], json!([{"type": "termination", "trigger": {"source": "api"}}]));
}

#[tokio::test]
async fn a_rollback_of_nothing_is_a_termination() {
    let server = Server::start().await;
    server.ok("POST", INSTANCES, json!({"instance_id": "a"})).await;
    let body = json!({"status": "terminate", "rollback": true});
    let ended = server.ok("PATCH", &format!("{INSTANCES}/a/status"), body.clone()).await;
    assert_eq!(ended["status"], "terminated");
    assert_eq!(server.ok("GET", &format!("{INSTANCES}/a"), Value::Null).await["rollback"], Value::Null);
    let again = server.call("PATCH", &format!("{INSTANCES}/a/status"), body).await;
    assert_eq!((again.status, again.code()), (400, 10_402));
}

#[tokio::test]
async fn what_is_not_supported_is_refused_and_not_ignored() {
    let server = Server::start().await;
    server.ok("POST", INSTANCES, json!({"instance_id": "a"})).await;
    for body in [json!({"status": "restart", "from": {"name": "s"}}), json!({"status": "stop"})] {
        assert_eq!(server.call("PATCH", &format!("{INSTANCES}/a/status"), body.clone()).await.status, 400, "{body}");
    }
    assert_eq!(server.ok("GET", &format!("{INSTANCES}/a"), Value::Null).await["status"], "queued");
}

#[tokio::test]
async fn an_event_is_taken_until_the_instance_has_ended() {
    let server = Server::start().await;
    server.ok("POST", INSTANCES, json!({"instance_id": "a"})).await;
    server.ok("POST", &format!("{INSTANCES}/a/events/go"), json!({"x": 1})).await;
    server.ok("PATCH", &format!("{INSTANCES}/a/status"), json!({"status": "terminate"})).await;
    let late = server.call("POST", &format!("{INSTANCES}/a/events/go"), json!({})).await;
    assert_eq!((late.status, late.code()), (400, 10_401));
}

#[tokio::test]
async fn a_batch_creates_what_is_new_and_passes_over_what_is_taken() {
    let server = Server::start().await;
    server.ok("POST", INSTANCES, json!({"instance_id": "a"})).await;
    let batch = json!([{"instance_id": "a"}, {"instance_id": "b"}, {"instance_id": "b"}, {"params": 1}]);
    let created = server.ok("POST", &format!("{INSTANCES}/batch"), batch).await;
    assert_eq!(created.as_array().map(Vec::len), Some(2));
    assert_eq!(created[0]["id"], "b");
    let invalid =
        server.call("POST", &format!("{INSTANCES}/batch"), json!([{"instance_id": "c"}, {"instance_id": "!"}])).await;
    assert_eq!(invalid.code(), 10_404);
    assert_eq!(server.call("GET", &format!("{INSTANCES}/c"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_batch_is_deleted_with_an_answer_for_each() {
    let server = Server::start().await;
    server.ok("POST", INSTANCES, json!({"instance_id": "a"})).await;
    let answer = server.ok("POST", &format!("{INSTANCES}/batch/delete"), json!({"instances": ["a", "b"]})).await;
    let missing = json!({"id": "b", "code": 10_400, "message": "workflows.api.error.instance.not_found"});
    assert_eq!(answer, json!({"deleted": [{"id": "a"}], "errors": [missing]}));
    assert_eq!(server.call("GET", &format!("{INSTANCES}/a"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn waiting_for_the_end_ends_with_the_instance() {
    let server = Server::start().await;
    server.ok("POST", INSTANCES, json!({"instance_id": "a"})).await;
    let soon = server.ok("GET", &format!("{INSTANCES}/a?wait_ms=20"), Value::Null).await;
    assert_eq!(soon["status"], "queued");
    let path = format!("{INSTANCES}/a?wait_ms=60000");
    let end = async {
        tokio::task::yield_now().await;
        server.ok("PATCH", &format!("{INSTANCES}/a/status"), json!({"status": "terminate"})).await
    };
    let (shown, _) = tokio::join!(server.ok("GET", &path, Value::Null), end);
    assert_eq!(shown["status"], "terminated");
}

#[tokio::test]
async fn all_instances_of_a_status_are_terminated() {
    let server = Server::start().await;
    for id in ["a", "b", "c"] {
        server.ok("POST", INSTANCES, json!({"instance_id": id})).await;
    }
    server.ok("PATCH", &format!("{INSTANCES}/c/status"), json!({"status": "pause"})).await;
    let begun = server.ok("PUT", &format!("{INSTANCES}/terminate?status=queued"), Value::Null).await;
    assert_eq!(begun, json!({"status": "ok"}));
    for id in ["a", "b"] {
        let ended = server.ok("GET", &format!("{INSTANCES}/{id}?wait_ms=60000"), Value::Null).await;
        assert_eq!(ended["status"], "terminated", "{id}");
    }
    assert_eq!(server.ok("GET", &format!("{INSTANCES}/c"), Value::Null).await["status"], "paused");
}

#[tokio::test]
async fn schedules_are_bounded_over_all_workflows() {
    let server = Server::start().await;
    let put = async |name: &str, minutes: std::ops::Range<u32>| {
        let crons: Vec<Value> = minutes.map(|minute| json!({ "cron": format!("{minute} 3 * * *") })).collect();
        let body = json!({ "script_name": "script", "class_name": "C", "schedules": crons });
        server.call("PUT", &format!("/workflows/{name}"), body).await
    };
    assert_eq!(put("a", 0..60).await.status, 200);
    assert_eq!(put("b", 0..40).await.status, 200);
    let refused = put("c", 0..1).await;
    assert_eq!((refused.status, refused.code()), (400, 10_001), "{}", refused.body);
    assert!(refused.body.to_string().contains("101 in all; at most 100"), "{}", refused.body);
    assert_eq!(put("a", 0..59).await.status, 200);
    assert_eq!(put("c", 0..1).await.status, 200);
    server.ok("DELETE", "/workflows/b", Value::Null).await;
    assert_eq!(put("a", 0..60).await.status, 200);
}

#[tokio::test]
async fn creations_and_restarts_beyond_the_rate_are_refused() {
    let server = Server::bounded(CreationRates { server: Some(1), workflow: None }).await;
    let batch: Vec<Value> = (0..100).map(|n| json!({ "instance_id": format!("i{n}") })).collect();
    server.ok("POST", &format!("{INSTANCES}/batch"), json!(batch)).await;
    let refused = server.call("POST", INSTANCES, json!({})).await;
    assert_eq!((refused.status, refused.code()), (429, 10_429), "{}", refused.body);
    let restart = server.call("PATCH", &format!("{INSTANCES}/i1/status"), json!({ "status": "restart" })).await;
    assert_eq!(restart.status, 429, "{}", restart.body);
    server.ok("PATCH", &format!("{INSTANCES}/i1/status"), json!({ "status": "terminate" })).await;
}

#[tokio::test]
async fn a_workflow_is_put_shown_counted_and_deleted_with_its_instances() {
    let server = Server::start().await;
    let body = json!({"script_name": "script", "class_name": "C", "limits": {"steps": 9}, "concurrency": {"limit": 1},
        "schedules": [{"cron": "0 0 * * *"}]});
    let put = server.ok("PUT", "/workflows/new", body).await;
    assert_eq!(
        (&put["name"], &put["script_name"], &put["terminator_running"]),
        (&json!("new"), &json!("script"), &json!(0))
    );
    server.ok("POST", "/workflows/new/instances", json!({"instance_id": "a"})).await;
    let shown = server.ok("GET", "/workflows/new", Value::Null).await;
    assert_eq!((&shown["id"], &shown["class_name"], &shown["limits"]), (&put["id"], &json!("C"), &json!({"steps": 9})));
    assert_eq!((&shown["instances"]["queued"], &shown["instances"]["rollingBack"]), (&json!(1), &json!(0)));
    assert!(shown["triggered_on"].is_string());
    let versions = server.ok("GET", "/workflows/new/versions", Value::Null).await;
    assert_eq!(versions[0]["id"], put["version_id"]);
    let path = format!("/workflows/new/versions/{}", put["version_id"].as_str().expect("an id"));
    assert_eq!(server.ok("GET", &path, Value::Null).await["workflow_id"], put["id"]);
    let list = server.ok("GET", "/workflows?search=ne&page=1", Value::Null).await;
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    assert_eq!(server.ok("DELETE", "/workflows/new", Value::Null).await, json!({"status": "ok", "success": true}));
    assert_eq!(server.call("GET", "/workflows/new", Value::Null).await.code(), 10_200);
}

#[tokio::test]
async fn other_accounts_are_refused_and_the_one_there_is_named() {
    let server = Server::start().await;
    let answer = server.at("GET", "/client/v4/accounts/0123/workflows", "").await;
    assert_eq!((answer.status, answer.code()), (403, 10_000));
    let accounts = server.at("GET", "/client/v4/accounts?page=1", "").await;
    assert_eq!(accounts.body["result"][0]["id"], stepwell::accounts::ACCOUNT_ID);
    for path in ["/client/v4/user", "/client/v4/user/tokens/verify", "/client/v4/memberships"] {
        assert_eq!(server.at("GET", path, "").await.status, 200, "{path}");
    }
    assert_eq!(server.at("GET", "/", "").await.code(), 7_003);
}

#[tokio::test]
async fn an_upload_is_taken_apart_and_handed_over() {
    let server = Server::start().await;
    let metadata = r#"{"main_module":"index.js","compatibility_date":"2026-01-01","bindings":[]}"#;
    let script = "export default {}";
    let answer = server
        .upload(
            "fresh",
            &[("metadata", "application/json", metadata), ("index.js", "application/javascript+module", script)],
        )
        .await;
    assert_eq!((answer.status, &answer.body["result"]["id"]), (200, &json!("fresh")), "{}", answer.body);
    let uploads = server.uploads();
    assert_eq!((uploads[0].main_module.as_str(), &uploads[0].modules[0].bytes[..]), ("index.js", script.as_bytes()));
    let list = server.ok("GET", "/workers/scripts", Value::Null).await;
    assert_eq!(list.as_array().expect("scripts").iter().filter(|row| row["id"] == "fresh").count(), 1);
    assert_eq!(server.ok("DELETE", "/workers/scripts/fresh", Value::Null).await, json!({"id": "fresh"}));
    assert_eq!(server.call("DELETE", "/workers/scripts/fresh", Value::Null).await.code(), 10_007);
    let bad =
        server.upload("fresh", &[("metadata", "application/json", metadata), ("index.py", "text/x-python", "")]).await;
    assert_eq!((bad.status, bad.code()), (400, 10_021));
}

#[tokio::test]
async fn a_script_with_instances_goes_only_by_force() {
    let server = Server::start().await;
    server.ok("POST", INSTANCES, json!({ "instance_id": "a" })).await;
    let refused = server.call("DELETE", "/workers/scripts/script", Value::Null).await;
    let message = refused.body["errors"][0]["message"].as_str().expect("a message");
    assert!(refused.status == 409 && message.contains("\"flow\" with 1 instance"), "{message}");
    let gone = server.ok("DELETE", "/workers/services/script?force=true", Value::Null).await;
    assert_eq!(gone, json!({ "id": "script" }));
    assert_eq!(server.call("GET", "/workflows/flow", Value::Null).await.code(), 10_200);
    assert_eq!(server.call("GET", "/workers/services/script", Value::Null).await.code(), 10_090);
}

#[tokio::test]
async fn bindings_create_find_change_and_delete_instances() {
    let server = Server::start().await;
    let exact = r#""[[\"Date\",\"2026\"]]""#;
    let body = format!(r#"{{"id":"a","params":{{"json":{{"d": 1}},"exact":{exact}}}}}"#);
    assert_eq!(server.binding("create", &body).await, (200, json!({"id": "a"})));
    assert_eq!(server.binding("getInstance", r#"{"id":"a"}"#).await, (200, json!({"id": "a"})));
    assert_eq!(server.binding("status", r#"{"id":"a"}"#).await, (200, json!({"status": "queued"})));
    assert_eq!(server.binding("sendEvent", r#"{"id":"a","type":"t","payload":{"json":1}}"#).await, (200, Value::Null));
    for (method, status) in
        [("pause", "paused"), ("resume", "queued"), ("restart", "queued"), ("terminate", "terminated")]
    {
        assert_eq!(server.binding(method, r#"{"id":"a"}"#).await, (200, Value::Null), "{method}");
        assert_eq!(server.binding("status", r#"{"id":"a"}"#).await.1["status"], status);
    }
    let shown = server.ok("GET", &format!("{INSTANCES}/a"), Value::Null).await;
    assert_eq!(shown["steps"], json!([{"type": "termination", "trigger": {"source": "binding"}}]));
    assert_eq!(server.binding("deleteInstance", r#"{"id":"a"}"#).await, (200, Value::Null));
    let not_found =
        json!({"error": {"name": "WorkflowError", "message": "(instance.not_found) Instance does not exist"}});
    assert_eq!(server.binding("getInstance", r#"{"id":"a"}"#).await, (404, not_found));
}

#[tokio::test]
async fn bindings_create_batches_in_both_forms() {
    let server = Server::start().await;
    let (status, created) =
        server.binding("createBatch", r#"{"form":"array","instances":[{"id":"a"},{"id":"a"}]}"#).await;
    assert_eq!((status, created), (200, json!([{"id": "a"}])));
    let (_, answer) =
        server.binding("createBatch", r#"{"form":"object","instances":[{"id":"a"},{"id":"b"},{"id":"b"}]}"#).await;
    let error = |index: u32, id: &str, code: u32, key: &str| json!({"index": index, "id": id, "code": code, "message": format!("workflows.api.error.instance.{key}")});
    let errors = json!([error(0, "a", 10_405, "already_exists"), error(2, "b", 10_415, "duplicate_in_batch")]);
    assert_eq!(answer, json!({"created": [{"id": "b"}], "errors": errors}));
    let (_, counted) = server.binding("createBatch", r#"{"form":"object","count":3}"#).await;
    assert_eq!(counted["created"].as_array().map(Vec::len), Some(3));
    let (status, refused) = server.binding("createBatch", r#"{"form":"array","instances":[]}"#).await;
    assert_eq!(
        (status, &refused["error"]["message"]),
        (400, &json!("WorkflowError: batchCreate should have at least 1 instance"))
    );
}

#[tokio::test]
async fn a_binding_gets_the_output_as_it_is_kept_and_no_stack() {
    let server = Server::start().await;
    let output = Payload { json: Some("\"view\"".into()), exact: Some("\"[1]\"".into()), value_bytes: 3 };
    server.finished(&[("done", vec![Entry::Completed { output }])]).await;
    let expected = json!({"status": "complete", "output": {"json": "view", "exact": "[1]"}});
    assert_eq!(server.binding("status", r#"{"id":"done"}"#).await, (200, expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_that_begins_while_the_instance_ends_does_not_miss_its_end() {
    let server = Server::start().await;
    for number in 0..200 {
        let path = format!("{INSTANCES}/i{number}");
        server.ok("POST", INSTANCES, json!({"instance_id": format!("i{number}")})).await;
        let (wait, change) = (format!("{path}?wait_ms=60000"), format!("{path}/status"));
        let ending = server.ok("PATCH", &change, json!({"status": "terminate"}));
        let both = async { tokio::join!(ending, server.ok("GET", &wait, Value::Null)) };
        let (_, shown) = tokio::time::timeout(Duration::from_secs(10), both).await.expect("the end is told");
        assert_eq!(shown["status"], "terminated");
    }
}
