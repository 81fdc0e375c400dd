//! Errors that the engine itself puts into user code, with Cloudflare's names and texts (reference §1.9).

use crate::ErrorRecord;

/// An attempt or a wait took too long.
#[must_use]
pub fn timed_out(timeout_ms: u64) -> ErrorRecord {
    ErrorRecord::new("WorkflowTimeoutError", format!("Execution timed out after {timeout_ms}ms"))
}

/// An attempt that must not be repeated was lost with its worker.
#[must_use]
pub fn attempt_lost() -> ErrorRecord {
    ErrorRecord::new("WorkflowInternalError", "Attempt failed due to internal workflows error")
}

/// What handlers are told when a user terminates an instance with a rollback, and how a rollback ends that a user cuts
/// short.
#[must_use]
pub fn terminated_with_rollback() -> ErrorRecord {
    ErrorRecord::new("Terminated", "Instance terminated during rollback")
}

/// The code no longer has the handler that a step registered.
#[must_use]
pub fn rollback_missing() -> ErrorRecord {
    ErrorRecord::new("RollbackMissing", "Rollback function not available in registry")
}

/// An instance whose code killed its worker too often.
#[must_use]
pub fn worker_killed(kills: u32) -> ErrorRecord {
    ErrorRecord::new(
        "WorkflowInternalError",
        format!(
            "The code of this instance stopped its worker process {kills} times (an endless loop, a crash or too much memory)"
        ),
    )
}
