//! What the calls of a simulated run share: what its history says of them, which are open, and what is to be said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use stepwell_engine::instance::{BeginKind, Report};
use stepwell_engine::{
    CallId, Entry, ErrorRecord, Millis, Outcome, Payload, Recorded, StepConfig, StreamId, StreamRef,
};

use super::mutant::Mutant;
use super::program::{Body, Step};
use super::turn::{Poison, Seen};
use super::undo::{Handlers, Phase};

/// An open call of this run.
#[derive(Debug)]
pub struct Open {
    pub step: Option<Rc<Step>>,
    pub attempt: u32,
    pub result: Option<String>,
    pub parent: Option<CallId>,
}

#[derive(Debug)]
pub struct Past {
    pub call: CallId,
    pub parent: Option<CallId>,
    pub has_handler: bool,
}

pub type Identity = (&'static str, String, u32);

/// What the calls of a run share.
#[derive(Debug)]
pub struct Code {
    pub now: i64,
    pub created_at: Millis,
    pub careful: bool,
    pub stopped: bool,
    pub quiescing: Option<u32>,
    pub next_call: u32,
    pub counts: BTreeMap<(&'static str, String), u32>,
    pub past: BTreeMap<Identity, Past>,
    pub settled: BTreeSet<CallId>,
    pub queue: VecDeque<(CallId, String)>,
    pub loose: BTreeMap<CallId, String>,
    pub open: BTreeMap<CallId, Open>,
    pub resolved: BTreeSet<CallId>,
    pub asked: BTreeMap<CallId, u32>,
    pub held: Vec<(CallId, u32)>,
    pub to_start: Vec<(CallId, u32)>,
    pub timers: BTreeSet<i64>,
    pub handlers: Handlers,
    pub mutant: Option<Mutant>,
    pub out: Vec<Report>,
    pub seen: Vec<Seen>,
    pub streams: Vec<(CallId, u32)>,
    pub poison: Option<Poison>,
    pub nonce: u64,
}

impl Code {
    pub fn recall(&mut self, history: &[Recorded]) {
        for recorded in history {
            match &recorded.entry {
                Entry::Begun { call, parent, name, count, kind, .. } => {
                    let past = Past { call: *call, parent: *parent, has_handler: false };
                    self.past.insert((kind.word(), name.clone(), *count), past);
                }
                Entry::RollbackRegistered { call: of, .. } => {
                    let registered = self.past.values_mut().filter(|past| past.call == *of);
                    registered.for_each(|past| past.has_handler = true);
                }
                Entry::Did { call, parent, name, count, value, .. } => {
                    let past = Past { call: *call, parent: *parent, has_handler: false };
                    self.past.insert(("do", name.clone(), *count), past);
                    self.recall_settled(*call, value.json.as_deref().unwrap_or_default().to_owned());
                }
                Entry::Settled { call, outcome } => self.recall_settled(*call, outcome_text(outcome, history)),
                Entry::AttemptFailed { call, error, retry_at: None, .. } => {
                    self.recall_settled(*call, format!("error {}", error.name));
                }
                _ => {}
            }
        }
    }

    fn recall_settled(&mut self, call: CallId, value: String) {
        self.settled.insert(call);
        self.queue.push_back((call, value));
    }

    pub fn make(
        &mut self,
        kind: &'static str,
        name: &str,
        parent: Option<CallId>,
        begin: BeginKind,
        step: Option<&Rc<Step>>,
    ) -> CallId {
        let count = self.counts.entry((kind, name.to_owned())).or_insert(0);
        *count += 1;
        let count = *count;
        let past = self.past.remove(&(kind, name.to_owned(), count));
        let call = past.as_ref().map_or(CallId(self.next_call), |past| past.call);
        let parent = past.as_ref().map_or(parent, |past| past.parent);
        self.open.insert(call, Open { step: step.cloned(), attempt: 0, result: None, parent });
        let undo = step.and_then(|step| step.undo.clone());
        if let Some(undo) = undo.clone().filter(|_| past.as_ref().is_none_or(|past| past.has_handler)) {
            let lost = self.mutant == Some(Mutant::LostHandler) && self.handlers.phase == Phase::Replay;
            if !lost || !self.handlers.registered.is_empty() {
                self.handlers.registered.insert(call, undo);
            }
        }
        if past.is_some() {
            if let Some(attempt) = self.asked.remove(&call).filter(|_| !self.settled.contains(&call)) {
                self.ask(call, attempt);
            }
            return call;
        }
        self.next_call += 1;
        if self.handlers.phase == Phase::Replay {
            return call;
        }
        let name = name.to_owned();
        let optimistic = step.filter(|step| !self.stopped && !self.careful && !step.config.is_at_most_once());
        match optimistic {
            Some(step) if matches!(step.body, Body::Instant) && step.fails == 0 && !step.streams => {
                let value = self.start(call, 1, step);
                self.out.push(Report::Did {
                    call,
                    parent,
                    name,
                    count,
                    config: config_of(step),
                    value: Payload::from_json(value.as_str()),
                });
                self.open.get_mut(&call).expect("just made").result = Some(value);
            }
            Some(step) => {
                self.out.push(Report::Begin { call, parent, name, count, kind: begin, started: true });
                self.start(call, 1, step);
                self.to_start.push((call, 1));
            }
            None => self.out.push(Report::Begin { call, parent, name, count, kind: begin, started: false }),
        }
        if let Some(undo) = undo.filter(|_| self.mutant != Some(Mutant::UnrecordedHandler) || call.0.is_multiple_of(2))
        {
            self.out.push(Report::RollbackRegistered { call, config: Box::new(undo.config.clone()) });
        }
        call
    }

    /// An attempt's callback starts; the value that it would return.
    pub fn start(&mut self, call: CallId, attempt: u32, step: &Step) -> String {
        let open = self.open.get_mut(&call).expect("an open call");
        open.attempt = attempt;
        open.result = None;
        self.nonce += 1;
        self.seen.push(Seen::CallbackStarted { call, attempt, at_most_once: step.config.is_at_most_once() });
        format!("\"{}-{}\"", step.name, self.nonce)
    }

    pub fn ask(&mut self, call: CallId, attempt: u32) {
        let Some(open) = self.open.get(&call) else {
            self.asked.insert(call, attempt);
            return;
        };
        if self.stopped {
            self.held.push((call, attempt));
        } else if attempt > open.attempt
            && let Some(step) = open.step.clone()
        {
            self.out.push(Report::Started { call, attempt });
            self.start(call, attempt, &step);
            self.to_start.push((call, attempt));
        }
    }

    /// `stream`: what the attempt has written, where its result is a stream.
    pub fn attempt_ended(&mut self, call: CallId, attempt: u32, step: &Step, stream: Option<StreamId>) {
        let Some(open) = self.open.get_mut(&call).filter(|open| open.attempt == attempt) else { return };
        if attempt <= step.fails || step.streams != stream.is_some() {
            let error = ErrorRecord::new("Error", format!("attempt {attempt} of {}", step.name));
            open.result = Some("error Error".to_owned());
            self.out.push(Report::Failed { call, attempt, error, severity: step.severity.clone(), delay_ms: None });
            return;
        }
        self.nonce += 1;
        let value = format!("\"{}-{}\"", step.name, self.nonce);
        open.result = Some(value.clone());
        let value = Payload::from_json(value);
        self.out.push(match stream {
            Some(id) => {
                let stream = StreamRef { id, chunks: 1, bytes: 9 };
                Report::Streamed { call, attempt, stream, preview: value }
            }
            None => Report::Succeeded { call, attempt, value },
        });
    }

    /// Settles the next call in recorded order, if it has been made.
    pub fn settle_next(&mut self) -> bool {
        if let Some(call) = self.loose.keys().copied().find(|call| self.open.contains_key(call)) {
            let value = self.loose.remove(&call).expect("just found");
            self.resolve(call, value);
            return true;
        }
        let Some((call, _)) = self.queue.front() else { return false };
        let call = *call;
        if self.open.contains_key(&call) {
            let (_, value) = self.queue.pop_front().expect("just seen");
            self.resolve(call, value);
            return true;
        }
        let nested = self.past.values().any(|past| past.call == call && past.parent.is_some());
        if nested || self.resolved.contains(&call) {
            let (_, value) = self.queue.pop_front().expect("just seen");
            if nested {
                self.loose.insert(call, value);
            }
            return true;
        }
        false
    }

    pub fn has_all_handlers(&self) -> bool {
        !self.past.values().any(|past| past.has_handler)
    }

    /// In a replay that has come to the end of what is recorded: a call that was open gives nothing.
    pub fn settle_open(&mut self) -> bool {
        let blocked = !self.queue.is_empty();
        let Some(call) = self.open.keys().next().copied().filter(|_| !blocked && !self.has_all_handlers()) else {
            return false;
        };
        self.open.remove(&call);
        self.resolved.insert(call);
        true
    }

    fn resolve(&mut self, call: CallId, value: String) {
        let nested = self.open.remove(&call).is_some_and(|open| open.parent.is_some());
        self.resolved.insert(call);
        self.seen.push(Seen::Resolved { call, value, nested });
    }
}

fn config_of(step: &Step) -> Option<Box<StepConfig>> {
    (step.config != StepConfig::DEFAULT).then(|| Box::new(step.config.clone()))
}

fn outcome_text(outcome: &Outcome, history: &[Recorded]) -> String {
    match outcome {
        Outcome::Done { value, .. } => value.json.as_deref().unwrap_or_default().to_owned(),
        Outcome::Streamed { preview, .. } => preview.json.as_deref().unwrap_or_default().to_owned(),
        Outcome::Slept => "slept".to_owned(),
        Outcome::Event { seq } => match history.iter().find(|recorded| recorded.seq == *seq).map(|one| &one.entry) {
            Some(Entry::EventReceived { payload, .. }) => payload.json.as_deref().unwrap_or_default().to_owned(),
            _ => "an event that is not there".to_owned(),
        },
        Outcome::TimedOut => "error WorkflowTimeoutError".to_owned(),
        Outcome::Lost(error) => format!("error {}", error.name),
    }
}
