//! What a path names: an account, a script or a workflow of that account, and what belongs to it.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use stepwell_store::{AccountId, ScopedName};

use super::envelope::Failure;
use super::route::ACCOUNT_PARAMETER;
use crate::api_error::ApiError;

/// `/accounts/{account}…`, which whoever asks may use.
#[derive(Debug, Clone, Copy)]
pub struct Account(pub AccountId);

/// `/accounts/{account}/…/{name}…`: a script or a workflow.
#[derive(Debug)]
pub struct Named(pub ScopedName);

/// `/accounts/{account}/…/{name}/…/{part}…`: something of a script or a workflow.
#[derive(Debug)]
pub struct Part(pub ScopedName, pub String);

impl<S: Send + Sync> FromRequestParts<S> for Account {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let account = parts.extensions.get::<Self>().copied();
        account.ok_or_else(|| ApiError::internal("a route without an account asks for one").into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Account(account) = Account::from_request_parts(parts, state).await?;
        let [name] = parameters(parts, state).await?;
        Ok(Self(ScopedName::new(account, name)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Account(account) = Account::from_request_parts(parts, state).await?;
        let [name, part] = parameters(parts, state).await?;
        Ok(Self(ScopedName::new(account, name), part))
    }
}

/// The first parameters of a path behind its account.
async fn parameters<const N: usize>(parts: &mut Parts, state: &(impl Send + Sync)) -> Result<[String; N], Failure> {
    let all = RawPathParams::from_request_parts(parts, state).await;
    let all = all.map_err(|refused| ApiError::bad_request(refused.body_text()))?;
    let named = all.iter().filter(|(name, _)| *name != ACCOUNT_PARAMETER).map(|(_, value)| value.to_owned());
    let named: Vec<String> = named.take(N).collect();
    named.try_into().map_err(|_| ApiError::internal("a route has fewer parameters than its handler wants").into())
}
