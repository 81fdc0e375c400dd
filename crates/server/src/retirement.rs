//! The end of old deployments: one that is not current, and that no unfinished instance needs, goes with its modules.
//!
//! Restarts take the newest deployment, so what has ended needs none.

use std::time::Duration;

use stepwell_store::{ChangeError, ScriptRow, Store};

use crate::clock::{self, now_ms};

/// How often old deployments are looked for.
const LOOK_EVERY_MS: u64 = 60_000;
/// A deployment that was replaced stays for so long: the driver may have been starting an instance on it.
const KEPT_MS: i64 = 60_000;

/// Retires old deployments, for ever.
pub async fn retire(store: Store) {
    loop {
        tokio::time::sleep(clock::real(LOOK_EVERY_MS).max(Duration::from_millis(10))).await;
        // What waits for room on the disk may be the start of an instance.
        if store.is_full() {
            continue;
        }
        if let Err(error) = look(&store).await {
            tracing::warn!(%error, "old deployments could not be looked for");
        }
    }
}

async fn look(store: &Store) -> Result<(), ChangeError> {
    let read = |error: stepwell_store::ReadError| stepwell_store::CommitError::Failed(error.to_string());
    for ScriptRow { name, modified_at, .. } in store.scripts().await.map_err(read)? {
        if now_ms() - modified_at < KEPT_MS {
            continue;
        }
        for row in store.deployments(&name).await.map_err(read)? {
            if row.is_current || row.live_instances > 0 {
                continue;
            }
            match store.delete_deployment(row.id).await {
                Ok(_) => tracing::info!(script = name, deployment = %row.id, "an old deployment is gone"),
                Err(ChangeError::DeploymentNeeded { .. } | ChangeError::DeploymentCurrent(_)) => {}
                Err(other) => return Err(other),
            }
        }
    }
    Ok(())
}
