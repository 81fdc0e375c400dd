//! Where a script is reached: Cloudflare's subdomain, and the ingress of this server in its place.

use axum::extract::State;
use serde_json::json;

use super::view;
use crate::rest::Api;
use crate::rest::envelope::{Reply, success};
use crate::rest::resource::Named;

/// Cloudflare's subdomain of the account. Clients put it into `<script>.<subdomain>.workers.dev`.
const SUBDOMAIN: &str = "stepwell";

pub async fn account() -> Reply {
    Ok(success(json!({ "subdomain": SUBDOMAIN })))
}

/// A script is always reached at its address; there are none for previews.
pub async fn script(State(api): State<Api>, Named(script): Named) -> Reply {
    view::current(&api, &script).await?;
    Ok(success(json!({ "enabled": true, "previews_enabled": false, "url": api.url_of(&script) })))
}

/// A script as newer clients ask for it.
pub async fn worker(State(api): State<Api>, Named(script): Named) -> Reply {
    let row = view::current(&api, &script).await?;
    let subdomain = json!({ "enabled": true, "previews_enabled": false, "url": api.url_of(&script) });
    Ok(success(json!({
        "id": script.name,
        "name": script.name,
        "created_on": crate::rest::times::Iso(row.created_at),
        "subdomain": subdomain,
        "references": {},
        "tags": [],
    })))
}
