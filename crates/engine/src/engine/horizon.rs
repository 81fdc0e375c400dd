//! Timers: those that are near stand in memory, all others only in the store.
//!
//! The store is read forward, once: what falls before the place read up to is set here by the engine itself.

use std::collections::BTreeSet;

use crate::limits::TIMER_HORIZON_MS;
use crate::{InstanceKey, Millis};

/// Near timers, and how far the store has been read.
#[derive(Debug)]
pub(super) struct Horizon {
    near: BTreeSet<(Millis, InstanceKey)>,
    read_to: (Millis, InstanceKey),
    /// The end of the read under way.
    reading: Option<Millis>,
}

impl Horizon {
    pub fn new() -> Self {
        Self { near: BTreeSet::new(), read_to: (Millis::MIN, InstanceKey(0)), reading: None }
    }

    pub fn set(&mut self, key: InstanceKey, timer: Option<Millis>) {
        self.near.extend(timer.map(|at| (at, key)));
    }

    pub fn clear(&mut self, key: InstanceKey, timer: Option<Millis>) {
        if let Some(at) = timer {
            self.near.remove(&(at, key));
        }
    }

    /// Keeps the timer of an instance that leaves memory, if the store will not be asked for it again.
    pub fn keep_if_near(&mut self, key: InstanceKey, wake_at: Option<Millis>) {
        if let Some(at) = wake_at
            && at <= self.reading.unwrap_or(self.read_to.0)
        {
            self.near.insert((at, key));
        }
    }

    /// The next instance whose time has come, with that time.
    pub fn pop_due(&mut self, now: Millis) -> Option<(Millis, InstanceKey)> {
        let first = self.near.first().copied().filter(|first| first.0 <= now)?;
        self.near.remove(&first);
        Some(first)
    }

    /// When something has to be done next. `may_read`: a read is among it.
    pub fn next(&self, may_read: bool) -> Option<Millis> {
        let read_at = self.read_to.0.saturating_sub(TIMER_HORIZON_MS / 2);
        let next_read = (may_read && self.reading.is_none()).then_some(read_at);
        self.near.first().map(|(at, _)| *at).into_iter().chain(next_read).min()
    }

    /// The range to read from the store now.
    pub fn wants_read(&mut self, now: Millis) -> Option<((Millis, InstanceKey), Millis)> {
        if self.reading.is_some() || self.read_to.0.saturating_sub(TIMER_HORIZON_MS / 2) > now {
            return None;
        }
        let until = now + TIMER_HORIZON_MS;
        self.reading = Some(until);
        Some((self.read_to, until))
    }

    /// A range has been read. Instances for which `has_timer` is true have their timer already.
    pub fn read(
        &mut self,
        until: Millis,
        due: &[(Millis, InstanceKey)],
        complete: bool,
        has_timer: impl Fn(InstanceKey) -> bool,
    ) {
        self.near.extend(due.iter().copied().filter(|(_, key)| !has_timer(*key)));
        self.reading = None;
        self.read_to = match due.last() {
            Some(last) if !complete => *last,
            _ => (until, InstanceKey(u64::MAX)),
        };
    }
}
