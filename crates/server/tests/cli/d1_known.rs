//! What the fake server knows of D1: one database, which takes anything and gives one row.

use serde_json::{Value, json};

/// Status and text of the answer to a request; none where this is not about D1.
pub fn answer(method: &str, segments: &[&str]) -> Option<(u16, String)> {
    let known = match (method, segments) {
        ("GET", ["d1", "database"]) => json!([listed()]),
        ("POST", ["d1", "database"]) | ("GET", ["d1", "database", "shop-id" | "shop"]) => detail(),
        ("DELETE", ["d1", "database", "shop-id" | "shop"]) => Value::Null,
        ("POST", ["d1", "database", "shop-id" | "shop", action]) => acted(action)?,
        ("PUT", ["d1", "uploads", "secret"]) => Value::Null,
        ("GET", ["d1", "exports", "secret", "shop.sql"]) => return Some((200, "CREATE TABLE t (a);\n".to_owned())),
        ("GET" | "POST" | "DELETE", ["d1", "database", ..]) => {
            let error = json!([{ "code": 7_404, "message": "The database nobody could not be found" }]);
            return Some((
                404,
                json!({ "success": false, "errors": error, "messages": [], "result": null }).to_string(),
            ));
        }
        _ => return None,
    };
    Some((200, json!({ "success": true, "errors": [], "messages": [], "result": known }).to_string()))
}

fn listed() -> Value {
    json!({
        "uuid": "shop-id", "name": "shop", "version": "production", "created_at": "2026-11-21T11:58:00.000Z",
        "jurisdiction": null,
    })
}

fn detail() -> Value {
    let mut detail = listed();
    let more = json!({ "num_tables": 2, "file_size": 12_288, "read_replication": { "mode": "disabled" } });
    detail.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    detail
}

fn acted(action: &str) -> Option<Value> {
    let meta = json!({ "duration": 0.5, "rows_read": 1, "rows_written": 0, "changed_db": false });
    Some(match action {
        "query" => json!([{ "success": true, "results": [], "meta": meta }]),
        "raw" => json!([{
            "success": true, "results": { "columns": ["id", "name"], "rows": [[1, "pen"], [2, null]] }, "meta": meta,
        }]),
        // All at once, so that every way of asking is answered.
        "import" => json!({
            "success": true, "type": "import", "status": "complete", "filename": "f", "at_bookmark": "b", "messages": [],
            "upload_url": "http://elsewhere/client/v4/d1/uploads/secret",
            "result": { "num_queries": 3, "final_bookmark": "c", "meta": meta },
        }),
        "export" => json!({
            "success": true, "type": "export", "status": "complete", "at_bookmark": "b", "messages": [],
            "result": { "signed_url": "http://elsewhere/client/v4/d1/exports/secret/shop.sql", "filename": "shop.sql" },
        }),
        _ => return None,
    })
}
