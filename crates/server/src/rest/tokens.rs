//! API tokens of an account. What a token is made for is told once, when it is made; after that nobody knows it but its owner.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Query, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stepwell_store::{AccountId, Token};

use super::envelope::{Reply, page, success};
use super::page_query::PageQuery;
use super::resource::{Account, Named};
use super::route::Route;
use super::times::{self, Iso};
use super::{Api, body};
use crate::api_error::ApiError;
use crate::auth::{AUTHENTICATION, Holder, NewToken, Scope, Scopes};
use crate::clock::now_ms;

/// Cloudflare's code of a token that there is not.
const NO_TOKEN: u32 = 1_001;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/tokens", Scope::Admin, list)
            .says("Lists the tokens that can use the account")
            .asks::<PageQuery>()
            .pages::<TokenView>(),
        Route::post("/tokens", Scope::Admin, create)
            .says("Makes a token, which only this answer tells")
            .takes::<NewTokenBody>()
            .gives::<TokenView>(),
        Route::delete("/tokens/{token}", Scope::Admin, revoke).says("Ends a token").gives::<Value>(),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewToken")]
struct NewTokenBody {
    name: String,
    scopes: Vec<String>,
    expires_on: Option<String>,
    /// For every account of the server, and not only for this one.
    #[serde(default)]
    all_accounts: bool,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Token")]
struct TokenView {
    id: String,
    name: String,
    scopes: Vec<&'static str>,
    all_accounts: bool,
    /// `active` or `expired`.
    status: &'static str,
    issued_on: Iso,
    expires_on: Option<Iso>,
    /// The token itself, only where it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        let is_over = token.expires_at.is_some_and(|at| at <= now_ms());
        Self {
            id: token.id,
            name: token.label,
            scopes: Scopes::parse(&token.scopes).words(),
            all_accounts: token.account.is_none(),
            status: if is_over { "expired" } else { "active" },
            issued_on: Iso(token.created_at),
            expires_on: token.expires_at.map(Iso),
            value: None,
        }
    }
}

/// Those that can use the account, as far as whoever asks may know.
async fn list(
    State(api): State<Api>,
    Extension(holder): Extension<Holder>,
    Account(account): Account,
    Query(query): Query<PageQuery>,
) -> Reply {
    let tokens = api.auth.tokens()?.all().into_iter().filter(|token| is_within(token, &holder, account));
    let (tokens, info) = query.slice_or_all(tokens.collect())?;
    Ok(page(tokens.into_iter().map(TokenView::from).collect::<Vec<_>>(), info))
}

async fn create(
    State(api): State<Api>,
    Extension(holder): Extension<Holder>,
    Account(account): Account,
    bytes: Bytes,
) -> Reply {
    let new: NewTokenBody = body::parse(&bytes)?;
    let scopes = scopes(&new.scopes)?;
    check_grant(&holder, scopes, new.all_accounts)?;
    let expires_at = new.expires_on.as_deref().map(|text| times::parse("expires_on", text)).transpose()?;
    let account = if new.all_accounts { None } else { Some(account) };
    let (row, value) = api.auth.tokens()?.create(NewToken { label: new.name, account, scopes, expires_at }).await?;
    Ok(success(TokenView { value: Some(value), ..TokenView::from(row) }))
}

async fn revoke(
    State(api): State<Api>,
    Extension(holder): Extension<Holder>,
    Account(account): Account,
    Named(named): Named,
) -> Reply {
    let (tokens, id) = (api.auth.tokens()?, named.name);
    if !tokens.all().iter().any(|token| token.id == id && is_within(token, &holder, account)) {
        let message = format!("there is no token of id {id:?}; `stepwell token list` shows those there are");
        return Err(ApiError::new(404, NO_TOKEN, message).into());
    }
    tokens.revoke(&id).await?;
    api.platform.tails.close_of_token(&id);
    Ok(success(json!({ "id": id })))
}

fn is_within(token: &Token, holder: &Holder, account: AccountId) -> bool {
    match token.account {
        Some(own) => own == account,
        None => holder.account.is_none(),
    }
}

/// The scopes of these words.
fn scopes(words: &[String]) -> Result<Scopes, ApiError> {
    if words.iter().any(|word| word == "all") {
        return Ok(Scopes::ALL);
    }
    let known = || Scope::ALL.map(Scope::word).join(", ");
    if words.is_empty() {
        return Err(ApiError::bad_request(format!("scopes: name at least one of {}, or all", known())));
    }
    let scope = |word: &String| {
        let unknown = || ApiError::bad_request(format!("scopes: {word:?} is not one of {}, or all", known()));
        Scope::parse(word).ok_or_else(unknown)
    };
    Ok(Scopes::of(words.iter().map(scope).collect::<Result<Vec<_>, _>>()?))
}

/// Nobody gives what they have not.
fn check_grant(holder: &Holder, scopes: Scopes, all_accounts: bool) -> Result<(), ApiError> {
    let exceeds = scopes.words().into_iter().find(|word| !holder.scopes.words().contains(word));
    let reason = match exceeds {
        Some(word) => format!("the scope {word:?}"),
        None if all_accounts && holder.account.is_some() => "every account".to_owned(),
        None if scopes == Scopes::ALL && holder.scopes != Scopes::ALL => {
            "every scope, those to come as well".to_owned()
        }
        None => return Ok(()),
    };
    let message = format!("Authentication error: this API token has not {reason} to give; use one that has");
    Err(ApiError::new(403, AUTHENTICATION, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(scopes: Scopes, account: Option<AccountId>) -> Holder {
        Holder { token: None, account, scopes, expires_at: None }
    }

    #[test]
    fn nobody_gives_what_they_have_not() {
        let some = Scopes::of([Scope::Admin, Scope::Trigger]);
        for (given, scopes, all_accounts, is_allowed) in [
            (holder(Scopes::ALL, None), Scopes::ALL, true, true),
            (holder(some, None), Scopes::of([Scope::Trigger]), true, true),
            (holder(some, None), Scopes::of([Scope::Deploy]), false, false),
            (holder(Scopes::of(Scope::ALL), None), Scopes::ALL, false, false),
            (holder(some, Some(AccountId(1))), some, false, true),
            (holder(some, Some(AccountId(1))), some, true, false),
        ] {
            assert_eq!(check_grant(&given, scopes, all_accounts).is_ok(), is_allowed, "{given:?} {scopes}");
        }
    }

    #[test]
    fn words_of_scopes_are_checked() {
        let words = |words: &[&str]| scopes(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["all"]), Ok(Scopes::ALL));
        assert_eq!(words(&["trigger", "manage"]), Ok(Scopes::of([Scope::Trigger, Scope::Manage])));
        for wrong in [&["write"] as &[&str], &[]] {
            assert!(words(wrong).expect_err("wrong").message.contains("metadata, payloads"), "{wrong:?}");
        }
    }
}
