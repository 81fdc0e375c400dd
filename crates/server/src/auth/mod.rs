//! Who may use the API: everybody on this machine in `dev`, holders of a token in `serve`, each within the scopes and the
//! account of the token.
//!
//! Users and roles are absent: a token is all that is known of who asks.

mod access;
mod loopback;
mod scope;
mod slowdown;
mod tokens;

use axum::http::{HeaderMap, Uri, header};

use crate::api_error::ApiError;
pub use access::{Holder, Needs};
pub use scope::{Scope, Scopes};
pub use tokens::{NewToken, OPERATOR_TOKEN_FILE, Tokens};

/// Cloudflare's code for whoever may not.
pub const AUTHENTICATION: u32 = 10_000;

/// How requests are let in. Cheap to clone.
#[derive(Clone)]
pub enum Auth {
    /// No token: any program on this machine, but no web page of another origin (`dev`).
    Open,
    /// A token of this server (`serve`).
    Token(Tokens),
}

impl Auth {
    /// Lets a request in, as far as it may do what is needed, or says why not. Answers late where too many tokens were
    /// wrong.
    ///
    /// # Errors
    /// 401 without a valid token, 403 for a foreign origin or without the scope, 429 while too many wrong tokens are being
    /// answered.
    pub async fn admit(&self, needs: Needs, uri: &Uri, headers: &HeaderMap) -> Result<Holder, ApiError> {
        let tokens = match self {
            Self::Open => {
                loopback::check(uri, headers)?;
                return Ok(Holder::ANYBODY);
            }
            Self::Token(_) if needs == Needs::Nothing => return Ok(Holder::NOBODY),
            Self::Token(tokens) => tokens,
        };
        let Some(token) = presented(headers) else {
            return Err(ApiError::new(
                401,
                AUTHENTICATION,
                "Authentication error: no API token; send `Authorization: Bearer <token>` (`stepwell env` prints it)",
            ));
        };
        let holder = tokens.check(token).await?;
        if let Needs::Scope(scope) = needs {
            holder.check(scope)?;
        }
        Ok(holder)
    }

    /// Refuses a holder whose token was revoked after it was let in.
    ///
    /// # Errors
    /// 401.
    pub fn check_still(&self, holder: &Holder) -> Result<(), ApiError> {
        match (self, &holder.token) {
            (Self::Token(tokens), Some(id)) if !tokens.has(id) => {
                Err(ApiError::new(401, AUTHENTICATION, "Authentication error: this API token has just been revoked"))
            }
            _ => Ok(()),
        }
    }

    /// The tokens of this server.
    ///
    /// # Errors
    /// Where it wants none.
    pub fn tokens(&self) -> Result<&Tokens, ApiError> {
        match self {
            Self::Token(tokens) => Ok(tokens),
            Self::Open => Err(ApiError::bad_request("this server wants no tokens (`stepwell serve` does)")),
        }
    }
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
}
