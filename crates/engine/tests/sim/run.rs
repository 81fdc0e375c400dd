//! One run in a simulated worker: executes a program as the shim executes user code, with history settled one call at
//! a time in recorded order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use stepwell_engine::instance::{Report, Settlement, Tell};
use stepwell_engine::{CallId, ErrorRecord, InstanceKey, Millis, Payload, Recorded, RunId, StreamId};

use super::code::{Code, Open};
use super::course::{Task, advance};
use super::mutant::Mutant;
use super::program::{Body, Program, Step};
use super::store::Row;
use super::turn::{Poison, Turn};
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

#[derive(Debug)]
struct Attempt {
    call: CallId,
    number: u32,
    step: Rc<Step>,
    started_at: i64,
    ends_at: Option<i64>,
    stream: Option<StreamId>,
    nested: Task,
}

/// A live run.
#[derive(Debug)]
pub struct Run {
    pub key: InstanceKey,
    program: Rc<Program>,
    root: Task,
    code: Code,
    attempts: Vec<Attempt>,
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
            streams: Vec::new(),
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

    /// It executes a callback whose attempt cannot have timed out: one that started late may have, as its row knows. A
    /// rollback gives up the callbacks of steps that still run, as a termination does: they cannot be stopped.
    pub fn is_executing(&self, now: i64, row: &Row) -> bool {
        let lasts = |attempt: &Attempt| {
            attempt.started_at.saturating_add_unsigned(attempt.step.config.timeout_ms) > now
                && !row.is_settled(attempt.call)
                && !row.has_failed(attempt.call, attempt.number)
        };
        let is_forward = self.code.handlers.phase == Phase::Forward;
        (is_forward && self.attempts.iter().any(lasts)) || self.code.handlers.is_executing(now)
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

    /// An attempt gets the stream that it asked for, and writes it; or none, with which it fails.
    pub fn hear_of_stream(&mut self, now: i64, call: CallId, number: u32, stream: Option<StreamId>) {
        let asked = |attempt: &&mut Attempt| (attempt.call, attempt.number) == (call, number);
        if let Some(attempt) = self.attempts.iter_mut().find(asked) {
            let takes_ms = if let Body::Takes(ms) = attempt.step.body { ms } else { 0 };
            attempt.stream = stream;
            attempt.ends_at = Some(now + takes_ms);
        }
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
        // One that ends during a replay is heard of when that is over.
        let ends = self.attempts.iter().filter_map(|attempt| attempt.ends_at.filter(|at| *at > self.code.now));
        let handlers = self.code.handlers.wake_at();
        let wake_at = ends.chain(self.code.timers.first().copied()).chain(handlers).min();
        let poison = self.code.poison.take();
        let mut reports = std::mem::take(&mut self.code.out);
        if poison.is_some() && !self.code.careful {
            // What a turn says leaves only when it ends.
            reports.clear();
        }
        Turn {
            reports,
            seen: std::mem::take(&mut self.code.seen),
            streams: std::mem::take(&mut self.code.streams),
            poison,
            ended: done && poison.is_none(),
            wake_at,
        }
    }

    fn start_attempts(&mut self) -> bool {
        let starts = std::mem::take(&mut self.code.to_start);
        let any = !starts.is_empty();
        for (call, number) in starts {
            let Some(Open { step: Some(step), .. }) = self.code.open.get(&call) else { continue };
            let step = Rc::clone(step);
            let ends_at = match &step.body {
                _ if step.streams => {
                    self.code.streams.push((call, number));
                    None
                }
                Body::Instant => Some(self.code.now),
                Body::Takes(ms) => Some(self.code.now + ms),
                Body::Nested(_) | Body::Never => None,
                Body::KillsWorker | Body::HangsWorker => {
                    let kills = matches!(step.body, Body::KillsWorker);
                    self.code.poison = Some(if kills { Poison::Kill } else { Poison::Hang });
                    None
                }
            };
            let started_at = self.code.now;
            self.attempts.push(Attempt { call, number, step, started_at, ends_at, stream: None, nested: Task::Idle });
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
            self.code.attempt_ended(attempt.call, attempt.number, &attempt.step, attempt.stream);
        }
        !ended.is_empty()
    }
}
