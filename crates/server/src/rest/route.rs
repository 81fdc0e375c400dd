//! A route of the REST face: method, path, what it wants of whoever asks, and who answers. The face is made of these and of
//! nothing else, so that no path can be without its scope.

use axum::Router;
use axum::extract::{DefaultBodyLimit, RawPathParams, Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::Api;
use super::envelope::Failure;
use super::limits::UPLOAD_BYTES_MAX;
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
    /// What its description says.
    pub doc: Doc,
    handler: MethodRouter<Api>,
}

/// What the description of the API says of a route.
#[derive(Clone, Copy, Default)]
pub struct Doc {
    /// What it does, in a sentence without its stop.
    pub summary: &'static str,
    /// Members of the query.
    pub query: Option<SchemaOf>,
    /// The body of a request.
    pub body: Option<Content>,
    /// The answer.
    pub answer: Option<Answer>,
}

/// Makes the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a request carries.
#[derive(Clone, Copy)]
pub enum Content {
    /// JSON.
    Json(SchemaOf),
    /// Files, with a part of this name that says what they are.
    Multipart(&'static str),
    /// Anything.
    Bytes,
}

/// What a successful request is answered with.
#[derive(Clone, Copy)]
pub enum Answer {
    /// `result` of the envelope.
    Result(SchemaOf),
    /// `result`, a page of a list, with `result_info`.
    Page(SchemaOf),
    /// `result`, or bytes where it is binary.
    ResultOrBytes(SchemaOf),
    /// Something outside the envelope, of this media type.
    Plain(&'static str),
}

macro_rules! methods {
    ($($name:ident $filter:ident)*) => {$(
        #[doc = concat!("A route of method ", stringify!($filter), ".")]
        pub fn $name<H: Handler<T, Api>, T: 'static>(path: &str, needs: impl Into<Needs>, handler: H) -> Self {
            let handler = on(MethodFilter::$filter, handler);
            Self { method: Method::$filter, path: path.to_owned(), needs: needs.into(), doc: Doc::default(), handler }
        }
    )*};
}

impl Route {
    methods! { get GET post POST put PUT patch PATCH delete DELETE }

    /// Says what it does, in a sentence without its stop.
    #[must_use]
    pub fn says(mut self, summary: &'static str) -> Self {
        self.doc.summary = summary;
        self
    }

    /// Its query has the members of `Q`.
    #[must_use]
    pub fn asks<Q: JsonSchema>(mut self) -> Self {
        self.doc.query = Some(SchemaGenerator::subschema_for::<Q>);
        self
    }

    /// Its body is `B` in JSON.
    #[must_use]
    pub fn takes<B: JsonSchema>(self) -> Self {
        self.takes_content(Content::Json(SchemaGenerator::subschema_for::<B>))
    }

    /// Its body is something else.
    #[must_use]
    pub fn takes_content(mut self, content: Content) -> Self {
        self.doc.body = Some(content);
        self
    }

    /// It answers with `R`.
    #[must_use]
    pub fn gives<R: JsonSchema>(self) -> Self {
        self.gives_answer(Answer::Result(SchemaGenerator::subschema_for::<R>))
    }

    /// It answers with pages of `R`.
    #[must_use]
    pub fn pages<R: JsonSchema>(self) -> Self {
        self.gives_page::<Vec<R>>()
    }

    /// It answers with `R`, which holds a page.
    #[must_use]
    pub fn gives_page<R: JsonSchema>(self) -> Self {
        self.gives_answer(Answer::Page(SchemaGenerator::subschema_for::<R>))
    }

    /// It answers with something else.
    #[must_use]
    pub fn gives_answer(mut self, answer: Answer) -> Self {
        self.doc.answer = Some(answer);
        self
    }

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
        let handler = match route.doc.body {
            Some(Content::Multipart(_)) => route.handler.layer(DefaultBodyLimit::max(UPLOAD_BYTES_MAX)),
            _ => route.handler,
        };
        router.route(&route.path, handler.route_layer(guard))
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
