//! What users are told while the store's commits wait for the disk.

use std::pin::pin;
use std::time::Duration;

use stepwell_store::{Stall, Store};

use crate::api_error::ApiError;

/// How often an answer that does not come is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Refuses new work while commits wait.
///
/// # Errors
/// [`ApiError::stalled`].
pub fn admit(store: &Store) -> Result<(), ApiError> {
    store.stall().map_or(Ok(()), |stall| Err(ApiError::stalled(stall)))
}

/// An answer for which something is committed; without one, that its commit waits.
///
/// # Errors
/// Those of the answer, and where commits wait: what was asked for is then done when they go on.
pub async fn or_told<T>(store: &Store, answer: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    let mut answer = pin!(answer);
    loop {
        if let Ok(answer) = tokio::time::timeout(LOOK_EVERY, &mut answer).await {
            return answer;
        }
        if let Some(stall) = store.stall() {
            return Err(unconfirmed(stall));
        }
    }
}

fn unconfirmed(stall: Stall) -> ApiError {
    let ApiError { status, code, message } = ApiError::stalled(stall);
    let message =
        format!("{message}. This request waits with the others and is carried out then: look before you repeat it");
    ApiError { status, code, message }
}
