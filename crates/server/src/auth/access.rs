//! Who a request comes from, once it has been let in, and what that allows.

use std::sync::Arc;

use stepwell_engine::Millis;
use stepwell_store::AccountId;

use super::AUTHENTICATION;
use super::scope::{Scope, Scopes};
use crate::api_error::ApiError;

/// Whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Id of the token; absent where none is wanted.
    pub token: Option<Arc<str>>,
    /// The only account that it may use; every one where absent.
    pub account: Option<AccountId>,
    /// What it may do there.
    pub scopes: Scopes,
    /// When the token ends.
    pub expires_at: Option<Millis>,
}

/// What a route wants of whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: what is there is public, or its address is a secret of its own.
    Nothing,
    /// Any valid token.
    Token,
    /// A token with this scope.
    Scope(Scope),
}

impl Holder {
    /// Everybody, where no token is wanted.
    pub const ANYBODY: Self = Self { token: None, account: None, scopes: Scopes::ALL, expires_at: None };

    /// Somebody without a token, where one is wanted for anything that is not public.
    pub const NOBODY: Self = Self { token: None, account: None, scopes: Scopes::NONE, expires_at: None };

    /// Whether an account is within reach.
    #[must_use]
    pub fn covers(&self, account: AccountId) -> bool {
        self.account.is_none_or(|own| own == account)
    }

    /// Refuses what the token may not do.
    ///
    /// # Errors
    /// 403 naming the scope that is missing.
    pub fn check(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.has(scope) {
            return Ok(());
        }
        let message = format!(
            "Authentication error: this API token lacks the scope {:?}; `stepwell token create --scope` makes one that has it",
            scope.word()
        );
        Err(ApiError::new(403, AUTHENTICATION, message))
    }
}

impl From<Scope> for Needs {
    fn from(scope: Scope) -> Self {
        Self::Scope(scope)
    }
}
