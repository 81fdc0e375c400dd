//! What the fake server knows of Workers: their versions, releases and secrets, and who is asking.

use serde_json::{Value, json};

/// The answer's result, or the error `(status, code, message)`.
pub type Known = Result<Value, (u16, u32, &'static str)>;

/// What is told of a request below the account; none where this is not about Workers.
pub fn answer(method: &str, segments: &[&str], body: &str) -> Option<Known> {
    let known = match (method, segments) {
        ("GET", ["tokens"]) => json!([
            token("t-1", &["metadata", "admin"], true, &Value::Null),
            token("t-2", &["deploy"], false, &json!("2026-11-22T12:00:00.000Z")),
        ]),
        ("POST", ["tokens"]) => {
            let asked: Value = serde_json::from_str(body).expect("JSON");
            let mut made = token("t-3", &["deploy"], false, &asked["expires_on"]);
            made["value"] = json!("stepwell_secret");
            made
        }
        ("DELETE", ["tokens", "t-2"]) => json!({"id": "t-2"}),
        ("GET", ["workers", "scripts"]) => json!([{"id": "idle"}, {"id": "shop"}]),
        ("GET", ["workers", "scripts", script, "versions"]) => versions(script),
        ("GET", ["workers", "scripts", "shop", "versions", "v-9"]) => detail(0),
        ("GET", ["workers", "scripts", "shop", "versions", "v-7"]) => detail(1),
        ("PATCH", ["workers", "workers", "shop", "versions", "latest"]) => json!({"id": "v-10", "number": 10}),
        ("POST", ["workers", "scripts", "shop", "versions"]) => version(10, "2026-11-21T12:00:00.000Z", false, 0),
        ("DELETE", ["workers", "scripts", "shop", "versions", "v-7"]) => {
            let message = "deployment 7 is needed by 1 unfinished instance(s): orders/order-1; let them end or terminate \
                           them first";
            return Some(Err((409, 20_409, message)));
        }
        ("DELETE", ["workers", "scripts", "idle", "versions", "v-3"]) => json!({"id": "v-3"}),
        ("GET", ["workers", "scripts", "shop", "deployments"]) => json!({"deployments": [
            release("r-1", "2026-11-01T12:00:00.000Z", "v-7", ""),
            release("r-2", "2026-11-21T11:58:00.000Z", "v-9", "faster"),
        ]}),
        ("POST", ["workers", "scripts", "shop", "deployments"]) => {
            let body: Value = serde_json::from_str(body).expect("JSON");
            json!({"id": "r-3", "created_on": "2026-11-21T12:00:00.000Z", "versions": body["versions"], "later": 1})
        }
        ("GET", ["workers", "scripts", "shop", "secrets"]) => {
            json!([{"name": "KEY", "type": "secret_text"}, {"name": "OTHER", "type": "secret_text"}])
        }
        ("GET", ["workers", "scripts", "idle", "secrets"]) => json!([]),
        ("PUT", ["workers", "scripts", "shop", "secrets"]) => json!({"name": "KEY", "type": "secret_text"}),
        ("DELETE", ["workers", "scripts", "shop", "secrets", "KEY"]) => Value::Null,
        ("PATCH", ["workers", "scripts", "shop", "secrets-bulk"]) => json!({"name": "shop"}),
        ("GET", ["workers", "scripts", "shop", "references"]) => {
            json!({"services": {"incoming": [{"service": "front", "name": "SHOP"}], "outgoing": []}})
        }
        ("GET", ["workers", "scripts", "idle", "references"]) => json!({"services": {"incoming": [], "outgoing": []}}),
        ("DELETE", ["workers", "services", name]) => json!({ "id": name }),
        ("PUT", ["workers", "scripts", name]) => json!({"id": name, "etag": "e"}),
        ("GET" | "PUT" | "DELETE", ["workers", "scripts", "nobody", ..]) => {
            return Some(Err((404, 10_007, "This Worker does not exist on your account.")));
        }
        _ => return None,
    };
    Some(Ok(known))
}

/// What is told of a request that is not below an account.
pub fn answer_of_server(method: &str, path: &str, token: Option<&str>) -> Known {
    match (method, path, token) {
        (_, _, Some("Bearer wrong")) => Err((401, 10_000, "the token is not valid")),
        ("GET", "/user/tokens/verify", None) => Err((401, 10_000, "no API token")),
        ("GET", "/user/tokens/verify", Some(_)) => Ok(json!({"id": "t", "status": "active"})),
        ("GET", "/user", _) => Ok(json!({"id": "u", "email": "operator@stepwell.localhost"})),
        ("GET", "/accounts", _) => Ok(json!([account(super::fake::ACCOUNT, "Stepwell"), account("second", "Second")])),
        ("GET", "/accounts/second", _) => Ok(account("second", "Second")),
        ("POST", "/accounts", _) => Ok(account("a-2", "team")),
        ("DELETE", "/accounts/a-2", _) => Ok(json!({"id": "a-2"})),
        _ => Err((403, 10_000, "Authentication error: this account is not on this server")),
    }
}

fn token(id: &str, scopes: &[&str], all_accounts: bool, expires_on: &Value) -> Value {
    json!({"id": id, "name": "ci", "scopes": scopes, "all_accounts": all_accounts, "status": "active", "expires_on": expires_on})
}

fn account(id: &str, name: &str) -> Value {
    json!({ "id": id, "name": name, "type": "standard" })
}

fn release(id: &str, created_on: &str, version: &str, message: &str) -> Value {
    let annotations = if message.is_empty() { json!({}) } else { json!({ "workers/message": message }) };
    json!({"id": id, "created_on": created_on, "strategy": "percentage", "annotations": annotations,
        "versions": [{"version_id": version, "percentage": 100}]})
}

fn version(number: u32, created_on: &str, is_current: bool, live_instances: u32) -> Value {
    json!({"id": format!("v-{number}"), "number": number, "metadata": {"created_on": created_on}, "is_current": is_current,
        "live_instances": live_instances, "annotations": {}})
}

fn versions(script: &str) -> Value {
    let mut first = version(7, "2026-11-01T12:00:00.000Z", false, 1);
    first["annotations"] = json!({"workers/message": "the first that worked", "workers/tag": "stable"});
    match script {
        "shop" => json!({"items": [version(9, "2026-11-21T11:58:00.000Z", true, 12), first]}),
        _ => json!({"items": [version(3, "2026-11-20T12:00:00.000Z", true, 0)]}),
    }
}

fn detail(place: usize) -> Value {
    let mut detail = versions("shop")["items"][place].clone();
    detail["resources"] = json!({
        "bindings": [
            {"type": "plain_text", "name": "GREETING", "text": "hello"},
            {"type": "json", "name": "FLAGS", "json": {"a": 1}},
            {"type": "workflow", "name": "ORDERS", "workflow_name": "orders", "class_name": "Orders"},
            {"type": "secret_text", "name": "KEY"},
        ],
        "script": {"etag": "e"},
        "script_runtime": {"compatibility_date": "2026-01-01", "compatibility_flags": ["nodejs_compat"]},
    });
    detail["startup_time_ms"] = json!(0);
    detail
}
