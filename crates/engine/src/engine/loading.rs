//! How instances come into memory and leave it: read from the store when a command or their time wants them, dropped
//! once all that concerns them is durable and only time or a user can move them.

use super::horizon::Wake;
use super::slot::Slot;
use super::{Command, Engine, Output};
use crate::instance::Rejection;
use crate::limits::DUE_PAGE;
use crate::{CommitId, Instance, InstanceKey, Millis, ReplyId};

/// Instances read from the store at the same time.
const LOADING_MAX: usize = 256;

/// What waits for an instance to be loaded.
#[derive(Debug)]
pub(super) enum Waiter {
    Command(ReplyId, Command),
    Due,
}

/// Instances for which there is always room in the table.
const SLOTS_ROOM_MIN: usize = 4_096;

impl Engine {
    pub(super) fn load(&mut self, key: InstanceKey, waiter: Waiter, out: &mut Vec<Output>) {
        let waiters = self.loading.entry(key).or_insert_with(|| {
            self.to_load.push_back(key);
            Vec::new()
        });
        waiters.push(waiter);
        self.load_more(out);
    }

    fn load_more(&mut self, out: &mut Vec<Output>) {
        while self.loads_under_way < LOADING_MAX
            && let Some(key) = self.to_load.pop_front()
        {
            self.loads_under_way += 1;
            out.push(Output::Load(key));
        }
    }

    /// So few instances wait to be read that the store may be asked which are due next.
    pub(super) fn may_read_due(&self) -> bool {
        self.to_load.len() + self.expired.len() < DUE_PAGE
    }

    pub(super) fn loaded(&mut self, key: InstanceKey, instance: Option<Instance>, now: Millis, out: &mut Vec<Output>) {
        self.loads_under_way = self.loads_under_way.saturating_sub(1);
        let waiters = self.loading.remove(&key).unwrap_or_default();
        if let Some(instance) = instance {
            let is_unjudged = instance.expires_at().is_some_and(|at| Some(at) == instance.ended_at());
            self.slots.insert(key, Box::new(Slot::new(instance, None, CommitId(0))));
            if is_unjudged {
                self.set_late_expiry(key);
            }
            self.due(key, now);
        }
        for waiter in waiters {
            match waiter {
                Waiter::Command(reply, command) if self.slots.contains_key(&key) => {
                    self.command_loaded(reply, key, command, now);
                }
                Waiter::Command(reply, _) => self.refuse(reply, Rejection::NotFound),
                Waiter::Due => {}
            }
        }
        self.follow_up(key, now);
        self.load_more(out);
    }

    pub(super) fn evict_if_idle(&mut self, key: InstanceKey) {
        let Some(slot) = self.slots.get(&key) else { return };
        if !slot.is_idle() || !self.gather.is_durable(slot.commit) {
            return;
        }
        let Some(slot) = self.slots.remove(&key) else { return };
        self.give_back_room();
        self.forget_fresh(&slot);
        self.horizon.clear(key, slot.timer);
        self.horizon.keep_if_near(key, slot.instance.wake_at(), slot.instance.is_final());
    }

    /// A table does not shrink by itself: after a flood of instances it would be large for ever.
    fn give_back_room(&mut self) {
        let (used, room) = (self.slots.len(), self.slots.capacity());
        if room > SLOTS_ROOM_MIN && used < room / 8 {
            self.slots.shrink_to(used * 2);
        }
    }

    /// Does what time asks for.
    pub(super) fn tick(&mut self, now: Millis, out: &mut Vec<Output>) {
        while let Some(firing) = self.schedules.pop_due(now) {
            self.fire(firing, now);
        }
        while let Some((at, key, wake)) = self.horizon.pop_due(now) {
            match self.slots.get_mut(&key) {
                None if self.gone.contains_key(&key) => {}
                None if wake == Wake::Expire => self.expired.push_back(key),
                None => self.load(key, Waiter::Due, out),
                Some(slot) => {
                    slot.timer = slot.timer.filter(|timer| *timer != at);
                    if slot.instance.expires_at().is_some_and(|at| at <= now) {
                        self.expired.push_back(key);
                        continue;
                    }
                    slot.try_again(now);
                    let grace_over = slot.grace_at.is_some_and(|at| at <= now);
                    self.due(key, now);
                    if grace_over {
                        self.suspend(key, now);
                    }
                    self.follow_up(key, now);
                }
            }
        }
        if self.may_read_due()
            && let Some((after, until)) = self.horizon.wants_read(now)
        {
            out.push(Output::ReadDue { after, until });
        }
    }
}
