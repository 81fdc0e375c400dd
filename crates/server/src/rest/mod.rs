//! The REST face: Cloudflare's paths, bodies and answers for workflows, instances and scripts.
//!
//! Every answer is an [`envelope`], also for what the router or the HTTP library refuses. Rules about instances are the
//! platform's; here are only shapes. D1, secrets, versions of scripts and the rest of Cloudflare's API are absent.

mod body;
mod detail;
mod envelope;
mod instance;
mod instances;
pub mod limits;
mod logs;
mod observe;
mod public_ids;
mod retention;
mod scripts;
mod stream_output;
mod sweep;
pub mod timeline;
mod times;
pub mod upload;
mod upload_script;
mod user;
mod workflow_options;
mod workflows;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, patch, post, put};

use crate::api_error::ApiError;
use crate::auth::{Auth, check_account};
use crate::platform::Platform;
use crate::registry::Registry;
pub(crate) use body::read as read_body;
pub use detail::Config as StepConfigView;
use envelope::{Failure, Reply};
pub use retention::RetentionOptions;
use sweep::Sweeps;
pub use timeline::REDACTED;
pub use upload::{Deploy, ScriptUpload, UploadBinding};
pub use upload_script::DeployableScript;
pub use workflow_options::{Schedule, WorkflowOptions};

/// What this face works with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// Commands and reads.
    pub platform: Platform,
    /// Who is let in.
    pub auth: Auth,
    /// Takes uploads.
    pub deploy: Arc<dyn Deploy>,
    /// Knows the workflows.
    pub registry: Registry,
    /// Port of the ingress, at which scripts are reached.
    pub ingress_port: u16,
    sweeps: Arc<Sweeps>,
}

impl Api {
    /// A face over a platform.
    pub fn new(platform: Platform, auth: Auth, deploy: Arc<dyn Deploy>, registry: Registry, ingress_port: u16) -> Self {
        Self { platform, auth, deploy, registry, ingress_port, sweeps: Arc::default() }
    }

    /// Where a script is reached.
    fn url_of(&self, script: &str) -> String {
        format!("http://{script}.localhost:{}", self.ingress_port)
    }
}

/// All routes, complete with authentication and log.
pub fn router(api: Api) -> Router {
    let account = account_routes().layer(middleware::from_fn(check_account_of));
    let face = user::routes().nest("/accounts/{account}", account);
    Router::new()
        .nest("/client/v4", face)
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .layer(middleware::from_fn_with_state(api.clone(), admit))
        .layer(middleware::from_fn(observe::observe))
        .with_state(api)
}

fn account_routes() -> Router<Api> {
    Router::new()
        .route("/workflows", get(workflows::list))
        .route("/workflows/{workflow}", get(workflows::show).put(workflows::put).delete(workflows::delete))
        .route("/workflows/{workflow}/versions", get(workflows::versions))
        .route("/workflows/{workflow}/versions/{version}", get(workflows::version))
        .route("/workflows/{workflow}/instances", get(instances::list).post(instances::create))
        .route("/workflows/{workflow}/instances/", get(instances::list).post(instances::create))
        .route("/workflows/{workflow}/instances/batch", post(instances::create_batch))
        .route("/workflows/{workflow}/instances/batch/delete", post(instances::delete_batch))
        .route("/workflows/{workflow}/instances/terminate", put(instances::terminate_all))
        .route("/workflows/{workflow}/instances/{instance}", get(instance::show))
        .route("/workflows/{workflow}/instances/{instance}/step", get(instance::step))
        .route("/workflows/{workflow}/instances/{instance}/logs", get(logs::show))
        .route("/workflows/{workflow}/instances/{instance}/status", patch(instance::change_status))
        .route("/workflows/{workflow}/instances/{instance}/events/{event}", post(instance::send_event))
        .route("/workers/scripts", get(scripts::list))
        .route("/workers/scripts/{script}", put(scripts::upload).delete(scripts::delete))
        .merge(scripts::routes())
        .layer(DefaultBodyLimit::max(limits::UPLOAD_BYTES_MAX))
}

async fn admit(State(api): State<Api>, request: Request, next: Next) -> Result<Response, Failure> {
    api.auth.admit(request.uri(), request.headers()).await?;
    Ok(next.run(request).await)
}

async fn check_account_of(Path(path): Path<Vec<(String, String)>>, request: Request, next: Next) -> Reply {
    let account = path.iter().find(|(name, _)| name == "account").map_or("", |(_, account)| account.as_str());
    check_account(account)?;
    Ok(next.run(request).await)
}

async fn no_route(request: Request) -> Failure {
    let message = format!("No route for that URI: {} {}", request.method(), request.uri().path());
    Failure(ApiError::new(StatusCode::NOT_FOUND.as_u16(), 7_003, message))
}
