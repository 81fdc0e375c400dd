//! One run in a simulated worker: executes a program as the shim executes user code, with history settled one call at
//! a time in recorded order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use stepwell_engine::instance::{BeginKind, Report, Settlement, Tell};
use stepwell_engine::{CallId, Entry, ErrorRecord, InstanceKey, Millis, Outcome, Payload, Recorded, RunId, StepConfig};

use super::mutant::Mutant;
use super::program::{Body, Node, Program, Step};
use super::store::Row;
use super::turn::{Poison, Seen, Turn};
use super::undo::{Handlers, Phase};

/// What a run is started with.
#[derive(Debug, Clone)]
pub struct Beginning {
    pub run: RunId,
    pub key: InstanceKey,
    pub created_at: Millis,
    pub program: Rc<Program>,
    pub calls: u32,
    pub grants: Vec<(CallId, u32)>,
    pub careful: bool,
    pub rolls_back: bool,
    pub mutant: Option<Mutant>,
    pub history: Vec<Recorded>,
}

#[derive(Debug, Default)]
enum Task {
    #[default]
    Idle,
    Call(CallId),
    Timer(i64),
    Parts(Vec<Task>),
}

/// An open call of this run.
#[derive(Debug)]
struct Open {
    step: Option<Rc<Step>>,
    attempt: u32,
    result: Option<String>,
    parent: Option<CallId>,
}

#[derive(Debug)]
struct Attempt {
    call: CallId,
    number: u32,
    step: Rc<Step>,
    started_at: i64,
    ends_at: Option<i64>,
    nested: Task,
}

#[derive(Debug)]
struct Past {
    call: CallId,
    parent: Option<CallId>,
    has_handler: bool,
}

