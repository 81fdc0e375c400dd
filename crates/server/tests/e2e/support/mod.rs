//! What end-to-end tests stand on: the real binary with real workerd and SQLite ([`Launch`], [`Server`]), projects on disk
//! ([`Project`]) and requests as a client makes them.

mod http;
mod launch;
mod project;
mod rest;
mod tail;

pub use http::{Answer, Http};
pub use launch::{Launch, Server};
pub use project::Project;
pub use rest::{error_text, names_of};
pub use tail::{Shown, lines_of};

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long anything may take that a test waits for: far above what it takes, below a test runner's patience.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How often a condition is looked at that nothing announces.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The operator's token of a data directory.
pub fn operator_token(state: &Path) -> String {
    let text = std::fs::read_to_string(state.join("operator-token")).expect("the operator's token");
    text.trim().to_owned()
}

/// Looks until there is something. Fails, with what `told` says, where there never is.
pub async fn eventually<T, F>(told: impl Fn() -> String, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "still not so after {PATIENCE:?}: {}", told());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
