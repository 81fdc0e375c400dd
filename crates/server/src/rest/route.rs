//! A route of the REST face: method, path, what it wants of whoever asks, and who answers. The face is made of these and of
//! nothing else, so that no path can be without its scope.

use axum::Router;
use axum::extract::{RawPathParams, Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::Api;
use super::envelope::Failure;
use super::resource::Account;
use crate::api_error::ApiError;
use crate::auth::{AUTHENTICATION, Holder, Needs};

/// The name of the account in a path.
pub const ACCOUNT_PARAMETER: &str = "account";

/// One route. Its handler may ask for the [`Holder`], and below an account for the [`Account`].
pub struct Route {
    /// Method.
    pub method: Method,
    /// In axum's form, `{…}` for parameters.
    pub path: String,
    /// What it wants of whoever asks.
    pub needs: Needs,
    handler: MethodRouter<Api>,
}

macro_rules! methods {
    ($($name:ident $filter:ident)*) => {$(
        #[doc = concat!("A route of method ", stringify!($filter), ".")]
        pub fn $name<H: Handler<T, Api>, T: 'static>(path: &str, needs: impl Into<Needs>, handler: H) -> Self {
            let handler = on(MethodFilter::$filter, handler);
            Self { method: Method::$filter, path: path.to_owned(), needs: needs.into(), handler }
        }
    )*};
}

impl Route {
    methods! { get GET post POST put PUT patch PATCH delete DELETE }

    /// The same route below a prefix.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        self.path.insert_str(0, prefix);
        self
    }
}

/// A router of these routes, each guarded.
pub fn router(api: &Api, routes: Vec<Route>) -> Router<Api> {
    routes.into_iter().fold(Router::new(), |router, route| {
        let guard = middleware::from_fn_with_state((api.clone(), route.needs), admit);
        router.route(&route.path, route.handler.route_layer(guard))
    })
}

/// Lets a request in, and tells the handler whose it is.
async fn admit(
    State((api, needs)): State<(Api, Needs)>,
    path: RawPathParams,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let holder = api.auth.admit(needs, request.uri(), request.headers()).await?;
    if let Some((_, id)) = path.iter().find(|(name, _)| *name == ACCOUNT_PARAMETER) {
        let account = account(&api, needs, &holder, id)?;
        request.extensions_mut().insert(account);
    }
    request.extensions_mut().insert(holder);
    Ok(next.run(request).await)
}

/// The account of a path. One that there is not and one that is another's are refused in the same words.
fn account(api: &Api, needs: Needs, holder: &Holder, id: &str) -> Result<Account, ApiError> {
    let found = api.accounts.find(id).filter(|row| needs == Needs::Nothing || holder.covers(row.id));
    found.map(|row| Account(row.id)).ok_or_else(|| {
        let own = api.accounts.all().into_iter().find(|row| holder.covers(row.id)).map_or(String::new(), |row| row.public_id);
        let message = format!(
            "Authentication error: account {id:?} is not one that this request may use; set CLOUDFLARE_ACCOUNT_ID to {own} \
             and remove `account_id` from the wrangler configuration"
        );
        ApiError::new(403, AUTHENTICATION, message)
    })
}