type Identity = (&'static str, String, u32);

/// A live run.
#[derive(Debug)]
pub struct Run {
    pub key: InstanceKey,
    program: Rc<Program>,
    root: Task,
    code: Code,
    attempts: Vec<Attempt>,
}

/// What the calls of a run share.
#[derive(Debug)]
struct Code {
    now: i64,
    created_at: Millis,
    careful: bool,
    stopped: bool,
    quiescing: Option<u32>,
    next_call: u32,
    counts: BTreeMap<(&'static str, String), u32>,
    past: BTreeMap<Identity, Past>,
    settled: BTreeSet<CallId>,
    queue: VecDeque<(CallId, String)>,
    loose: BTreeMap<CallId, String>,
    open: BTreeMap<CallId, Open>,
    resolved: BTreeSet<CallId>,
    asked: BTreeMap<CallId, u32>,
    held: Vec<(CallId, u32)>,
    to_start: Vec<(CallId, u32)>,
    timers: BTreeSet<i64>,
    handlers: Handlers,
    mutant: Option<Mutant>,
    out: Vec<Report>,
    seen: Vec<Seen>,
    poison: Option<Poison>,
    nonce: u64,
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

impl Run {
    pub fn new(beginning: Beginning, now: i64) -> Self {
        let Beginning { run, key, created_at, program, calls, grants, careful, rolls_back, mutant, history } =
            beginning;
        let mut code = Code {
            now,
            created_at,
            careful,
            stopped: false,
            quiescing: None,
            next_call: calls,
            counts: BTreeMap::new(),
            past: BTreeMap::new(),
            settled: BTreeSet::new(),
            queue: VecDeque::new(),
            loose: BTreeMap::new(),
            open: BTreeMap::new(),
            resolved: BTreeSet::new(),
            asked: grants.into_iter().collect(),
            held: Vec::new(),
            to_start: Vec::new(),
            timers: BTreeSet::new(),
            handlers: Handlers::new(rolls_back),
            mutant,
            out: Vec::new(),
            seen: Vec::new(),
            poison: None,
            nonce: run.0.wrapping_mul(1_000_003).wrapping_add(key.0 << 40),
        };
        code.recall(&history);
        Self { key, program, root: Task::Idle, code, attempts: Vec::new() }
    }

    /// It never does two things at once.
    pub fn is_sequential(&self) -> bool {
        self.program.root.is_sequential()
    }

    /// It executes a callback whose attempt cannot have timed out: one that started late may have, as its row knows.
    pub fn is_executing(&self, now: i64, row: &Row) -> bool {
        let lasts = |attempt: &Attempt| {
            attempt.started_at.saturating_add_unsigned(attempt.step.config.timeout_ms) > now
                && !row.is_settled(attempt.call)
                && !row.has_failed(attempt.call, attempt.number)
        };
        self.attempts.iter().any(lasts) || self.code.handlers.is_executing(now)
    }

    /// Takes a message; `true` where the run is gone, which has been said.
    pub fn hear(&mut self, tell: Tell) -> bool {
        let code = &mut self.code;
        match tell {
            Tell::Held(call) => {
                let value = code.open.get(&call).and_then(|open| open.result.clone());
                code.queue.push_back((call, value.unwrap_or_else(|| "a result that nobody holds".to_owned())));
            }
            Tell::Settle(call, settlement) => {
                let value = match settlement {
                    Settlement::Slept => "slept".to_owned(),
                    Settlement::Event { payload, .. } => {
                        payload.and_then(|payload| payload.json).as_deref().unwrap_or_default().to_owned()
                    }
                    Settlement::Error(error) => format!("error {}", error.name),
                };
                code.queue.push_back((call, value));
            }
            Tell::Attempt(call, attempt) => code.ask(call, attempt),
            Tell::RollBack => code.handlers.roll_back(&mut code.out),
            Tell::Undo { call, attempt, .. } => {
                let first = code.handlers.registered.keys().next().copied();
                let call = first.filter(|_| code.mutant == Some(Mutant::RollbackOrder)).unwrap_or(call);
                code.handlers.ask(call, attempt);
            }
            Tell::Stop(stop) => {
                code.stopped = true;
                code.quiescing = Some(stop);
            }
            Tell::Go => {
                code.stopped = false;
                code.quiescing = None;
                for (call, attempt) in std::mem::take(&mut code.held) {
                    code.ask(call, attempt);
                }
            }
            Tell::Forget { force } => {
                let closed = code.handlers.phase != Phase::Forward;
                let busy = if closed { code.handlers.is_busy() } else { !code.queue.is_empty() };
                if !force && (!code.timers.is_empty() || busy) {
                    code.out.push(Report::Busy);
                } else {
                    code.out.push(Report::Forgotten);
                    return true;
                }
            }
        }
        false
    }

    /// Lets the code go on as far as it can.
    pub fn turn(&mut self, now: i64) -> Turn {
        self.code.now = now;
        let now_passed = |at: &i64| *at <= now;
        self.code.timers.retain(|at| !now_passed(at));
        match self.code.handlers.phase {
            Phase::Forward => self.turn_forward(),
            Phase::Replay => self.turn_replay(),
            Phase::Undoing => self.turn_undoing(),
        }
    }

    /// Replays the code for its handlers: settles what is recorded, then, as long as handlers are missing, what was open.
    fn turn_replay(&mut self) -> Turn {
        let program = Rc::clone(&self.program);
        loop {
            let done = advance(&program.root, &mut self.root, None, &mut self.code);
            self.code.to_start.clear();
            if done || (!self.code.settle_next() && !self.code.settle_open()) {
                if done || self.code.timers.is_empty() || self.code.has_all_handlers() {
                    self.code.handlers.ready(&mut self.code.out);
                }
                break;
            }
        }
        self.finish_turn(false)
    }

    fn turn_undoing(&mut self) -> Turn {
        loop {
            let code = &mut self.code;
            let (moved, poison) = code.handlers.advance(code.now, &mut code.out, &mut code.seen);
            code.poison = code.poison.or(poison);
            if !moved || code.poison.is_some() {
                break;
            }
        }
        // Callbacks that were running go on.
        self.attempts.retain(|attempt| !matches!(attempt.step.body, Body::Nested(_)));
        self.end_attempts();
        self.finish_turn(false)
    }

    fn turn_forward(&mut self) -> Turn {
        let program = Rc::clone(&self.program);
        let mut done;
        loop {
            done = advance(&program.root, &mut self.root, None, &mut self.code);
            let moved = self.start_attempts() | self.end_attempts() | self.code.settle_next();
            if done || self.code.poison.is_some() || (!moved && self.code.to_start.is_empty()) {
                break;
            }
        }
        if done && self.code.poison.is_none() {
            let error = ErrorRecord::new("Error", "thrown by run()");
            if program.throws && self.code.handlers.begin(&error, &mut self.code.out) {
                return self.finish_turn(false);
            }
            self.code.out.push(if program.throws {
                Report::Threw(error)
            } else {
                Report::Completed(Payload::from_json("\"done\""))
            });
        } else if let Some(stop) = self.code.quiescing.filter(|_| self.attempts.is_empty()) {
            self.code.quiescing = None;
            self.code.out.push(Report::Quiesced(stop));
        }
        self.finish_turn(done)
    }

    fn finish_turn(&mut self, done: bool) -> Turn {
        let ends = self.attempts.iter().filter_map(|attempt| attempt.ends_at);
        let handlers = self.code.handlers.wake_at();
        let wake_at = ends.chain(self.code.timers.first().copied()).chain(handlers).min();
        let poison = self.code.poison.take();
        let mut reports = std::mem::take(&mut self.code.out);
        if poison.is_some() && !self.code.careful {
            // What a turn says leaves only when it ends.
            reports.clear();
        }
        Turn { reports, seen: std::mem::take(&mut self.code.seen), poison, ended: done && poison.is_none(), wake_at }
    }

    fn start_attempts(&mut self) -> bool {
        let starts = std::mem::take(&mut self.code.to_start);
        let any = !starts.is_empty();
        for (call, number) in starts {
            let Some(Open { step: Some(step), .. }) = self.code.open.get(&call) else { continue };
            let step = Rc::clone(step);
            let ends_at = match &step.body {
                Body::Instant => Some(self.code.now),
                Body::Takes(ms) => Some(self.code.now + ms),
                Body::Nested(_) | Body::Never => None,
                Body::KillsWorker | Body::HangsWorker => {
                    let kills = matches!(step.body, Body::KillsWorker);
                    self.code.poison = Some(if kills { Poison::Kill } else { Poison::Hang });
                    None
                }
            };
            self.attempts.push(Attempt { call, number, step, started_at: self.code.now, ends_at, nested: Task::Idle });
        }
        any
    }

    fn end_attempts(&mut self) -> bool {
        let mut ended = Vec::new();
        for (index, attempt) in self.attempts.iter_mut().enumerate() {
            let over = match &attempt.step.body {
                Body::Nested(node) => advance(node, &mut attempt.nested, Some(attempt.call), &mut self.code),
                _ => attempt.ends_at.is_some_and(|at| at <= self.code.now),
            };
            if over {
                ended.push(index);
            }
        }
        for index in ended.iter().rev() {
            let attempt = self.attempts.remove(*index);
            self.code.attempt_ended(attempt.call, attempt.number, &attempt.step);
        }
        !ended.is_empty()
    }
}

impl Code {
    fn recall(&mut self, history: &[Recorded]) {
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

    fn make(
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
            Some(step) if matches!(step.body, Body::Instant) && step.fails == 0 => {
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
    fn start(&mut self, call: CallId, attempt: u32, step: &Step) -> String {
        let open = self.open.get_mut(&call).expect("an open call");
        open.attempt = attempt;
        open.result = None;
        self.nonce += 1;
        self.seen.push(Seen::CallbackStarted { call, attempt, at_most_once: step.config.is_at_most_once() });
        format!("\"{}-{}\"", step.name, self.nonce)
    }

    fn ask(&mut self, call: CallId, attempt: u32) {
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

    fn attempt_ended(&mut self, call: CallId, attempt: u32, step: &Step) {
        let Some(open) = self.open.get_mut(&call).filter(|open| open.attempt == attempt) else { return };
        if attempt <= step.fails {
            let error = ErrorRecord::new("Error", format!("attempt {attempt} of {}", step.name));
            open.result = Some("error Error".to_owned());
            self.out.push(Report::Failed { call, attempt, error, severity: step.severity.clone(), delay_ms: None });
            return;
        }
        self.nonce += 1;
        let value = format!("\"{}-{}\"", step.name, self.nonce);
        open.result = Some(value.clone());
        self.out.push(Report::Succeeded { call, attempt, value: Payload::from_json(value) });
    }

    /// Settles the next call in recorded order, if it has been made.
    fn settle_next(&mut self) -> bool {
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

    fn has_all_handlers(&self) -> bool {
        !self.past.values().any(|past| past.has_handler)
    }

    /// In a replay that has come to the end of what is recorded: a call that was open gives nothing.
    fn settle_open(&mut self) -> bool {
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

/// Executes a node as far as it goes; `true` where it is done.
fn advance(node: &Node, task: &mut Task, parent: Option<CallId>, code: &mut Code) -> bool {
    if code.poison.is_some() {
        return false;
    }
    match node {
        Node::Seq(parts) => {
            let tasks = parts_of(task);
            for (index, part) in parts.iter().enumerate() {
                if tasks.len() == index {
                    tasks.push(Task::Idle);
                }
                if !advance(part, &mut tasks[index], parent, code) {
                    return false;
                }
            }
            true
        }
        Node::All(parts) => advance_each(parts, task, parent, code) == parts.len(),
        Node::Race(parts) => advance_each(parts, task, parent, code) > 0,
        Node::Timer { ms } => {
            if let Task::Idle = task {
                let at = code.now + ms;
                code.timers.insert(at);
                *task = Task::Timer(at);
            }
            matches!(task, Task::Timer(at) if *at <= code.now)
        }
        _ => advance_call(node, task, parent, code),
    }
}

fn advance_call(node: &Node, task: &mut Task, parent: Option<CallId>, code: &mut Code) -> bool {
    if let Task::Call(call) = task {
        return code.resolved.contains(call);
    }
    let created_at = code.created_at;
    let call = match node {
        Node::Do(step) => code.make("do", &step.name, parent, BeginKind::Do(step.config.clone()), Some(step)),
        Node::Sleep { name, ms } => code.make("sleep", name, parent, BeginKind::Sleep { ms: *ms }, None),
        Node::SleepUntil { name, after_ms } => {
            code.make("sleep_until", name, parent, BeginKind::SleepUntil { at: created_at + after_ms }, None)
        }
        Node::Wait { name, event_type, timeout_ms } => {
            let kind = BeginKind::Wait { event_type: (*event_type).to_owned(), timeout_ms: *timeout_ms };
            code.make("wait", name, parent, kind, None)
        }
        _ => unreachable!("a leaf"),
    };
    *task = Task::Call(call);
    false
}

fn parts_of(task: &mut Task) -> &mut Vec<Task> {
    if let Task::Idle = task {
        *task = Task::Parts(Vec::new());
    }
    match task {
        Task::Parts(parts) => parts,
        _ => unreachable!("a branch"),
    }
}

fn advance_each(parts: &[Node], task: &mut Task, parent: Option<CallId>, code: &mut Code) -> usize {
    let tasks = parts_of(task);
    tasks.resize_with(parts.len(), Task::default);
    parts.iter().zip(tasks).filter_map(|(part, task)| advance(part, task, parent, code).then_some(())).count()
}
