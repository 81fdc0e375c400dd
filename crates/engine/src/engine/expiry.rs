//! The end of instances that have ended: when their time is over they go with all their data, a bounded number in each
//! batch, and without being loaded.

use super::Engine;
use crate::InstanceKey;
use crate::limits::EXPIRED_AT_ONCE;

impl Engine {
    /// Says when an instance that has just ended is to go.
    pub(super) fn set_expiry(&mut self, key: InstanceKey) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let instance = &mut slot.instance;
        if let Some(ended_at) = instance.ended_at() {
            let usual = self.workflows.get(&instance.workflow).map(|settings| settings.retention);
            let retention = instance.retention.or(usual.unwrap_or_default());
            instance.expire_at(retention.expires_at(instance.status(), ended_at));
        }
    }

    /// The same for one that ended before anybody kept such a time: its row has the time of its end instead. The row is
    /// written anew.
    pub(super) fn set_late_expiry(&mut self, key: InstanceKey) {
        self.set_expiry(key);
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.commit = self.gather.next();
        }
    }

    /// Puts instances whose time is over into the batch.
    pub(super) fn expire(&mut self) {
        for _ in 0..EXPIRED_AT_ONCE.min(self.expired.len()) {
            let Some(key) = self.expired.pop_front() else { return };
            // One that somebody is about to load gets its timer again when it is there.
            if self.gone.contains_key(&key) || self.loading.contains_key(&key) {
                continue;
            }
            // The store takes away only what it knows to have ended.
            if self.slots.get(&key).is_some_and(|slot| !self.gather.is_durable(slot.commit)) {
                self.expired.push_back(key);
                continue;
            }
            if self.take_out(key).is_none() {
                self.gone.insert(key, self.gather.next());
            }
            self.gather.batch.expirations.push(key);
        }
    }
}
