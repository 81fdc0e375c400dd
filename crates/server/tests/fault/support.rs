//! A project on disk, the server that runs it, and the log that user code writes to from inside its steps.

mod journal;
mod server;

pub use journal::{Journal, Line};
pub use server::{Launch, Project, Server, ended, is_alive, kill};

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that tells nobody when it changes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Epoch milliseconds.
pub fn now_ms() -> i64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(passed.as_millis()).expect("a clock before the end of time")
}

/// Returns when `look` finds something.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}
