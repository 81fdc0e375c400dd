//! Which version of a Worker serves: Cloudflare's deployments, as the API tells them and takes them. `versions deploy`,
//! `rollback` and `deployments status` are about these.

use std::collections::BTreeMap;

use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::CliError;
use super::client::{Answer, Ask, Body, Client};
use super::version::{MESSAGE, Version};

/// One of `GET …/deployments`.
#[derive(Debug, Deserialize)]
pub struct Release {
    pub id: String,
    pub created_on: Timestamp,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    pub versions: Vec<Share>,
}

#[derive(Debug, Deserialize)]
pub struct Share {
    pub version_id: String,
}

#[derive(Deserialize)]
struct Releases {
    deployments: Vec<Release>,
}

impl Release {
    /// The version that it sends requests and new instances to.
    pub fn version_id(&self) -> Option<&str> {
        self.versions.first().map(|share| share.version_id.as_str())
    }
}

/// What asks for all of a Worker.
pub fn ask(worker: &str) -> Ask {
    Ask::new(Method::GET, &["workers", "scripts", worker, "deployments"])
}

/// In an answer, newest first.
///
/// # Errors
/// When it has another shape.
pub fn read(answer: &Answer) -> Result<Vec<Release>, CliError> {
    let Releases { mut deployments } = answer.parse()?;
    deployments.sort_by_key(|release| std::cmp::Reverse(release.created_on));
    Ok(deployments)
}

/// Makes a version the one that serves.
///
/// # Errors
/// When the server does not do it.
pub async fn release(
    client: &Client,
    worker: &str,
    version: &Version,
    message: Option<&str>,
) -> Result<Answer, CliError> {
    let annotations: BTreeMap<&str, &str> = message.into_iter().map(|message| (MESSAGE, message)).collect();
    let body = json!({
        "strategy": "percentage",
        "versions": [{ "version_id": version.id, "percentage": 100 }],
        "annotations": annotations,
    });
    let path = ["workers", "scripts", worker, "deployments"];
    client.ask(Ask::new(Method::POST, &path).body(Body::Json(body.to_string()))).await
}
