//! The REST face: Cloudflare's paths, bodies and answers for workflows, instances and scripts.
//!
//! Every answer is an [`envelope`], also for what the router or the HTTP library refuses. Rules about instances are the
//! platform's; here are only shapes.

mod absent;
mod body;
mod d1;
mod detail;
mod envelope;
mod firing_path;
mod instance;
mod instances;
pub mod limits;
mod logs;
mod objects;
mod observe;
mod openapi;
mod page_query;
mod public_ids;
mod resource;
mod retention;
mod route;
mod scripts;
mod stream_output;
mod sweep;
mod tails;
pub mod timeline;
mod times;
mod tokens;
mod unread;
pub mod upload;
mod upload_script;
mod user;
mod value_size;
mod workflow_options;
mod workflows;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware;
use stepwell_store::ScopedName;
use tower::util::MapRequest;

use crate::accounts::Accounts;
use crate::auth::{Auth, Needs};
use crate::d1::D1;
use crate::platform::Platform;
use crate::registry::Registry;
pub(crate) use body::read as read_body;
pub use detail::Config as StepConfigView;
use envelope::Failure;
pub(crate) use objects::{read as read_json, read_value as read_json_value};
pub(crate) use public_ids::version as version_id;
pub use retention::RetentionOptions;
pub use route::{Content, Route};
use sweep::Sweeps;
pub use timeline::REDACTED;
pub use upload::{Deploy, ScriptUpload, UploadBinding};
pub use upload_script::{Before, DeployableScript};
pub use workflow_options::{Schedule, WorkflowOptions};

/// What this face works with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// Commands and reads.
    pub platform: Platform,
    /// Who is let in.
    pub auth: Auth,
    /// Whose things there are.
    pub accounts: Accounts,
    /// Takes uploads.
    pub deploy: Arc<dyn Deploy>,
    /// Knows the workflows.
    pub registry: Registry,
    /// Databases.
    pub d1: D1,
    /// Port of the ingress, at which scripts are reached.
    pub ingress_port: u16,
    sweeps: Arc<Sweeps>,
}

impl Api {
    /// A face over a platform.
    pub fn new(
        platform: Platform,
        auth: Auth,
        accounts: Accounts,
        deploy: Arc<dyn Deploy>,
        registry: Registry,
        d1: D1,
        ingress_port: u16,
    ) -> Self {
        Self { platform, auth, accounts, deploy, registry, d1, ingress_port, sweeps: Arc::default() }
    }

    /// Where a script is reached.
    fn url_of(&self, script: &ScopedName) -> String {
        let account = self.accounts.name_of(script.account).map_or(String::new(), |account| format!(".{account}"));
        format!("http://{}{account}.localhost:{}", script.name, self.ingress_port)
    }
}

/// The whole face.
pub fn router(api: Api) -> Router {
    let router = route::router(&api, routes())
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .layer(middleware::from_fn(observe::observe))
        .layer(middleware::from_fn(unread::drain))
        .with_state(api);
    // A router's own layers come after its choice of the route.
    Router::new().fallback_service(MapRequest::new(router, firing_path::encode))
}

/// Every route there is.
pub fn routes() -> Vec<Route> {
    let of_account = [
        workflows::routes(),
        instances::routes(),
        instance::routes(),
        scripts::routes(),
        tails::routes(),
        tokens::routes(),
        d1::routes(),
    ];
    let of_account = of_account.into_iter().flatten().map(|route| route.below("/accounts/{account}"));
    let of_client = user::routes().into_iter().chain(d1::routes_of_all()).chain(of_account);
    let of_client = of_client.map(|route| route.below("/client/v4"));
    openapi::routes().into_iter().chain([tails::reading()]).chain(of_client).collect()
}

/// Whether there is a route is nothing for strangers.
async fn no_route(State(api): State<Api>, request: Request) -> Failure {
    if let Err(refused) = api.auth.admit(Needs::Token, request.uri(), request.headers()).await {
        return Failure(refused);
    }
    Failure(absent::refusal(request.method(), request.uri().path()))
}
