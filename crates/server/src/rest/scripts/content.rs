//! The modules of a version as they were uploaded, for clients that upload them again with something changed.

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{versions, view};
use crate::api_error::ApiError;
use crate::multipart::Multipart;
use crate::rest::Api;
use crate::rest::envelope::Reply;
use crate::rest::resource::Named;
use crate::script::Script;

/// Names the main module.
const ENTRYPOINT: &str = "cf-entrypoint";

#[derive(Deserialize, JsonSchema)]
pub struct Params {
    /// Its id; without it, the current one.
    version: Option<String>,
}

/// Of the version that is asked for, or of the current one.
pub async fn show(State(api): State<Api>, Named(script): Named, Query(params): Query<Params>) -> Reply {
    let row = match params.version {
        Some(version) => versions::find(&api, &script, &version).await?,
        None => view::current(&api, &script).await?,
    };
    let found = api.platform.store.deployment(row.id).await?.ok_or_else(|| ApiError::no_script(&script))?;
    let script = Script::from_deployment(&found).map_err(ApiError::internal)?;
    let mut parts = Multipart::new();
    for module in &script.modules {
        parts.file(&module.name, module.kind.content_type(), &module.bytes);
    }
    let (content_type, bytes) = parts.finish();
    let response =
        Response::builder().header(header::CONTENT_TYPE, content_type).header(ENTRYPOINT, script.settings.main_module);
    response.body(Body::from(bytes)).map_err(|error| ApiError::internal(error).into())
}
