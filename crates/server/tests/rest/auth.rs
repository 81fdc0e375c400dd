//! Who is let in, through the whole face.

use axum::http::Method;
use serde_json::{Value, json};
use stepwell::accounts::ACCOUNT_ID;
use stepwell::auth::{Auth, Needs, NewToken, OPERATOR_TOKEN_FILE, Scope, Scopes};
use stepwell::rest;
use stepwell_store::{AccountId, Store};

use crate::server::Server;

/// Status and code of a request with these headers.
async fn ask(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> (u16, u64) {
    let answer = server.with_headers(method, path, headers, Value::Null).await;
    (answer.status, answer.body["errors"][0]["code"].as_u64().unwrap_or(0))
}

async fn ask_with(server: &Server, method: Method, path: &str, token: &str) -> (u16, u64) {
    ask(server, method, path, &[("authorization", &format!("Bearer {token}"))]).await
}

/// A server that wants tokens, and its operator's.
async fn guarded() -> (Server, Auth, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start().await;
    let (auth, token) = Auth::open(dir.path(), &server.store).await.expect("a first start");
    (server.guarded_by(auth.clone()), auth, token.expect("a token to print"))
}

async fn token(auth: &Auth, scopes: Scopes) -> String {
    let new = NewToken { label: "test".to_owned(), account: None, scopes, expires_at: None };
    auth.tokens().expect("tokens").create(new).await.expect("a token").1
}

/// A path with something in place of each parameter; the default account in that of the account.
fn filled(path: &str) -> String {
    let fill = |part: &str| match part {
        "{account}" => ACCOUNT_ID.to_owned(),
        part if part.starts_with('{') => "x".to_owned(),
        part => part.to_owned(),
    };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn the_first_start_makes_a_token_and_later_ones_know_it_by_its_hash() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::in_memory();
    let (first, token) = Auth::open(dir.path(), &store).await.expect("a first start");
    let token = token.expect("a token to print");
    let kept = std::fs::read_to_string(dir.path().join(OPERATOR_TOKEN_FILE)).expect("a file");
    assert_eq!(kept.trim_end(), token);
    assert!(store.tokens().await.expect("a read").iter().all(|row| !row.hash.contains(&token)));
    let (second, printed) = Auth::open(dir.path(), &store).await.expect("a second start");
    assert_eq!(printed, None);
    for auth in [first, second] {
        let server = Server::start().await.guarded_by(auth);
        let user = "/client/v4/user";
        assert_eq!(ask_with(&server, Method::GET, user, &token).await, (200, 0));
        assert_eq!(ask(&server, Method::GET, user, &[("x-auth-key", &token)]).await, (200, 0));
        assert_eq!(ask_with(&server, Method::GET, user, "wrong").await, (401, 10_000));
        assert_eq!(ask(&server, Method::GET, user, &[]).await, (401, 10_000));
    }
}

#[tokio::test]
async fn without_a_token_only_this_machines_programs_are_let_in() {
    let server = Server::start().await.guarded_by(Auth::Open);
    let user = "/client/v4/user";
    let any = [("host", "127.0.0.1:8788"), ("authorization", "Bearer any")];
    assert_eq!(ask(&server, Method::GET, user, &any).await, (200, 0));
    assert_eq!(ask(&server, Method::GET, user, &[("host", "evil.test")]).await, (403, 10_000));
    let page = [("host", "localhost:8788"), ("origin", "https://evil.test")];
    assert_eq!(ask(&server, Method::GET, user, &page).await, (403, 10_000));
}

#[tokio::test]
async fn no_route_answers_without_its_scope() {
    let (server, auth, operator) = guarded().await;
    let mut scoped = 0;
    for route in rest::routes() {
        let (method, path) = (route.method.clone(), filled(&route.path));
        let asked = format!("{method} {path}");
        if route.needs == Needs::Nothing {
            continue;
        }
        assert_eq!(ask(&server, method.clone(), &path, &[]).await, (401, 10_000), "{asked} without a token");
        // The path may name nothing: what counts is that the request gets as far as that.
        let (status, _) = ask_with(&server, method.clone(), &path, &operator).await;
        assert!(!matches!(status, 401 | 403), "{asked} with every scope: {status}");
        if let Needs::Scope(scope) = route.needs {
            scoped += 1;
            let others = token(&auth, Scopes::of(Scope::ALL.into_iter().filter(|other| *other != scope))).await;
            assert_eq!(ask_with(&server, method.clone(), &path, &others).await, (403, 10_000), "{asked} without scope");
            let own = token(&auth, Scopes::of([scope])).await;
            let (status, _) = ask_with(&server, method, &path, &own).await;
            assert!(!matches!(status, 401 | 403), "{asked} with its scope alone: {status}");
        }
    }
    assert!(scoped > 40, "{scoped} routes were tried");
}

#[tokio::test]
async fn what_is_public_is_named_here() {
    let public = rest::routes().into_iter().filter(|route| route.needs == Needs::Nothing);
    let public: Vec<String> = public.map(|route| format!("{} {}", route.method, route.path)).collect();
    let expected = [
        "GET /openapi.json",
        "GET /tails/{tail}",
        "PUT /client/v4/d1/uploads/{token}",
        "GET /client/v4/d1/exports/{token}/{filename}",
    ];
    assert_eq!(public, expected);
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_told_to_nobody_without_a_token() {
    let (server, _, operator) = guarded().await;
    let path = "/client/v4/nothing/here";
    assert_eq!(ask(&server, Method::GET, path, &[]).await, (401, 10_000));
    assert_eq!(ask_with(&server, Method::GET, path, &operator).await, (404, 7_003));
    assert_eq!(ask_with(&server, Method::DELETE, "/client/v4/user", &operator).await, (404, 7_003));
}

#[tokio::test]
async fn an_account_is_out_of_reach_of_the_tokens_of_others() {
    let (server, _, operator) = guarded().await;
    let bearer = format!("Bearer {operator}");
    let headers = [("authorization", bearer.as_str())];
    let post = |path: String, body: Value| server.with_headers(Method::POST, path, &headers, body);
    let made = post("/client/v4/accounts".to_owned(), json!({ "name": "team" })).await;
    let team = made.body["result"]["id"].as_str().expect("an id").to_owned();
    let tokens = format!("/client/v4/accounts/{team}/tokens");
    let made = post(tokens, json!({ "name": "theirs", "scopes": ["metadata", "admin"] })).await;
    let theirs = made.body["result"]["value"].as_str().expect("a token").to_owned();
    let workflows = |account: &str| format!("/client/v4/accounts/{account}/workflows");
    assert_eq!(ask_with(&server, Method::GET, &workflows(&team), &theirs).await, (200, 0));
    assert_eq!(ask_with(&server, Method::GET, &workflows(ACCOUNT_ID), &theirs).await, (403, 10_000));
    assert_eq!(ask_with(&server, Method::GET, &workflows("nobodys"), &theirs).await, (403, 10_000));
    assert_eq!(ask_with(&server, Method::POST, "/client/v4/accounts", &theirs).await, (403, 10_000));
    // The default account has a workflow `flow`; the other has none.
    let flow = format!("{}/flow", workflows(&team));
    assert_eq!(ask_with(&server, Method::GET, &flow, &theirs).await, (404, 10_200));
    let own = format!("/client/v4/accounts/{team}");
    assert_eq!(ask_with(&server, Method::DELETE, &own, &operator).await, (200, 0));
    assert_eq!(ask_with(&server, Method::GET, &workflows(&team), &theirs).await, (401, 10_000));
}

#[tokio::test]
async fn accounts_are_found_by_their_name_and_by_a_part_of_it() {
    let (server, _, operator) = guarded().await;
    let bearer = format!("Bearer {operator}");
    let headers = [("authorization", bearer.as_str())];
    for name in ["team", "team-2"] {
        server.with_headers(Method::POST, "/client/v4/accounts", &headers, json!({ "name": name })).await;
    }
    for (query, expected) in [
        ("name=team", 1),
        ("account.name=team", 1),
        ("name=tea", 0),
        ("search=team", 2),
        ("search=team&per_page=1&page=2", 1),
        ("search=none", 0),
    ] {
        for list in ["accounts", "memberships"] {
            let path = format!("/client/v4/{list}?{query}");
            let answer = server.with_headers(Method::GET, &path, &headers, Value::Null).await;
            assert_eq!(answer.body["result"].as_array().map(Vec::len), Some(expected), "{path}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn a_token_tells_whether_it_is_valid_and_for_which_account() {
    let (server, auth, operator) = guarded().await;
    let bearer = format!("Bearer {operator}");
    let made = server
        .with_headers(Method::POST, "/client/v4/accounts", &[("authorization", &bearer)], json!({ "name": "team" }))
        .await;
    let team = made.body["result"]["id"].as_str().expect("an id").to_owned();
    let new = NewToken {
        label: "ci".to_owned(),
        account: Some(AccountId::DEFAULT),
        scopes: Scopes::of([Scope::Deploy]),
        expires_at: None,
    };
    let (row, own) = auth.tokens().expect("tokens").create(new).await.expect("a token");
    let verify = |account: &str| format!("/client/v4/accounts/{account}/tokens/verify");
    for path in [verify(ACCOUNT_ID), "/client/v4/user/tokens/verify".to_owned()] {
        let bearer = format!("Bearer {own}");
        let answer = server.with_headers(Method::GET, &path, &[("authorization", &bearer)], Value::Null).await;
        assert_eq!(
            (&answer.body["result"]["id"], &answer.body["result"]["status"]),
            (&json!(row.id), &json!("active"))
        );
        assert_eq!(ask_with(&server, Method::GET, &path, "wrong").await, (401, 10_000));
    }
    assert_eq!(ask_with(&server, Method::GET, &verify(&team), &own).await, (403, 10_000));
}

#[tokio::test]
async fn sql_wants_the_scopes_of_changing_and_of_reading() {
    let (server, auth, operator) = guarded().await;
    let databases = format!("/client/v4/accounts/{ACCOUNT_ID}/d1/database");
    let post = async |path: &str, token: &str, body: Value| {
        let bearer = format!("Bearer {token}");
        server.with_headers(Method::POST, path, &[("authorization", &bearer)], body).await
    };
    assert_eq!(post(&databases, &operator, json!({ "name": "shop" })).await.status, 200);
    let query = format!("{databases}/shop/query");
    for (scopes, status) in
        [(vec![Scope::Deploy], 403), (vec![Scope::Payloads], 403), (vec![Scope::Deploy, Scope::Payloads], 200)]
    {
        let own = token(&auth, Scopes::of(scopes.clone())).await;
        let answer = post(&query, &own, json!({ "sql": "SELECT 1" })).await;
        assert_eq!(answer.status, status, "{scopes:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn databases_of_two_accounts_share_nothing() {
    let (server, _, operator) = guarded().await;
    let bearer = format!("Bearer {operator}");
    let headers = [("authorization", bearer.as_str())];
    let post = async |path: String, body: Value| server.with_headers(Method::POST, path, &headers, body).await;
    let made = post("/client/v4/accounts".to_owned(), json!({ "name": "team" })).await;
    let team = made.body["result"]["id"].as_str().expect("an id").to_owned();
    for (account, value) in [(ACCOUNT_ID, 1), (&team, 2)] {
        let databases = format!("/client/v4/accounts/{account}/d1/database");
        let made = post(databases.clone(), json!({ "name": "shop", "id": "same-id" })).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let sql = format!("CREATE TABLE t (a); INSERT INTO t VALUES ({value})");
        post(format!("{databases}/shop/query"), json!({ "sql": sql })).await;
    }
    for (account, value) in [(ACCOUNT_ID, 1), (&team, 2)] {
        let query = format!("/client/v4/accounts/{account}/d1/database/same-id/query");
        let rows = post(query, json!({ "sql": "SELECT a FROM t" })).await;
        assert_eq!(rows.body["result"][0]["results"], json!([{ "a": value }]), "{}", rows.body);
    }
    let own = format!("/client/v4/accounts/{team}");
    assert_eq!(ask_with(&server, Method::DELETE, &own, &operator).await, (409, 20_409), "it still has a database");
}

#[tokio::test]
async fn a_revoked_token_takes_its_tails_with_it() {
    let (server, auth, operator) = guarded().await;
    let tails = format!("/client/v4/accounts/{ACCOUNT_ID}/workers/scripts/script/tails");
    let own = token(&auth, Scopes::of([Scope::Payloads])).await;
    for token in [&own, &operator] {
        assert_eq!(ask_with(&server, Method::POST, &tails, token).await, (200, 0));
    }
    let id = auth.tokens().expect("tokens").all().last().expect("a token").id.clone();
    let revoked = format!("/client/v4/accounts/{ACCOUNT_ID}/tokens/{id}");
    assert_eq!(ask_with(&server, Method::DELETE, &revoked, &operator).await, (200, 0));
    let bearer = format!("Bearer {operator}");
    let left = server.with_headers(Method::GET, &tails, &[("authorization", &bearer)], Value::Null).await;
    assert_eq!(left.body["result"].as_array().map(Vec::len), Some(1), "{}", left.body);
}

#[tokio::test]
async fn tokens_are_listed_page_by_page() {
    let (server, auth, operator) = guarded().await;
    token(&auth, Scopes::of([Scope::Metadata])).await;
    let tokens = format!("/client/v4/accounts/{ACCOUNT_ID}/tokens");
    let bearer = format!("Bearer {operator}");
    for (query, count) in [("", 2), ("?page=2", 0), ("?page=2&per_page=1", 1), ("?page=3&per_page=1", 0)] {
        let path = format!("{tokens}{query}");
        let answer = server.with_headers(Method::GET, &path, &[("authorization", &bearer)], Value::Null).await;
        assert_eq!(answer.body["result"].as_array().map(Vec::len), Some(count), "{path}: {}", answer.body);
        assert_eq!(answer.body["result_info"]["total_count"], 2, "{path}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let (server, _, operator) = guarded().await;
    let tokens = format!("/client/v4/accounts/{ACCOUNT_ID}/tokens");
    let bearer = format!("Bearer {operator}");
    let headers = [("authorization", bearer.as_str())];
    let new = json!({ "name": "ci", "scopes": ["deploy"], "expires_on": "2999-01-01T00:00:00Z" });
    let made = server.with_headers(Method::POST, &tokens, &headers, new).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let (id, value) = (made.body["result"]["id"].as_str().expect("an id"), made.body["result"]["value"].as_str());
    let value = value.expect("a token");
    assert_eq!(ask_with(&server, Method::GET, "/client/v4/user", value).await, (200, 0));
    let listed = server.with_headers(Method::GET, &tokens, &headers, Value::Null).await;
    let found = listed.body["result"].as_array().expect("a list").iter().find(|row| row["id"] == id).expect("listed");
    assert_eq!((&found["name"], &found["scopes"], found.get("value")), (&json!("ci"), &json!(["deploy"]), None));
    assert_eq!(ask_with(&server, Method::DELETE, &format!("{tokens}/{id}"), &operator).await, (200, 0));
    assert_eq!(ask_with(&server, Method::GET, "/client/v4/user", value).await, (401, 10_000));
}
