//! Who may use the API: everybody on this machine in `dev`, holders of a token in `serve`.
//!
//! There is one account. Users, roles and scopes are absent.

mod loopback;
mod slowdown;
mod tokens;

use axum::http::{HeaderMap, Uri, header};

use crate::api_error::ApiError;
pub use tokens::{OPERATOR_TOKEN_FILE, Tokens};

/// The account of every server: the API has a place for an account's id, and clients insist on one.
pub const ACCOUNT_ID: &str = "00000000000000000000000057e9e11a";

/// Cloudflare's code for whoever may not.
const AUTHENTICATION: u32 = 10_000;

/// How requests are let in. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Auth {
    /// No token: any program on this machine, but no web page of another origin (`dev`).
    Open,
    /// A token of this server (`serve`).
    Token(Tokens),
}

impl Auth {
    /// Lets a request in or says why not. Answers late where too many tokens were wrong.
    ///
    /// # Errors
    /// 401 without a valid token, 403 for a foreign origin, 429 while too many wrong tokens are being answered.
    pub async fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        match self {
            Self::Open => loopback::check(uri, headers),
            Self::Token(tokens) => match presented(headers) {
                Some(token) => tokens.check(token).await,
                None => Err(ApiError::new(
                    401,
                    AUTHENTICATION,
                    "Authentication error: no API token; send `Authorization: Bearer <token>` (`stepwell env` prints it)",
                )),
            },
        }
    }
}

/// Refuses every account but ours.
///
/// # Errors
/// 403, as Cloudflare answers for an account that is not the token's.
pub fn check_account(account: &str) -> Result<(), ApiError> {
    if account == ACCOUNT_ID {
        return Ok(());
    }
    let message = format!(
        "Authentication error: account {account:?} is not on this server, whose only account is {ACCOUNT_ID}; set \
         CLOUDFLARE_ACCOUNT_ID to it and remove `account_id` from the wrangler configuration"
    );
    Err(ApiError::new(403, AUTHENTICATION, message))
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    bearer.or_else(|| headers.get("x-auth-key")?.to_str().ok()).map(str::trim)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &'static str, value: &str, expected: Option<&str>) {
        let headers = HeaderMap::from_iter([(name.parse().expect("a header name"), value.parse().expect("a value"))]);
        assert_eq!(presented(&headers), expected, "{name}: {value}");
    }

    #[test]
    fn a_token_is_taken_from_either_header() {
        check("authorization", "Bearer abc", Some("abc"));
        check("authorization", "bearer abc ", Some("abc"));
        check("x-auth-key", "abc", Some("abc"));
        check("authorization", "Basic abc", None);
        check("x-other", "abc", None);
    }

    #[test]
    fn only_the_one_account_is_known() {
        assert_eq!(check_account(ACCOUNT_ID), Ok(()));
        assert_eq!(check_account("0123").map_err(|error| (error.status, error.code)), Err((403, 10_000)));
    }
}
