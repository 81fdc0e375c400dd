//! HTTP for the Workers: requests are led to a script by their host name, and through its socket into its process.
//!
//! TLS, routes by path and custom domains are absent: put a reverse proxy in front for those.

mod gate;
mod headers;
mod host;
mod proxy;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::response::Response;
use stepwell_store::Store;

pub use gate::WorkerGate;
pub use headers::Peer;
use host::Target;
pub use proxy::Proxy;

/// What this face works with. Cheap to clone.
#[derive(Clone)]
pub struct Ingress {
    /// Which scripts there are.
    pub store: Store,
    /// The way to them.
    pub proxy: Arc<Proxy>,
    /// Answers hosts that name no script (`dev` with one project).
    pub default_script: Option<String>,
    /// Whether answers may name the scripts there are (`dev`).
    pub names_scripts: bool,
}

/// The face. Serve it with connection info for `x-forwarded-for` to be right.
pub fn router(ingress: Ingress) -> Router {
    Router::new().fallback(route).with_state(ingress)
}

async fn route(State(ingress): State<Ingress>, request: Request) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str)).unwrap_or_default();
    let host = host.to_owned();
    match ingress.script_of(&host).await {
        Ok(Some(script)) => {
            let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
            ingress.proxy.forward(&script, request, Peer::Client(peer)).await
        }
        Ok(None) => proxy::plain(StatusCode::NOT_FOUND, ingress.unknown(&host).await),
        Err(error) => proxy::refusal(&error),
    }
}

impl Ingress {
    async fn script_of(&self, host: &str) -> Result<Option<String>, crate::api_error::ApiError> {
        let target = host::read(host);
        if let Target::Named { script, .. } = &target
            && self.store.current_deployment(script).await?.is_some()
        {
            return Ok(Some((*script).to_owned()));
        }
        match target {
            Target::Named { is_ours: true, .. } => Ok(None),
            Target::Named { is_ours: false, .. } | Target::Bare => Ok(self.default_script.clone()),
        }
    }

    async fn unknown(&self, host: &str) -> String {
        let mut text = format!("No Worker answers for {host:?}.\n");
        if !self.names_scripts {
            return text;
        }
        let scripts = self.store.scripts().await.unwrap_or_default();
        if scripts.is_empty() {
            text.push_str("None is deployed yet.\n");
        }
        let port = host.rsplit_once(':').map_or("", |(_, port)| port);
        let port = if port.bytes().all(|byte| byte.is_ascii_digit()) { port } else { "" };
        let colon = if port.is_empty() { "" } else { ":" };
        for script in scripts {
            text.push_str(&format!("http://{}.localhost{colon}{port}/\n", script.name));
        }
        text
    }
}
