//! Imports, as clients drive them: `init` announces a file and is told where to put it, `ingest` runs it, `poll` asks how
//! far it is.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Api, Named, Reply, Route, Scope, address, found, malformed, read};
use crate::d1::{D1, Import, ImportStage, MetaJson};
use crate::rest::envelope::success;
use crate::stall;

const MD5_DIGITS: usize = 32;

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/d1/database/{database}/import", Scope::Deploy, act)
            .says("Runs an SQL script from a file: announces it, begins it, or tells how far it is")
            .takes::<ImportBody>()
            .gives::<ImportView>(),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
#[schemars(rename = "D1ImportAction")]
enum ImportBody {
    /// Announces a file by its MD5 in hexadecimal.
    Init { etag: String },
    /// Runs the file that was uploaded under this name.
    Ingest { filename: String },
    /// Asks how far it is.
    Poll { current_bookmark: String },
}

/// How far an import is.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(rename = "D1Import")]
struct ImportView {
    success: bool,
    r#type: &'static str,
    /// `active`, `complete` or `error`, once it was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// What it is called when it is polled.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_bookmark: Option<String>,
    /// What the announced file is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    /// Where the announced file is to be put.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_url: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The same, for clients that look for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<[String; 1]>,
    messages: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultView>,
}

/// What an import did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "D1ImportResult")]
struct ResultView {
    num_queries: u64,
    final_bookmark: String,
    meta: MetaJson,
}

async fn act(State(api): State<Api>, Named(database): Named, headers: HeaderMap, request: Body) -> Reply {
    // Read by its tag, an action could be an array as well.
    let members: Map<String, Value> = read(request).await?;
    let action = ImportBody::deserialize(Value::from(members)).map_err(malformed)?;
    let key = found(&api, &database).await?.key;
    let imports = &api.d1.imports;
    let view = match action {
        ImportBody::Init { etag } => {
            if etag.len() != MD5_DIGITS || !etag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(malformed(format!("etag: {etag:?} is not the MD5 of a file in hexadecimal")).into());
            }
            stall::admit(&api.platform.store)?;
            let upload = imports.announce(&key, &etag)?;
            let upload_url = Some(format!("{}/uploads/{}", address(&headers)?, upload.token));
            ImportView { filename: Some(upload.filename), upload_url, ..ImportView::new() }
        }
        ImportBody::Ingest { filename } => {
            let bookmark = api.d1.next_bookmark();
            ImportView::of(&api.d1, imports.begin(&key, &filename, bookmark).await?)
        }
        ImportBody::Poll { current_bookmark } => ImportView::of(&api.d1, imports.poll(&key, &current_bookmark).await?),
    };
    Ok(success(view))
}

impl ImportView {
    fn new() -> Self {
        Self { success: true, r#type: "import", ..Self::default() }
    }

    fn of(d1: &D1, Import { bookmark, stage }: Import) -> Self {
        let begun = Self { at_bookmark: Some(bookmark), ..Self::new() };
        match stage {
            ImportStage::Running => Self { status: Some("active"), ..begun },
            ImportStage::Done(imported) => Self {
                status: Some("complete"),
                messages: vec![format!("Processed {} queries.", imported.statements)],
                result: Some(ResultView {
                    num_queries: imported.statements,
                    final_bookmark: d1.next_bookmark(),
                    meta: MetaJson::new(&imported.meta),
                }),
                ..begun
            },
            // wrangler tells `error` where there is no success, and other clients look at the status.
            ImportStage::Failed(error) => Self {
                success: false,
                status: Some("error"),
                errors: Some([error.clone()]),
                error: Some(error),
                ..begun
            },
        }
    }
}
