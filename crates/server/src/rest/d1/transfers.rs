//! Where scripts are uploaded and exports are fetched. The secret in the address is the permission; it ends after an hour.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::fs::File;

use super::{Api, Failure, Reply, Route, TRANSFERS};
use crate::api_error::ApiError;
use crate::auth::Needs;
use crate::file_stream::file_stream;
use crate::rest::envelope::success;
use crate::rest::route::{Answer, Content};

const SQL: &str = "application/sql";

pub fn routes() -> Vec<Route> {
    vec![
        Route::put("/uploads/{token}", Needs::Nothing, upload)
            .says("Takes the file of an announced import; its address is its permission")
            .takes_content(Content::Bytes)
            .gives::<()>()
            .below(TRANSFERS),
        Route::get("/exports/{token}/{filename}", Needs::Nothing, download)
            .says("Gives an export; its address is its permission")
            .gives_answer(Answer::Plain(SQL))
            .below(TRANSFERS),
    ]
}

/// Answers the MD5 of what came as its ETag, as an object store does.
async fn upload(State(api): State<Api>, Path(token): Path<String>, body: Body) -> Reply {
    let etag = api.d1.imports.receive(&token, body.into_data_stream()).await?;
    Ok(([(header::ETAG, format!("\"{etag}\""))], success(())).into_response())
}

async fn download(
    State(api): State<Api>,
    Path((token, filename)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let path = api.d1.exports.file(&token)?;
    let file = File::open(&*path).await.map_err(ApiError::internal)?;
    let size_bytes = file.metadata().await.map_err(ApiError::internal)?.len();
    let headers = [
        (header::CONTENT_TYPE, SQL.to_owned()),
        (header::CONTENT_LENGTH, size_bytes.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", filename.replace(['"', '\\'], "_"))),
    ];
    Ok((headers, Body::from_stream(file_stream(file))).into_response())
}
