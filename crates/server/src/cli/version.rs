//! A version of a Worker, which is what this server calls a deployment: as the API tells it, and how one is found by what a
//! person calls it.

use std::collections::BTreeMap;

use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;

use super::CliError;
use super::client::{Ask, Client};
use super::text::one_line;

pub const MESSAGE: &str = "workers/message";
pub const TAG: &str = "workers/tag";

/// One of `GET …/versions`.
#[derive(Debug, Clone, Deserialize)]
pub struct Version {
    pub id: String,
    #[serde(default)]
    pub number: u32,
    pub metadata: Metadata,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub is_current: bool,
    #[serde(default)]
    pub live_instances: usize,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    pub created_on: Timestamp,
}

#[derive(Deserialize)]
struct Versions {
    items: Vec<Version>,
}

impl Version {
    /// An annotation of it.
    pub fn note(&self, name: &str) -> String {
        self.annotations.get(name).cloned().unwrap_or_default()
    }

    fn is_called(&self, name: &str) -> bool {
        self.id == name || self.number.to_string() == name || self.annotations.get(TAG).is_some_and(|tag| tag == name)
    }
}

/// All of a Worker, newest first.
///
/// # Errors
/// When the server cannot be asked, or has no such Worker.
pub async fn versions_of(client: &Client, worker: &str) -> Result<Vec<Version>, CliError> {
    let Versions { mut items } = client.ask(ask(worker)).await?.parse()?;
    items.sort_by_key(|item| std::cmp::Reverse(item.number));
    Ok(items)
}

/// What asks for them.
pub fn ask(worker: &str) -> Ask {
    Ask::new(Method::GET, &["workers", "scripts", worker, "versions"])
}

/// The newest version of that number, id or tag.
///
/// # Errors
/// As [`versions_of`], and where there is none.
pub async fn find(client: &Client, worker: &str, name: &str) -> Result<Version, CliError> {
    let found = versions_of(client, worker).await?.into_iter().find(|version| version.is_called(name));
    found.ok_or_else(|| {
        let (name, worker) = (one_line(name), one_line(worker));
        let advice = format!("`stepwell versions list --name {worker}` shows those it has.");
        CliError::NotFound(format!("Worker \"{worker}\" has no version \"{name}\". {advice}"))
    })
}
