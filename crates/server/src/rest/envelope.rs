//! The shape of every answer: `{success, errors, messages, result, result_info?}`, never anything else.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api_error::ApiError;

/// What a handler returns.
pub type Reply = Result<Response, Failure>;

#[derive(Serialize)]
struct Envelope<'a, T> {
    success: bool,
    errors: &'a [ErrorItem<'a>],
    messages: [(); 0],
    result: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_info: Option<ResultInfo>,
}

/// Something that went wrong.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorItem<'a> {
    /// Cloudflare's code, or one of ours from 20000 on.
    code: u32,
    /// What is wrong, where, and what to do.
    message: &'a str,
}

/// Where a page stands in its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ResultInfo {
    /// From 1; 1 for pages read by cursor.
    pub page: usize,
    /// Rows asked for.
    pub per_page: usize,
    /// Rows in this page.
    pub count: usize,
    /// Rows in all, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_count: Option<u64>,
    /// For the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Answers 200 with a result.
pub fn success(result: impl Serialize) -> Response {
    write(StatusCode::OK, &Envelope { success: true, errors: &[], messages: [], result, result_info: None })
}

/// Answers 200 with a page of a list.
pub fn page(result: impl Serialize, info: ResultInfo) -> Response {
    write(StatusCode::OK, &Envelope { success: true, errors: &[], messages: [], result, result_info: Some(info) })
}

/// Answers an error.
pub fn failure(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let errors = [ErrorItem { code: error.code, message: &error.message }];
    write(status, &Envelope { success: false, errors: &errors, messages: [], result: (), result_info: None })
}

fn write(status: StatusCode, envelope: &Envelope<'_, impl Serialize>) -> Response {
    match serde_json::to_vec(envelope) {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        // A handler's answer is of plain types: that they cannot be written is a fault of ours.
        Err(error) => failure(&ApiError::internal(error)),
    }
}

/// An [`ApiError`] on its way into an answer of this face.
#[derive(Debug)]
pub struct Failure(pub ApiError);

impl<E: Into<ApiError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        failure(&self.0)
    }
}
