//! What an instance's code wrote to its console. Beyond Cloudflare's API.

use std::collections::HashMap;

use axum::extract::{Query, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepwell_engine::{Entry, Recorded};

use super::Api;
use super::envelope::{Reply, success};
use super::limits::{LOG_LINES_DEFAULT, LOG_LINES_MAX};
use super::resource::Part;
use super::times::Iso;

#[derive(Deserialize, JsonSchema)]
pub struct LogParams {
    /// Number of the last line that is known.
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

/// Some lines; `cursor` is the number to go on after.
#[derive(Serialize, JsonSchema)]
pub struct LogPage {
    lines: Vec<LineView>,
    cursor: u64,
}

/// A line.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LogLine")]
struct LineView {
    number: u64,
    timestamp: Iso,
    /// `<name>-<count>` of the step that wrote it.
    step: Option<String>,
    /// `log`, `warn`, …
    level: String,
    text: String,
}

/// Lines behind a number, oldest first; `cursor` continues.
pub async fn show(State(api): State<Api>, Part(name, id): Part, Query(params): Query<LogParams>) -> Reply {
    let workflow = api.platform.workflow(&name).await?;
    let row = api.platform.instance(&workflow, &id).await?;
    let limit = params.limit.unwrap_or(LOG_LINES_DEFAULT).min(LOG_LINES_MAX);
    let lines = api.platform.store.logs(row.key, params.after, limit).await?;
    // A long history is read only where a line is of one of its steps: followers ask again and again.
    let history = match lines.iter().any(|row| row.line.call.is_some()) {
        true => api.platform.store.load(row.key).await?,
        false => None,
    };
    let steps = step_names(&history.map_or_else(Vec::new, |(_, history)| history));
    let cursor = lines.last().map_or(params.after, |last| last.number);
    let lines = lines.into_iter().map(|row| LineView {
        number: row.number,
        timestamp: Iso(row.line.at),
        step: row.line.call.and_then(|call| steps.get(&call).cloned()),
        level: row.line.level,
        text: row.line.text,
    });
    Ok(success(LogPage { lines: lines.collect(), cursor }))
}

/// `<name>-<count>` of each call.
fn step_names(history: &[Recorded]) -> HashMap<u32, String> {
    history
        .iter()
        .filter_map(|recorded| match &recorded.entry {
            Entry::Begun { call, name, count, .. } | Entry::Did { call, name, count, .. } => {
                Some((call.0, format!("{name}-{count}")))
            }
            _ => None,
        })
        .collect()
}
