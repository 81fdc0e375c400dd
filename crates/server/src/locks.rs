//! Taking a lock on plain data. A holder that panicked left it whole, so that a poisoned lock is no reason to stop.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, whatever became of those who held it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
