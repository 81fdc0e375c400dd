//! A new incarnation in place of an old one: from the top, or from a step.
//!
//! The engine holds no histories. A restart from a step asks for the one that is durable and notes what is recorded until
//! it comes, so that nothing that happens meanwhile is missed.

use super::gather::Act;
use super::slot::Slot;
use super::{Engine, Output};
use crate::batch::{Carried, Restart};
use crate::instance::{Rejection, Remaining, StepTarget, remaining};
use crate::{DeploymentId, Instance, InstanceKey, Millis, Recorded, ReplyId};

impl Engine {
    /// Ends the old incarnation and begins a new one, which waits until the old one's run is gone.
    pub(super) fn restart(&mut self, reply: ReplyId, old: InstanceKey, now: Millis) {
        let Some(slot) = self.take_out(old) else { return };
        let (new, deployment) = (self.new_key(), self.newest_for(&slot.instance));
        let mut instance = Instance::new(new, slot.instance.workflow, deployment, now);
        instance.retention = slot.instance.retention;
        self.replace(reply, &slot, instance, vec![Carried::CREATION], now);
    }

    pub(super) fn want_restart_from(&mut self, reply: ReplyId, key: InstanceKey, target: StepTarget) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let is_asked = slot.planned.is_some();
        slot.planned.get_or_insert_default().wanted.push((reply, target));
        if !is_asked {
            self.gather.then(Act::Emit(Output::ReadHistory(key)));
        }
    }

    /// Restarts an instance from the first of the wanted steps that is in its history.
    pub(super) fn history_read(&mut self, key: InstanceKey, history: &[Recorded], now: Millis) {
        let Some(planned) = self.slots.get_mut(&key).and_then(|slot| slot.planned.take()) else { return };
        let known = history.len() as u64;
        let since = planned.since.iter().filter(|recorded| recorded.seq >= known);
        let history: Vec<Recorded> = history.iter().chain(since).cloned().collect();
        for (reply, target) in planned.wanted {
            if !self.slots.contains_key(&key) {
                self.refuse(reply, Rejection::NotFound);
            } else if let Some(remaining) = remaining(&history, &target, now) {
                self.restart_from(reply, key, remaining, now);
            } else {
                self.refuse(reply, Rejection::StepNotFound(target.name));
            }
        }
        self.follow_up(key, now);
    }

    fn restart_from(&mut self, reply: ReplyId, old: InstanceKey, remaining: Vec<Remaining>, now: Millis) {
        let carried = carry(&remaining, self.gather.entries_of(old));
        let Some(slot) = self.take_out(old) else { return };
        let (new, deployment) = (self.new_key(), self.newest_for(&slot.instance));
        let history: Vec<Recorded> = remaining.into_iter().map(|one| one.recorded).collect();
        let instance = Instance::replay(new, slot.instance.workflow, deployment, &history);
        let instance = instance.expect("a history begins with its creation");
        self.replace(reply, &slot, instance, carried, now);
    }

    fn newest_for(&self, instance: &Instance) -> DeploymentId {
        self.workflows.get(&instance.workflow).map_or(instance.deployment, |settings| settings.deployment)
    }

    fn replace(&mut self, reply: ReplyId, old: &Slot, instance: Instance, history: Vec<Carried>, now: Millis) {
        let (new, deployment, summary) = (instance.key, instance.deployment, instance.summary(now));
        let mut successor = Slot::new(instance, Some(summary), self.gather.next());
        successor.ghost = old.instance.run().map(|run| run.id).or(old.ghost);
        if let Some(live) = successor.ghost.and_then(|ghost| self.runs.get_mut(&ghost)) {
            live.key = new;
        }
        self.slots.insert(new, Box::new(successor));
        self.gather.batch.restarts.push(Restart { old: old.instance.key, new, deployment, summary, history });
        self.gather.concern(new);
        let answer = self.answer(new);
        self.gather.then(Act::Emit(Output::Reply(reply, answer)));
        self.follow_up(new, now);
    }
}

/// How the store makes the remaining history: by copying what it has, in runs as long as can be. `unwritten` is what no
/// batch on its way holds, with its values.
fn carry(remaining: &[Remaining], unwritten: &[Recorded]) -> Vec<Carried> {
    let mut carried: Vec<Carried> = Vec::new();
    for Remaining { recorded, unchanged_from_seq } in remaining {
        let fresh = unchanged_from_seq.and_then(|seq| place_in(unwritten, seq)).map(|place| &unwritten[place]);
        match (unchanged_from_seq, fresh) {
            (Some(_), Some(fresh)) => carried.push(Carried::Written(Recorded { seq: recorded.seq, ..fresh.clone() })),
            (None, _) => carried.push(Carried::Written(recorded.clone())),
            (Some(seq), None) => match carried.last_mut() {
                Some(Carried::Copied { from_seq, count }) if *from_seq + *count == *seq => *count += 1,
                _ => carried.push(Carried::Copied { from_seq: *seq, count: 1 }),
            },
        }
    }
    carried
}

/// Where the entry of that number stands in a piece of history.
fn place_in(piece: &[Recorded], seq: u64) -> Option<usize> {
    let place = usize::try_from(seq.checked_sub(piece.first()?.seq)?).ok()?;
    (place < piece.len()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Entry;

    fn recorded(seq: u64) -> Recorded {
        Recorded { seq, at: 0, entry: Entry::WorkerKilled }
    }

    fn unchanged(seq: u64, from_seq: u64) -> Remaining {
        Remaining { recorded: recorded(seq), unchanged_from_seq: Some(from_seq) }
    }

    #[test]
    fn neighbours_are_copied_together_and_what_no_batch_has_is_written() {
        let rewritten = Remaining { recorded: recorded(3), unchanged_from_seq: None };
        let remaining = [unchanged(0, 0), unchanged(1, 2), unchanged(2, 3), rewritten, unchanged(4, 9)];
        let fresh = Recorded { seq: 9, at: 7, entry: Entry::Paused };
        let expected = [
            Carried::Copied { from_seq: 0, count: 1 },
            Carried::Copied { from_seq: 2, count: 2 },
            Carried::Written(recorded(3)),
            Carried::Written(Recorded { seq: 4, ..fresh.clone() }),
        ];
        assert_eq!(carry(&remaining, &[fresh]), expected);
    }
}
