//! Which version of a script is current, and which were: Cloudflare's deployments. All traffic goes to one version.

use axum::body::Bytes;
use axum::extract::{Query, State};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stepwell_store::{ReleaseRow, ScopedName};

use super::versions;
use super::view::DEPLOYED_FROM;
use crate::api_error::ApiError;
use crate::rest::envelope::{Reply, page, success};
use crate::rest::page_query::PageQuery;
use crate::rest::resource::{Named, Part};
use crate::rest::times::Iso;
use crate::rest::{Api, body, public_ids};

/// Our code of a deployment that there is not.
const NO_DEPLOYMENT: u32 = 20_405;
const STRATEGY: &str = "percentage";
const WHOLE: f64 = 100.0;

/// Which version is to be current.
#[derive(Deserialize, JsonSchema)]
pub struct NewDeployment {
    #[serde(default)]
    strategy: Option<String>,
    versions: Vec<Share>,
    #[serde(default)]
    annotations: Map<String, Value>,
}

#[derive(Deserialize, JsonSchema)]
struct Share {
    version_id: String,
    percentage: f64,
}

/// Newest first.
pub async fn list(State(api): State<Api>, Named(script): Named, Query(query): Query<PageQuery>) -> Reply {
    let releases = releases_of(&api, &script).await?;
    let (releases, info) = query.slice_or_all(releases)?;
    let deployments: Vec<_> = releases.iter().map(view).collect();
    Ok(page(json!({ "deployments": deployments }), info))
}

/// One of them.
pub async fn show(State(api): State<Api>, Part(script, id): Part) -> Reply {
    let releases = releases_of(&api, &script).await?;
    let found = releases.iter().find(|release| public_ids::release(release.number) == id).ok_or_else(|| {
        let message = format!(
            "Worker {:?} has no deployment {id:?}; `stepwell deployments history` shows those it has",
            script.name
        );
        ApiError::new(404, NO_DEPLOYMENT, message)
    })?;
    Ok(success(view(found)))
}

/// Makes a version current.
pub async fn create(State(api): State<Api>, Named(script): Named, bytes: Bytes) -> Reply {
    let new: NewDeployment = body::parse(&bytes)?;
    let version = the_one_version(&new)?;
    let row = versions::find(&api, &script, version).await?;
    let note = Value::Object(new.annotations).to_string();
    api.deploy.release(row, note).await?;
    let newest = api.platform.store.releases(&script).await?.into_iter().next();
    let newest = newest.ok_or_else(|| ApiError::no_script(&script))?;
    Ok(success(view(&newest)))
}

/// Newest first.
async fn releases_of(api: &Api, script: &ScopedName) -> Result<Vec<ReleaseRow>, ApiError> {
    let releases = api.platform.store.releases(script).await?;
    if releases.is_empty() { Err(ApiError::no_script(script)) } else { Ok(releases) }
}

fn the_one_version(new: &NewDeployment) -> Result<&str, ApiError> {
    match new.versions.as_slice() {
        [Share { version_id, percentage }]
            if *percentage >= WHOLE && new.strategy.as_deref().is_none_or(|strategy| strategy == STRATEGY) =>
        {
            Ok(version_id)
        }
        _ => Err(ApiError::bad_request(
            "versions: this server sends all traffic to one version; name one with a percentage of 100",
        )),
    }
}

fn view(release: &ReleaseRow) -> Value {
    let annotations: Value = serde_json::from_str(&release.note).unwrap_or_default();
    json!({
        "id": public_ids::release(release.number),
        "source": DEPLOYED_FROM,
        "strategy": STRATEGY,
        "author_email": "",
        "annotations": annotations,
        "created_on": Iso(release.at),
        "versions": [{ "version_id": public_ids::version(release.deployment), "percentage": 100 }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let new: NewDeployment = serde_json::from_str(text).expect("a deployment");
        assert_eq!(the_one_version(&new).ok(), expected, "{text}");
    }

    #[test]
    fn all_traffic_goes_to_one_version() {
        check(r#"{"strategy":"percentage","versions":[{"version_id":"a","percentage":100}]}"#, Some("a"));
        check(r#"{"versions":[{"version_id":"a","percentage":100}]}"#, Some("a"));
        check(r#"{"versions":[{"version_id":"a","percentage":50}]}"#, None);
        check(r#"{"versions":[]}"#, None);
        let both = r#"{"versions":[{"version_id":"a","percentage":100},{"version_id":"b","percentage":0}]}"#;
        check(both, None);
    }
}
