//! Timers: those that are near stand in memory, all others only in the store.
//!
//! The store is read forward, once: what falls before the place read up to is set here by the engine itself.

use std::collections::BTreeMap;

use super::io::Due;
use crate::limits::TIMER_HORIZON_MS;
use crate::{InstanceKey, Millis};

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// The instance goes on.
    GoOn,
    /// The instance, which has ended and is not in memory, is to go.
    Expire,
}

impl Wake {
    /// An ended instance of which nobody has said how long it is kept is loaded for that.
    fn of_row(due: &Due) -> Self {
        Self::of(due.ended_at.is_some_and(|ended_at| ended_at != due.at))
    }

    fn of(has_ended: bool) -> Self {
        if has_ended { Self::Expire } else { Self::GoOn }
    }
}

/// Near timers, and how far the store has been read.
#[derive(Debug)]
pub(super) struct Horizon {
    near: BTreeMap<(Millis, InstanceKey), Wake>,
    read_to: (Millis, InstanceKey),
    /// The end of the read under way.
    reading: Option<Millis>,
}

impl Horizon {
    pub fn new() -> Self {
        Self { near: BTreeMap::new(), read_to: (Millis::MIN, InstanceKey(0)), reading: None }
    }

    pub fn set(&mut self, key: InstanceKey, timer: Option<Millis>) {
        self.near.extend(timer.map(|at| ((at, key), Wake::GoOn)));
    }

    pub fn clear(&mut self, key: InstanceKey, timer: Option<Millis>) {
        if let Some(at) = timer {
            self.near.remove(&(at, key));
        }
    }

    /// Keeps the timer of an instance that leaves memory, if the store will not be asked for it again.
    pub fn keep_if_near(&mut self, key: InstanceKey, wake_at: Option<Millis>, has_ended: bool) {
        if let Some(at) = wake_at
            && at <= self.reading.unwrap_or(self.read_to.0)
        {
            self.near.insert((at, key), Wake::of(has_ended));
        }
    }

    /// The next instance whose time has come, with that time.
    pub fn pop_due(&mut self, now: Millis) -> Option<(Millis, InstanceKey, Wake)> {
        let first = self.near.first_entry().filter(|first| first.key().0 <= now)?;
        let ((at, key), wake) = first.remove_entry();
        Some((at, key, wake))
    }

    /// When something has to be done next. `may_read`: a read is among it.
    pub fn next(&self, may_read: bool) -> Option<Millis> {
        let read_at = self.read_to.0.saturating_sub(TIMER_HORIZON_MS / 2);
        let next_read = (may_read && self.reading.is_none()).then_some(read_at);
        self.near.keys().next().map(|(at, _)| *at).into_iter().chain(next_read).min()
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
    pub fn read(&mut self, until: Millis, due: &[Due], complete: bool, has_timer: impl Fn(InstanceKey) -> bool) {
        let unknown = due.iter().filter(|due| !has_timer(due.key));
        self.near.extend(unknown.map(|due| ((due.at, due.key), Wake::of_row(due))));
        self.reading = None;
        self.read_to = match due.last() {
            Some(last) if !complete => (last.at, last.key),
            _ => (until, InstanceKey(u64::MAX)),
        };
    }
}
