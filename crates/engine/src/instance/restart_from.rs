//! Which part of a history lives on when an instance starts anew from one of its steps: calls that began before that
//! step, with all that is recorded of them, also what was recorded after it had begun.
//!
//! What the rest of the history said is gone: later calls, events that no remaining wait has taken, pauses, the end.
//! A pause moves due times, so calls that still wait are written down again with theirs.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{CallId, Entry, Millis, Outcome, Recorded, StepKind};

/// A step that an instance is to start anew from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTarget {
    /// What it is.
    pub kind: TargetKind,
    /// Step name, without its count.
    pub name: String,
    /// Which of that kind and name, in the order in which they began, from 1.
    pub count: u32,
}

/// What a [`StepTarget`] is; both kinds of sleep are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// `step.do`.
    Do,
    /// `step.sleep` and `step.sleepUntil`.
    Sleep,
    /// `step.waitForEvent`.
    Wait,
}

/// An entry that lives on.
#[derive(Debug, Clone, PartialEq)]
pub struct Remaining {
    /// In its new place.
    pub recorded: Recorded,
    /// Its number before, where nothing but that number has changed.
    pub unchanged_from_seq: Option<u64>,
}

/// What remains of `history`, whole and in order, when its instance starts anew from `target` at `now`. `None` where no
/// such step began.
#[must_use]
pub fn remaining(history: &[Recorded], target: &StepTarget, now: Millis) -> Option<Vec<Remaining>> {
    let first_gone = find(history, target)?;
    let delivered = delivered_before(history, first_gone);
    let undone = undone(history);
    let mut rest = Rest::default();
    for recorded in history {
        match &recorded.entry {
            Entry::Paused => rest.paused_at = Some(recorded.at),
            Entry::Resumed => rest.resume(recorded.at),
            _ => {}
        }
        if stays(recorded, first_gone, &delivered, &undone) {
            rest.keep(recorded);
        }
    }
    rest.resume(now);
    Some(rest.kept)
}

/// The call of the target.
fn find(history: &[Recorded], target: &StepTarget) -> Option<CallId> {
    let wanted = |recorded: &Recorded| match &recorded.entry {
        Entry::Begun { call, name, kind, .. } => {
            (*name == target.name && kind_of(kind) == target.kind).then_some(*call)
        }
        Entry::Did { call, name, .. } => (*name == target.name && target.kind == TargetKind::Do).then_some(*call),
        _ => None,
    };
    let before = usize::try_from(target.count.checked_sub(1)?).ok()?;
    history.iter().filter_map(wanted).nth(before)
}

fn kind_of(kind: &StepKind) -> TargetKind {
    match kind {
        StepKind::Do(_) => TargetKind::Do,
        StepKind::Sleep { .. } | StepKind::SleepUntil { .. } => TargetKind::Sleep,
        StepKind::Wait { .. } => TargetKind::Wait,
    }
}

/// Entries of the events that calls before `first_gone` have taken.
fn delivered_before(history: &[Recorded], first_gone: CallId) -> HashSet<u64> {
    let taken = history.iter().filter_map(|recorded| match &recorded.entry {
        Entry::Settled { call, outcome: Outcome::Event { seq } } if *call < first_gone => Some(*seq),
        _ => None,
    });
    taken.collect()
}

/// Calls whose rollback handlers have succeeded: nothing is undone twice.
fn undone(history: &[Recorded]) -> HashSet<CallId> {
    let undone = history.iter().filter_map(|recorded| match &recorded.entry {
        Entry::RolledBack { call, .. } => Some(*call),
        _ => None,
    });
    undone.collect()
}

fn stays(recorded: &Recorded, first_gone: CallId, delivered: &HashSet<u64>, undone: &HashSet<CallId>) -> bool {
    match &recorded.entry {
        Entry::Created { .. } => true,
        Entry::Begun { call, .. }
        | Entry::Did { call, .. }
        | Entry::AttemptStarted { call, .. }
        | Entry::AttemptFailed { call, .. }
        | Entry::Settled { call, .. } => *call < first_gone,
        Entry::RollbackRegistered { call, .. } => *call < first_gone && !undone.contains(call),
        Entry::EventReceived { .. } => delivered.contains(&recorded.seq),
        Entry::Started { .. }
        | Entry::PauseRequested
        | Entry::Paused
        | Entry::Resumed
        | Entry::WorkerKilled
        | Entry::Diverged { .. }
        | Entry::RollbackStarted { .. }
        | Entry::RollbackAttemptStarted { .. }
        | Entry::RollbackAttemptFailed { .. }
        | Entry::RolledBack { .. }
        | Entry::RollbackEnded { .. }
        | Entry::Completed { .. }
        | Entry::Errored { .. }
        | Entry::Terminated { .. } => false,
    }
}

