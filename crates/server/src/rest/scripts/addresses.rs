//! Where a script is reached: Cloudflare's subdomain, and the ingress of this server in its place.

use axum::extract::{Path, State};
use serde_json::json;

use super::view;
use crate::rest::Api;
use crate::rest::envelope::{Reply, success};

/// Cloudflare's subdomain of the account. Clients put it into `<script>.<subdomain>.workers.dev`.
const SUBDOMAIN: &str = "stepwell";

pub async fn account() -> Reply {
    Ok(success(json!({ "subdomain": SUBDOMAIN })))
}

/// A script is always reached at its address; there are none for previews.
pub async fn script(State(api): State<Api>, Path((_, script)): Path<(String, String)>) -> Reply {
    view::current(&api, &script).await?;
    Ok(success(json!({ "enabled": true, "previews_enabled": false, "url": api.url_of(&script) })))
}

/// A script as newer clients ask for it.
pub async fn worker(State(api): State<Api>, Path((_, script)): Path<(String, String)>) -> Reply {
    let row = view::current(&api, &script).await?;
    let subdomain = json!({ "enabled": true, "previews_enabled": false, "url": api.url_of(&script) });
    Ok(success(json!({
        "id": script,
        "name": script,
        "created_on": crate::rest::times::Iso(row.created_at),
        "subdomain": subdomain,
        "references": {},
        "tags": [],
    })))
}
