//! Exports, as clients drive them: the first request begins one, later ones ask how far it is.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepwell_store::DatabaseRow;

use super::{Api, Named, Reply, Route, Scope, address, found, malformed, read};
use crate::d1::{DumpOptions, Export, ExportStage};
use crate::rest::envelope::success;

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/d1/database/{database}/export", Scope::Payloads, act)
            .says("Writes a database as an SQL script: begins it, or tells how far it is and where to fetch it")
            .takes::<ExportBody>()
            .gives::<ExportView>(),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "D1ExportAction")]
struct ExportBody {
    /// `polling`.
    output_format: String,
    #[serde(default)]
    dump_options: Options,
    /// Of an export that was begun.
    current_bookmark: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "D1DumpOptions")]
struct Options {
    /// Leave out what creates tables.
    #[serde(default)]
    no_schema: bool,
    /// Leave out the rows.
    #[serde(default)]
    no_data: bool,
    /// Only these; all where empty.
    #[serde(default)]
    tables: Vec<String>,
}

/// How far an export is.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(rename = "D1Export")]
struct ExportView {
    success: bool,
    r#type: &'static str,
    /// `active`, `complete` or `error`.
    status: &'static str,
    /// What it is called when it is polled.
    at_bookmark: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    messages: [String; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultView>,
}

/// Where an export is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "D1ExportResult")]
struct ResultView {
    /// For an hour.
    signed_url: String,
    filename: String,
}

async fn act(State(api): State<Api>, Named(database): Named, headers: HeaderMap, request: Body) -> Reply {
    let ExportBody { output_format, dump_options, current_bookmark } = read(request).await?;
    if output_format != "polling" {
        return Err(malformed(format!("output_format: {output_format:?} is not \"polling\"")).into());
    }
    let row = found(&api, &database).await?;
    let exports = &api.d1.exports;
    let export = match current_bookmark {
        Some(bookmark) => exports.poll(&row.key, &bookmark).await?,
        None => {
            let Options { no_schema, no_data, tables } = dump_options;
            if no_schema && no_data {
                return Err(malformed("dump_options: without schema and without data nothing is left").into());
            }
            let options = DumpOptions { no_schema, no_data, tables };
            exports.begin(&row.key, options, api.d1.next_bookmark()).await?
        }
    };
    Ok(success(view(export, &row, &address(&headers)?)))
}

fn view(Export { token, bookmark, stage }: Export, row: &DatabaseRow, address: &str) -> ExportView {
    let begun = ExportView { success: true, r#type: "export", at_bookmark: bookmark, ..ExportView::default() };
    match stage {
        ExportStage::Running => ExportView { status: "active", ..begun },
        ExportStage::Done(_) => {
            let filename = format!("{}.sql", file_name_part(&row.name));
            let signed_url = format!("{address}/exports/{token}/{filename}");
            ExportView { status: "complete", result: Some(ResultView { signed_url, filename }), ..begun }
        }
        ExportStage::Failed(error) => ExportView { success: false, status: "error", error: Some(error), ..begun },
    }
}

/// What of a name can stand in an address and a file's name.
fn file_name_part(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }).collect()
}