/// The remaining history as it grows.
#[derive(Default)]
struct Rest {
    kept: Vec<Remaining>,
    /// Old to new numbers of events.
    events: HashMap<u64, u64>,
    /// Where the entry stands that says when a waiting call is due.
    waiting: BTreeMap<CallId, usize>,
    paused_at: Option<Millis>,
}

impl Rest {
    fn keep(&mut self, recorded: &Recorded) {
        let seq = self.kept.len() as u64;
        let place = self.kept.len();
        let mut unchanged_from_seq = Some(recorded.seq);
        let mut entry = recorded.entry.clone();
        match &mut entry {
            Entry::EventReceived { .. } => drop(self.events.insert(recorded.seq, seq)),
            Entry::Settled { call, outcome } => {
                self.waiting.remove(call);
                if let Outcome::Event { seq } = outcome {
                    *seq = self.events.get(seq).copied().unwrap_or(*seq);
                    unchanged_from_seq = None;
                }
            }
            Entry::AttemptStarted { call, .. } | Entry::AttemptFailed { call, retry_at: None, .. } => {
                self.waiting.remove(call);
            }
            Entry::AttemptFailed { call, .. } => drop(self.waiting.insert(*call, place)),
            Entry::Begun { call, kind, .. } if !matches!(kind, StepKind::Do(_)) => {
                self.waiting.insert(*call, place);
            }
            _ => {}
        }
        self.kept.push(Remaining { recorded: Recorded { seq, at: recorded.at, entry }, unchanged_from_seq });
    }

    /// Moves what was due after the pause began by the time that it took.
    fn resume(&mut self, at: Millis) {
        let Some(paused_at) = self.paused_at.take() else { return };
        for place in self.waiting.values() {
            let Remaining { recorded, unchanged_from_seq } = &mut self.kept[*place];
            if let Some(due) = due_of(&mut recorded.entry).filter(|due| **due > paused_at) {
                *due += (at - paused_at).max(0);
                *unchanged_from_seq = None;
            }
        }
    }
}

