//! A bounded queue between async callers and the store's threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why an item was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejected {
    Busy,
    Closed,
}

/// First in, first out, until closed; what is in it when it closes is still handed out.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    wake: Condvar,
    items_max: usize,
}

struct Inner<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub fn new(items_max: usize) -> Self {
        Self { inner: Mutex::new(Inner { items: VecDeque::new(), closed: false }), wake: Condvar::new(), items_max }
    }

    pub fn push(&self, item: T) -> Result<(), (Rejected, T)> {
        let mut inner = self.lock();
        if inner.closed {
            return Err((Rejected::Closed, item));
        }
        if inner.items.len() >= self.items_max {
            return Err((Rejected::Busy, item));
        }
        inner.items.push_back(item);
        drop(inner);
        self.wake.notify_one();
        Ok(())
    }

    /// Waits for an item; `None` when closed and empty.
    pub fn pop(&self) -> Option<T> {
        let mut inner = self.lock();
        loop {
            if let Some(item) = inner.items.pop_front() {
                return Some(item);
            }
            if inner.closed {
                return None;
            }
            inner = self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next item if it is there now and `wanted`.
    pub fn pop_if(&self, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
        let mut inner = self.lock();
        if inner.items.front().is_some_and(wanted) { inner.items.pop_front() } else { None }
    }

    /// All that are there now and `wanted`, in their order.
    pub fn take(&self, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut inner = self.lock();
        let (taken, left): (VecDeque<T>, _) = std::mem::take(&mut inner.items).into_iter().partition(wanted);
        inner.items = left;
        taken.into()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }

    /// Waits so long, or less where the queue closes meanwhile. Whether it is still open.
    pub fn pause(&self, duration: Duration) -> bool {
        let inner = self.lock();
        let waited = self.wake.wait_timeout_while(inner, duration, |inner| !inner.closed);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    // Nothing panics while it holds the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
