//! Who is asking, as clients want to know before they do anything: the one user of this server, its token and its accounts.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Query, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_store::AccountRow;

use super::envelope::{Reply, page, success};
use super::page_query::NamedPageQuery;
use super::resource::Account;
use super::route::Route;
use super::times::Iso;
use super::{Api, body};
use crate::api_error::ApiError;
use crate::auth::{Holder, Needs, Scope};

const USER_ID: &str = "00000000000000000000000000000001";
/// Where no token is wanted, clients still ask for its id.
const NO_TOKEN_ID: &str = "00000000000000000000000000000002";
/// Rows of a page of accounts unless asked otherwise.
const PER_PAGE_DEFAULT: usize = 20;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/user", Needs::Token, user).says("Shows the one user of this server").gives::<Value>(),
        Route::get("/user/tokens/verify", Needs::Token, verify)
            .says("Tells whether the token is valid")
            .gives::<Value>(),
        Route::get("/accounts/{account}/tokens/verify", Needs::Token, verify)
            .says("Tells whether the token is valid, and may use the account")
            .gives::<Value>(),
        Route::get("/memberships", Needs::Token, memberships)
            .says("Lists the accounts that the token may use, as memberships")
            .asks::<NamedPageQuery>()
            .pages::<MembershipView>(),
        Route::get("/accounts", Needs::Token, accounts)
            .says("Lists the accounts that the token may use")
            .asks::<NamedPageQuery>()
            .pages::<AccountView>(),
        Route::post("/accounts", Scope::Admin, create_account)
            .says("Makes an account")
            .takes::<NewAccount>()
            .gives::<AccountView>(),
        Route::get("/accounts/{account}", Needs::Token, account_shown).says("Shows an account").gives::<AccountView>(),
        Route::delete("/accounts/{account}", Scope::Admin, delete_account)
            .says("Deletes an account that has nothing left but tokens")
            .gives::<Value>(),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct NewAccount {
    name: String,
}

/// An account.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Account")]
struct AccountView {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    created_on: Iso,
}

/// That whoever asks may use an account.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Membership")]
struct MembershipView {
    id: String,
    status: &'static str,
    account: AccountView,
    roles: [&'static str; 1],
}

async fn user() -> Reply {
    Ok(success(json!({ "id": USER_ID, "email": "operator@stepwell.localhost", "username": "operator" })))
}

async fn verify(Extension(holder): Extension<Holder>) -> Reply {
    let id = holder.token.as_deref().unwrap_or(NO_TOKEN_ID);
    let mut view = json!({ "id": id, "status": "active" });
    if let Some(expires_at) = holder.expires_at {
        view["expires_on"] = json!(Iso(expires_at));
    }
    Ok(success(view))
}

async fn accounts(
    State(api): State<Api>,
    Extension(holder): Extension<Holder>,
    Query(query): Query<NamedPageQuery>,
) -> Reply {
    let (rows, info) = query.slice(reached(&api, &holder), |row| &row.name, PER_PAGE_DEFAULT)?;
    Ok(page(rows.iter().map(view).collect::<Vec<_>>(), info))
}

async fn memberships(
    State(api): State<Api>,
    Extension(holder): Extension<Holder>,
    Query(query): Query<NamedPageQuery>,
) -> Reply {
    let (rows, info) = query.slice(reached(&api, &holder), |row| &row.name, PER_PAGE_DEFAULT)?;
    let membership = |row: &AccountRow| json!({ "id": row.public_id, "status": "accepted", "account": view(row), "roles": ["Administrator"] });
    Ok(page(rows.iter().map(membership).collect::<Vec<_>>(), info))
}

async fn create_account(State(api): State<Api>, Extension(holder): Extension<Holder>, bytes: Bytes) -> Reply {
    check_reaches_all(&holder)?;
    let NewAccount { name } = body::parse(&bytes)?;
    Ok(success(view(&api.accounts.create(name).await?)))
}

async fn account_shown(State(api): State<Api>, Account(account): Account) -> Reply {
    let row = api.accounts.row(account);
    Ok(success(row.as_ref().map(view)))
}

async fn delete_account(
    State(api): State<Api>,
    Extension(holder): Extension<Holder>,
    Account(account): Account,
) -> Reply {
    check_reaches_all(&holder)?;
    let row = api.accounts.row(account);
    api.accounts.delete(account).await?;
    if let Ok(tokens) = api.auth.tokens() {
        tokens.forget(account);
    }
    api.platform.tails.close_of_account(account);
    Ok(success(json!({ "id": row.map(|row| row.public_id) })))
}

/// The accounts that a token may use.
fn reached(api: &Api, holder: &Holder) -> Vec<AccountRow> {
    api.accounts.all().into_iter().filter(|row| holder.covers(row.id)).collect()
}

fn check_reaches_all(holder: &Holder) -> Result<(), ApiError> {
    match holder.account {
        None => Ok(()),
        Some(_) => Err(ApiError::new(
            403,
            crate::auth::AUTHENTICATION,
            "Authentication error: this API token is for one account; accounts are made and deleted with one that is for all",
        )),
    }
}

fn view(row: &AccountRow) -> AccountView {
    let AccountRow { public_id, name, created_at, .. } = row.clone();
    AccountView { id: public_id, name, kind: "standard", created_on: Iso(created_at) }
}
