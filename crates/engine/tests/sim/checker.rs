//! The promises: what must hold whatever fails. The first one broken ends the simulation.

use std::collections::BTreeMap;

use stepwell_engine::instance::{Settlement, Tell};
use stepwell_engine::{CallId, Entry, InstanceKey, Millis, Outcome, StepKind};

use super::store::{Row, Store};
use super::turn::Seen;

/// What has been observed, and the first broken promise.
#[derive(Debug, Default)]
pub struct Checker {
    pub broken: Option<String>,
    results: BTreeMap<(InstanceKey, CallId), String>,
    /// Callbacks of calls without retries: only their numbers are durable before user code runs.
    callbacks: BTreeMap<(InstanceKey, CallId), u32>,
    /// Handlers without retries.
    pub handlers: BTreeMap<(InstanceKey, CallId), u32>,
    /// Order in which the calls that no other call made were settled, as the longest run saw it.
    orders: BTreeMap<InstanceKey, Vec<CallId>>,
}

impl Checker {
    pub fn fail(&mut self, what: impl Into<String>) {
        self.broken.get_or_insert(what.into());
    }

    pub fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(what());
        }
    }

    /// The server says something to a run: it must be durable, and not early. `wall_max`: the latest time that the
    /// clock has shown.
    pub fn told(&mut self, store: &Store, key: InstanceKey, tell: &Tell, wall_max: Millis) {
        // An incarnation that is gone is told nothing that its code could notice.
        let Some(row) = store.rows.get(&key) else { return };
        let (call, settles) = match tell {
            Tell::Held(call) | Tell::Settle(call, _) => (*call, true),
            Tell::Attempt(call, _) => (*call, false),
            Tell::Undo { call, attempt, .. } => return self.told_to_undo(key, row, *call, *attempt, wall_max),
            _ => return,
        };
        let durable = !settles || row.is_settled(call);
        self.require(durable, || format!("{key} is told of call {call}, whose settlement is not durable"));
        let by_time = matches!(tell, Tell::Attempt(..) | Tell::Settle(_, Settlement::Slept));
        if let Some(at) = row.due_of(call).filter(|at| by_time && wall_max < *at) {
            self.fail(format!("the timer of call {call} of {key} is {} ms early", at - wall_max));
        }
    }

    /// User code did something. `position`: which of the settlements that this run saw it is.
    pub fn saw(&mut self, store: &Store, key: InstanceKey, seen: &Seen, position: Option<usize>) {
        match seen {
            Seen::CallbackStarted { call, attempt, at_most_once } => {
                let row = store.rows.get(&key);
                let settled = row.is_some_and(|row| row.has_result(*call));
                self.require(!settled, || {
                    format!("attempt {attempt} of call {call} of {key} starts although its result is recorded")
                });
                if *at_most_once {
                    let times = self.callbacks.entry((key, *call)).or_insert(0);
                    *times += 1;
                    let twice = *times > 1;
                    self.require(!twice, || format!("call {call} of {key} has no retries and runs twice"));
                    let durable = row.is_none_or(|row| row.attempts_started(*call));
                    self.require(durable, || format!("call {call} of {key} runs before its beginning is durable"));
                }
            }
            Seen::HandlerStarted { call, at_most_once, .. } => {
                self.saw_handler(key, store.rows.get(&key), *call, *at_most_once);
            }
            Seen::Resolved { call, value, nested } => {
                let first = self.results.entry((key, *call)).or_insert_with(|| value.clone()).clone();
                self.require(first == *value, || {
                    format!("call {call} of {key} gave {first} to one run and {value} to another")
                });
                if let (false, Some(position)) = (*nested, position) {
                    self.check_order(key, *call, position);
                }
            }
        }
    }

    fn check_order(&mut self, key: InstanceKey, call: CallId, position: usize) {
        let order = self.orders.entry(key).or_default();
        match order.get(position) {
            None => order.push(call),
            Some(first) if *first == call => {}
            Some(first) => {
                let text = format!("settlement {position} of {key} was call {first} in one run and {call} in another");
                self.fail(text);
            }
        }
    }

    /// A new incarnation takes the place of an old one: what remains of its calls is what they were.
    pub fn replaced(&mut self, old: (InstanceKey, &Row), new: (InstanceKey, &Row)) {
        for call in (0..new.1.calls()).map(CallId) {
            let (before, after) = (old.1.settlement(call), new.1.settlement(call));
            self.require(before.is_none() || before == after, || {
                format!("call {call} of {} settled with {before:?}, and with {after:?} in {}", old.0, new.0)
            });
            if let Some(value) = self.results.get(&(old.0, call)).cloned() {
                self.results.insert((new.0, call), value);
            }
            if let Some(times) = self.callbacks.get(&(old.0, call)).copied() {
                self.callbacks.insert((new.0, call), times);
            }
        }
    }

    /// The whole of a durable history is sound.
    pub fn history(&mut self, key: InstanceKey, row: &Row, is_rogue: bool) {
        self.check_events(key, row);
        let mut settled = BTreeMap::new();
        let mut ended = false;
        for recorded in &row.entries {
            self.require(!ended, || format!("{key} goes on after its end: {:?}", recorded.entry));
            match &recorded.entry {
                Entry::Did { call, .. }
                | Entry::Settled { call, .. }
                | Entry::AttemptFailed { call, retry_at: None, .. } => {
                    let before = settled.insert(*call, recorded.seq);
                    self.require(before.is_none(), || format!("call {call} of {key} is settled twice"));
                }
                Entry::WorkerKilled => {
                    self.require(is_rogue, || format!("{key} is charged for a worker that it did not kill"));
                }
                Entry::Completed { .. } | Entry::Errored { .. } | Entry::Terminated { .. } => ended = true,
                _ => {}
            }
        }
    }

    /// Events are delivered once, first in first out for each type, and never after the deadline of a wait.
    fn check_events(&mut self, key: InstanceKey, row: &Row) {
        let mut waiting: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut waits = BTreeMap::new();
        let mut paused = false;
        // What a restart carries over stands before it, without the pauses that moved deadlines.
        let mut started = false;
        for recorded in &row.entries {
            match &recorded.entry {
                Entry::Started { .. } => started = true,
                Entry::PauseRequested | Entry::Paused => paused = true,
                Entry::EventReceived { event_type, .. } => {
                    waiting.entry(event_type.clone()).or_default().push(recorded.seq);
                }
                Entry::Begun { call, kind: StepKind::Wait { event_type, until, .. }, .. } => {
                    waits.insert(*call, (event_type.clone(), *until));
                }
                Entry::Settled { call, outcome: Outcome::Event { seq } } => {
                    let Some((event_type, until)) = waits.get(call).cloned() else {
                        return self.fail(format!("call {call} of {key} gets an event and waits for none"));
                    };
                    let queue = waiting.entry(event_type).or_default();
                    let first = (!queue.is_empty()).then(|| queue.remove(0));
                    self.require(first == Some(*seq), || format!("{key} gets event {seq} when {first:?} was first"));
                    let late = started && !paused && recorded.at > until;
                    self.require(!late, || format!("call {call} of {key} gets an event after its deadline"));
                }
                _ => {}
            }
        }
    }
}
