//! HTTP for the Workers: requests are led to a script by their host name, and through its socket into its process.
//!
//! TLS, routes by path and custom domains are absent: put a reverse proxy in front for those.

mod followed;
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
use stepwell_store::{AccountId, ScopedName, Store};

use crate::accounts::Accounts;
use crate::api_error::ApiError;
pub use gate::{Door, WorkerConnection, WorkerGate};
pub use headers::Peer;
use host::Target;
pub use proxy::Proxy;

/// What this face works with. Cheap to clone.
#[derive(Clone)]
pub struct Ingress {
    /// Which scripts there are.
    pub store: Store,
    /// Whose they are.
    pub accounts: Accounts,
    /// The way to them.
    pub proxy: Arc<Proxy>,
    /// Answers hosts that name no script (`dev` with one project).
    pub default_script: Option<ScopedName>,
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
    async fn script_of(&self, host: &str) -> Result<Option<ScopedName>, ApiError> {
        let Target::Named { script, account, is_ours } = host::read(host) else {
            return Ok(self.default_script.clone());
        };
        let known = account.and_then(|name| self.accounts.named(name));
        if is_ours && account.is_some() && known.is_none() {
            return Ok(None);
        }
        let name = ScopedName::new(known.unwrap_or(AccountId::DEFAULT), script);
        match self.store.current_deployment(&name).await? {
            Some(_) => Ok(Some(name)),
            None if is_ours || known.is_some() => Ok(None),
            None => Ok(self.default_script.clone()),
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
            text.push_str(&format!("http://{}.localhost{colon}{port}/\n", script.name.name));
        }
        text
    }
}
