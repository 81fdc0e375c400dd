//! The end of old deployments: one that is not current, that no unfinished instance needs, and that is not among the newest
//! of its script, goes with its modules.
//!
//! Restarts take the current deployment, so what has ended needs none.

use std::time::Duration;

use stepwell_store::{ChangeError, ScriptRow, Store};

use crate::clock::{self, now_ms};

/// How often old deployments are looked for.
const LOOK_EVERY_MS: u64 = 60_000;
/// The newest deployments of a script stay, so that one can go back to them.
const NEWEST_KEPT: usize = 10;
/// A deployment that was replaced stays for so long: the driver may have been starting an instance on it.
const KEPT_MS: i64 = 60_000;

/// Retires old deployments, for ever.
pub async fn retire(store: Store) {
    loop {
        tokio::time::sleep(clock::real(LOOK_EVERY_MS).max(Duration::from_millis(10))).await;
        // What waits for room on the disk may be the start of an instance.
        if store.stall().is_some() {
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
        for row in store.deployments(&name).await.map_err(read)?.into_iter().skip(NEWEST_KEPT) {
            if row.is_current || row.live_instances > 0 {
                continue;
            }
            match store.delete_deployment(row.id).await {
                Ok(_) => tracing::info!(script = %name, deployment = %row.id, "an old deployment is gone"),
                Err(ChangeError::DeploymentNeeded { .. } | ChangeError::DeploymentCurrent(_)) => {}
                Err(other) => return Err(other),
            }
        }
    }
    Ok(())
}
