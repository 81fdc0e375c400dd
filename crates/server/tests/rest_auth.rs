//! Who is let in, through the whole face.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures_util::future::BoxFuture;
use serde_json::Value;
use stepwell::api_error::ApiError;
use stepwell::auth::{Auth, OPERATOR_TOKEN_FILE};
use stepwell::creation_rate::CreationRate;
use stepwell::d1::D1;
use stepwell::driver::DriverPorts;
use stepwell::platform::Platform;
use stepwell::registry::{Policy, Registry};
use stepwell::rest::{self, Api, Deploy, ScriptUpload};
use stepwell_store::{DeploymentRow, NewRelease, Store};
use tower::ServiceExt as _;

struct NoUploads;

impl Deploy for NoUploads {
    fn deploy(&self, _: ScriptUpload) -> BoxFuture<'_, Result<DeploymentRow, ApiError>> {
        Box::pin(async { Err(ApiError::bad_request("no uploads here")) })
    }

    fn upload_version(&self, _: ScriptUpload) -> BoxFuture<'_, Result<DeploymentRow, ApiError>> {
        unreachable!("nobody uploads")
    }

    fn release(&self, _: NewRelease) -> BoxFuture<'_, Result<(), ApiError>> {
        unreachable!("nobody uploads")
    }

    fn change_secrets(&self, _: String, _: Vec<(String, Option<String>)>) -> BoxFuture<'_, Result<(), ApiError>> {
        unreachable!("nobody has secrets")
    }
}

/// Status and code of `GET /user` with these headers.
async fn ask(auth: &Auth, headers: &[(&str, &str)]) -> (u16, u64) {
    let (store, driver) = (Store::in_memory(), DriverPorts::new().handle);
    let registry = Registry::new(store.clone(), driver.clone(), Policy::default());
    let d1 = D1::open(std::env::temp_dir().join("never-made"), store.clone());
    let platform = Platform { store, driver, rate: CreationRate::default() };
    let router = rest::router(Api::new(platform, auth.clone(), Arc::new(NoUploads), registry, d1, 8787));
    let mut request = Request::builder().uri("/client/v4/user");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    let body: Value = serde_json::from_slice(&bytes).expect("JSON");
    (status, body["errors"][0]["code"].as_u64().unwrap_or(0))
}

#[tokio::test]
async fn the_first_start_makes_a_token_and_later_ones_know_it_by_its_hash() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::in_memory();
    let (first, token) = Auth::open(dir.path(), &store).await.expect("a first start");
    let token = token.expect("a token to print");
    let kept = std::fs::read_to_string(dir.path().join(OPERATOR_TOKEN_FILE)).expect("a file");
    assert_eq!(kept.trim_end(), token);
    assert!(store.tokens().await.expect("a read").iter().all(|row| !row.hash.contains(&token)));
    let (second, printed) = Auth::open(dir.path(), &store).await.expect("a second start");
    assert_eq!(printed, None);
    for auth in [first, second] {
        assert_eq!(ask(&auth, &[("authorization", &format!("Bearer {token}"))]).await, (200, 0));
        assert_eq!(ask(&auth, &[("x-auth-key", &token)]).await, (200, 0));
        assert_eq!(ask(&auth, &[("authorization", "Bearer wrong")]).await, (401, 10_000));
        assert_eq!(ask(&auth, &[]).await, (401, 10_000));
    }
}

#[tokio::test]
async fn without_a_token_only_this_machines_programs_are_let_in() {
    assert_eq!(ask(&Auth::Open, &[("host", "127.0.0.1:8788"), ("authorization", "Bearer any")]).await, (200, 0));
    assert_eq!(ask(&Auth::Open, &[("host", "evil.test")]).await, (403, 10_000));
    let page = [("host", "localhost:8788"), ("origin", "https://evil.test")];
    assert_eq!(ask(&Auth::Open, &page).await, (403, 10_000));
}