fn due_of(entry: &mut Entry) -> Option<&mut Millis> {
    match entry {
        Entry::AttemptFailed { retry_at, .. } => retry_at.as_mut(),
        Entry::Begun { kind, .. } => match kind {
            StepKind::Sleep { until } | StepKind::SleepUntil { until } | StepKind::Wait { until, .. } => Some(until),
            StepKind::Do(_) => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{End, ErrorRecord, Payload, Retention, StepConfig};

    fn begun(call: u32, name: &str, kind: StepKind) -> Entry {
        Entry::Begun { call: CallId(call), parent: None, name: name.to_owned(), count: 1, kind, started: true }
    }

    fn did(call: u32, name: &str) -> Entry {
        let (name, value) = (name.to_owned(), Payload::from_json("1"));
        Entry::Did { call: CallId(call), parent: None, name, count: 1, config: None, value }
    }

    fn settled(call: u32, outcome: Outcome) -> Entry {
        Entry::Settled { call: CallId(call), outcome }
    }

    fn event(event_type: &str) -> Entry {
        Entry::EventReceived { event_type: event_type.to_owned(), payload: Payload::from_json("1") }
    }

    fn wait(until: Millis) -> StepKind {
        StepKind::Wait { event_type: "go".to_owned(), timeout_ms: 1_000, until }
    }

    /// A history with one entry for each second after its creation.
    fn history(entries: Vec<Entry>) -> Vec<Recorded> {
        let created =
            Entry::Created { params: Payload::UNDEFINED, trigger: "api".to_owned(), retention: Retention::default() };
        let all = std::iter::once(created).chain(entries).zip(0..);
        all.map(|(entry, seq)| Recorded { seq, at: seq as Millis * 1_000, entry }).collect()
    }

    fn from(kind: TargetKind, name: &str, count: u32) -> StepTarget {
        StepTarget { kind, name: name.to_owned(), count }
    }

    fn check(entries: Vec<Entry>, target: &StepTarget, expected: Vec<Entry>) {
        let kept = remaining(&history(entries), target, 100_000).expect("a step that began");
        assert!(kept.iter().zip(0..).all(|(one, seq)| one.recorded.seq == seq), "no gaps");
        let entries: Vec<Entry> = kept.into_iter().skip(1).map(|one| one.recorded.entry).collect();
        assert_eq!(entries, expected);
    }

    #[test]
    fn what_began_before_the_step_stays_and_the_rest_goes() {
        let entries = vec![
            Entry::Started { deployment: crate::DeploymentId(1) },
            did(0, "a"),
            did(1, "b"),
            did(2, "c"),
            Entry::Completed { output: Payload::UNDEFINED },
        ];
        check(entries, &from(TargetKind::Do, "b", 1), vec![did(0, "a")]);
    }

    #[test]
    fn a_result_that_came_later_stays_with_its_call() {
        let slow = begun(0, "slow", StepKind::Do(StepConfig::DEFAULT));
        let done = settled(0, Outcome::Done { attempt: 1, value: Payload::from_json("1") });
        check(vec![slow.clone(), did(1, "b"), done.clone()], &from(TargetKind::Do, "b", 1), vec![slow, done]);
    }

    #[test]
    fn a_handler_stays_with_its_step_unless_it_has_undone_it() {
        let registered = |call| Entry::RollbackRegistered { call: CallId(call), config: Box::new(StepConfig::DEFAULT) };
        let error = ErrorRecord::new("E", "m");
        let entries = vec![
            did(0, "a"),
            registered(0),
            did(1, "b"),
            registered(1),
            did(2, "c"),
            registered(2),
            Entry::RollbackStarted { cause: error.clone(), end: End::Errored(error.clone()) },
            Entry::RolledBack { call: CallId(2), attempt: 1 },
            Entry::RolledBack { call: CallId(1), attempt: 1 },
            Entry::RollbackEnded { error: Some(error) },
        ];
        check(entries, &from(TargetKind::Do, "c", 1), vec![did(0, "a"), registered(0), did(1, "b")]);
    }

    #[test]
    fn a_failed_step_before_stays_failed() {
        let entries = vec![
            begun(0, "a", StepKind::Do(StepConfig::DEFAULT)),
            Entry::AttemptFailed { call: CallId(0), attempt: 1, error: ErrorRecord::new("E", "m"), retry_at: None },
        ];
        let mut all = entries.clone();
        all.push(did(1, "b"));
        check(all, &from(TargetKind::Do, "b", 1), entries);
    }

    #[test]
    fn the_count_tells_uses_of_a_name_apart() {
        let target = from(TargetKind::Do, "a", 2);
        check(vec![did(0, "a"), did(1, "a"), did(2, "a")], &target, vec![did(0, "a")]);
        for (kind, name, count) in
            [(TargetKind::Do, "a", 0), (TargetKind::Do, "a", 2), (TargetKind::Sleep, "a", 1), (TargetKind::Do, "b", 1)]
        {
            let none = remaining(&history(vec![did(0, "a")]), &from(kind, name, count), 0);
            assert_eq!(none, None, "{kind:?} {name} {count}");
        }
    }

    #[test]
    fn only_events_that_a_remaining_wait_has_taken_stay() {
        let entries = vec![
            event("other"),
            event("go"),
            begun(0, "w", wait(50_000)),
            settled(0, Outcome::Event { seq: 2 }),
            event("go"),
            begun(1, "w", wait(50_000)),
            settled(1, Outcome::Event { seq: 5 }),
        ];
        let expected = vec![event("go"), begun(0, "w", wait(50_000)), settled(0, Outcome::Event { seq: 1 })];
        check(entries, &from(TargetKind::Wait, "w", 2), expected);
    }

    #[test]
    fn a_wait_that_goes_on_is_longer_by_the_pauses() {
        let sleep = |until| begun(0, "nap", StepKind::Sleep { until });
        let between = vec![sleep(50_000), Entry::Paused, Entry::Resumed, did(1, "b")];
        check(between, &from(TargetKind::Do, "b", 1), vec![sleep(51_000)]);
        let still_paused = vec![sleep(50_000), did(1, "b"), Entry::Paused];
        check(still_paused, &from(TargetKind::Do, "b", 1), vec![sleep(147_000)]);
    }

    #[test]
    fn entries_that_are_written_anew_are_told_from_those_that_only_move() {
        let entries = vec![
            Entry::Started { deployment: crate::DeploymentId(1) },
            event("go"),
            begun(0, "w", wait(50_000)),
            settled(0, Outcome::Event { seq: 2 }),
            did(1, "b"),
        ];
        let kept = remaining(&history(entries), &from(TargetKind::Do, "b", 1), 0).expect("a step that began");
        let origins: Vec<_> = kept.iter().map(|one| one.unchanged_from_seq).collect();
        assert_eq!(origins, [Some(0), Some(2), Some(3), None]);
    }
}
