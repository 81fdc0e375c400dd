//! Imports, as clients drive them: `init` announces a file and is told where to put it, `ingest` runs it, `poll` asks how
//! far it is.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Named, Reply, address, found, malformed, read};
use crate::d1::{D1, Import, ImportStage, MetaJson};
use crate::rest::envelope::success;

const MD5_DIGITS: usize = 32;

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum ImportBody {
    Init { etag: String },
    Ingest { filename: String },
    Poll { current_bookmark: String },
}

pub async fn act(State(api): State<Api>, Named(database): Named, headers: HeaderMap, request: Body) -> Reply {
    let action = read(request).await?;
    let key = found(&api, &database).await?.key;
    let imports = &api.d1.imports;
    let result = match action {
        ImportBody::Init { etag } => {
            if etag.len() != MD5_DIGITS || !etag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(malformed(format!("etag: {etag:?} is not the MD5 of a file in hexadecimal")).into());
            }
            let upload = imports.announce(&key, &etag)?;
            let upload_url = format!("{}/uploads/{}", address(&headers)?, upload.token);
            json!({ "success": true, "type": "import", "filename": upload.filename, "upload_url": upload_url, "messages": [] })
        }
        ImportBody::Ingest { filename } => {
            let bookmark = api.d1.next_bookmark();
            told(&api.d1, &imports.begin(&key, &filename, bookmark).await?)
        }
        ImportBody::Poll { current_bookmark } => told(&api.d1, &imports.poll(&key, &current_bookmark).await?),
    };
    Ok(success(result))
}

fn told(d1: &D1, import: &Import) -> Value {
    let at_bookmark = &import.bookmark;
    match &import.stage {
        ImportStage::Running => json!({
            "success": true, "type": "import", "status": "active", "at_bookmark": at_bookmark, "messages": [],
        }),
        ImportStage::Done(imported) => json!({
            "success": true,
            "type": "import",
            "status": "complete",
            "at_bookmark": at_bookmark,
            "messages": [format!("Processed {} queries.", imported.statements)],
            "result": {
                "num_queries": imported.statements,
                "final_bookmark": d1.next_bookmark(),
                "meta": MetaJson::new(&imported.meta),
            },
        }),
        // wrangler tells `error` where there is no success, and other clients look at the status.
        ImportStage::Failed(error) => json!({
            "success": false,
            "type": "import",
            "status": "error",
            "at_bookmark": at_bookmark,
            "error": error,
            "errors": [error],
            "messages": [],
        }),
    }
}
