//! Who is asking, as clients want to know before they do anything: the one user and the one account of this server.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

use super::Api;
use super::envelope::{Reply, ResultInfo, page, success};
use crate::auth::ACCOUNT_ID;

const USER_ID: &str = "00000000000000000000000000000001";
const TOKEN_ID: &str = "00000000000000000000000000000002";
const NAME: &str = "Stepwell";

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/user", get(user))
        .route("/user/tokens/verify", get(verify))
        .route("/accounts", get(accounts))
        .route("/accounts/{account}", get(account_shown))
        .route("/memberships", get(memberships))
}

async fn user() -> Reply {
    Ok(success(json!({ "id": USER_ID, "email": "operator@stepwell.localhost", "username": "operator" })))
}

async fn verify() -> Reply {
    Ok(success(json!({ "id": TOKEN_ID, "status": "active" })))
}

async fn accounts() -> Reply {
    Ok(page([account()], one_row()))
}

async fn account_shown(axum::extract::Path(id): axum::extract::Path<String>) -> Reply {
    crate::auth::check_account(&id)?;
    Ok(success(account()))
}

async fn memberships() -> Reply {
    let membership = json!({ "id": USER_ID, "status": "accepted", "account": account(), "roles": ["Administrator"] });
    Ok(page([membership], one_row()))
}

fn account() -> Value {
    json!({ "id": ACCOUNT_ID, "name": NAME, "type": "standard" })
}

fn one_row() -> ResultInfo {
    ResultInfo { page: 1, per_page: 20, count: 1, total_count: Some(1), cursor: None }
}
