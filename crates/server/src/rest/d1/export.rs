//! Exports, as clients drive them: the first request begins one, later ones ask how far it is.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use stepwell_store::DatabaseRow;

use super::{Api, Named, Reply, address, found, malformed, read};
use crate::d1::{DumpOptions, Export, ExportStage};
use crate::rest::envelope::success;

#[derive(Deserialize)]
struct ExportBody {
    output_format: String,
    #[serde(default)]
    dump_options: Options,
    current_bookmark: Option<String>,
}

#[derive(Default, Deserialize)]
struct Options {
    #[serde(default)]
    no_schema: bool,
    #[serde(default)]
    no_data: bool,
    #[serde(default)]
    tables: Vec<String>,
}

pub async fn act(State(api): State<Api>, Named(database): Named, headers: HeaderMap, request: Body) -> Reply {
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
    Ok(success(told(&export, &row, &address(&headers)?)))
}

fn told(export: &Export, row: &DatabaseRow, address: &str) -> Value {
    let at_bookmark = &export.bookmark;
    match &export.stage {
        ExportStage::Running => json!({
            "success": true, "type": "export", "status": "active", "at_bookmark": at_bookmark, "messages": [],
        }),
        ExportStage::Done(_) => {
            let filename = format!("{}.sql", file_name_part(&row.name));
            json!({
                "success": true,
                "type": "export",
                "status": "complete",
                "at_bookmark": at_bookmark,
                "messages": [],
                "result": {
                    "signed_url": format!("{address}/exports/{}/{filename}", export.token),
                    "filename": filename,
                },
            })
        }
        ExportStage::Failed(error) => json!({
            "success": false,
            "type": "export",
            "status": "error",
            "at_bookmark": at_bookmark,
            "error": error,
            "messages": [],
        }),
    }
}

/// What of a name can stand in an address and a file's name.
fn file_name_part(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }).collect()
}
