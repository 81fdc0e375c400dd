//! Where scripts are uploaded and exports are fetched. The secret in the address is the permission; it ends after an hour.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::{Api, Failure, Reply, Route, TRANSFERS};
use crate::api_error::ApiError;
use crate::auth::Needs;
use crate::rest::envelope::success;
use crate::rest::route::{Answer, Content};

/// Bytes that are read at once of a file on its way out.
const READ_BYTES: usize = 64 << 10;
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
    Ok((headers, Body::from_stream(chunks(file))).into_response())
}

/// A file in pieces, each read when it is wanted.
fn chunks(file: File) -> impl stream::Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(READ_BYTES);
        let count = (&mut file).take(READ_BYTES as u64).read_to_end(&mut chunk).await?;
        Ok((count > 0).then(|| (Bytes::from(chunk), file)))
    })
}
