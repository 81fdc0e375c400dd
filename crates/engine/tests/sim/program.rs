//! What the simulated user code does: small trees of steps, drawn from a seed. Their course does not depend on values,
//! so that every replay makes the same calls.

use std::rc::Rc;

use stepwell_engine::instance::Severity;
use stepwell_engine::{Backoff, ErrorRecord, RetryLimit, StepConfig};

use super::rng::Rng;

/// Types of events that programs wait for and users send.
pub const EVENT_TYPES: [&str; 2] = ["paid", "shipped"];

/// A piece of user code.
#[derive(Debug)]
pub enum Node {
    /// One after the other.
    Seq(Vec<Node>),
    /// At the same time, until all are done.
    All(Vec<Node>),
    /// At the same time, until one is done; the others go on beside what follows.
    Race(Vec<Node>),
    Do(Rc<Step>),
    Sleep {
        name: String,
        ms: u64,
    },
    /// Until so long after the creation.
    SleepUntil {
        name: String,
        after_ms: i64,
    },
    Wait {
        name: String,
        event_type: &'static str,
        timeout_ms: u64,
    },
    /// A timer of the user's own, which nothing records.
    Timer {
        ms: i64,
    },
}

impl Node {
    /// It never does two things at once.
    pub fn is_sequential(&self) -> bool {
        match self {
            Self::All(_) | Self::Race(_) => false,
            Self::Seq(parts) => parts.iter().all(Self::is_sequential),
            Self::Do(step) => !matches!(step.body, Body::Nested(_)),
            _ => true,
        }
    }
}

impl Node {
    /// It waits by itself somewhere, so that another run may be further elsewhere by then.
    pub fn has_timer(&self) -> bool {
        match self {
            Self::Seq(parts) | Self::All(parts) | Self::Race(parts) => parts.iter().any(Self::has_timer),
            Self::Do(step) => matches!(&step.body, Body::Nested(node) if node.has_timer()),
            Self::Timer { .. } => true,
            _ => false,
        }
    }

    fn step(&self, name: &str) -> Option<&Step> {
        match self {
            Self::Seq(parts) | Self::All(parts) | Self::Race(parts) => parts.iter().find_map(|part| part.step(name)),
            Self::Do(step) if step.name == name => Some(step),
            Self::Do(step) => match &step.body {
                Body::Nested(node) => node.step(name),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A `step.do`.
#[derive(Debug)]
pub struct Step {
    pub name: String,
    pub config: StepConfig,
    /// Attempts that fail before one succeeds.
    pub fails: u32,
    pub severity: Severity,
    pub body: Body,
    /// Its result is a stream.
    pub streams: bool,
    /// Its rollback handler.
    pub undo: Option<Rc<Undo>>,
}

/// A rollback handler.
#[derive(Debug)]
pub struct Undo {
    pub config: StepConfig,
    /// Attempts that fail before one succeeds.
    pub fails: u32,
    pub severity: Severity,
    pub body: UndoBody,
}

/// What a handler does.
#[derive(Debug, Clone, Copy)]
pub enum UndoBody {
    Instant,
    Takes(i64),
    Never,
    KillsWorker,
}

/// What the callback does.
#[derive(Debug)]
pub enum Body {
    Instant,
    Takes(i64),
    Nested(Node),
    Never,
    KillsWorker,
    HangsWorker,
}

/// The code of one instance.
#[derive(Debug)]
pub struct Program {
    pub root: Node,
    pub throws: bool,
    /// It brings its worker down.
    pub is_rogue: bool,
}

impl Program {
    /// Whether the steps of this name have a rollback handler.
    pub fn has_handler(&self, name: &str) -> bool {
        self.root.step(name).is_some_and(|step| step.undo.is_some())
    }
}

/// Draws programs.
pub struct Author<'a> {
    pub rng: &'a mut Rng,
    names: u32,
    rogue: bool,
    /// Within how many callbacks: only a run that is live has the handlers of nested steps.
    nesting: u32,
}

impl<'a> Author<'a> {
    pub fn new(rng: &'a mut Rng) -> Self {
        Self { rng, names: 0, rogue: false, nesting: 0 }
    }

    pub fn program(mut self) -> Rc<Program> {
        let mut parts = vec![self.node(3)];
        for _ in 0..self.rng.below(4) {
            parts.push(self.node(2));
        }
        if self.rng.chance(3) {
            self.rogue = true;
            let body = match self.rng.below(3) {
                0 => Body::KillsWorker,
                1 => Body::HangsWorker,
                _ => Body::Instant,
            };
            let step = self.step(body);
            parts.push(Node::Do(step));
        }
        let throws = self.rng.chance(30);
        Rc::new(Program { root: Node::Seq(parts), throws, is_rogue: self.rogue })
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("s{}", self.names)
    }

    fn node(&mut self, depth: u32) -> Node {
        match self.rng.below(if depth == 0 { 10 } else { 15 }) {
            0..=4 => {
                let body = self.body(depth);
                Node::Do(self.step(body))
            }
            5 | 6 => Node::Sleep { name: self.name(), ms: *self.rng.pick(&[0, 5, 300, 2_000, 7_000, 40_000, 200_000]) },
            7 => Node::SleepUntil { name: self.name(), after_ms: self.rng.between(-1_000, 60_000) },
            8 => {
                let event_type = self.rng.pick(&EVENT_TYPES);
                Node::Wait { name: self.name(), event_type, timeout_ms: *self.rng.pick(&[1_000, 8_000, 90_000]) }
            }
            9 if self.rng.chance(30) => Node::Timer { ms: self.rng.between(1, 9_000) },
            9 => self.repeated(),
            10 | 11 => Node::All(self.nodes(depth)),
            12 => Node::Race(self.nodes(depth)),
            _ => Node::Seq(self.nodes(depth)),
        }
    }

    fn nodes(&mut self, depth: u32) -> Vec<Node> {
        let count = self.rng.between(2, 4);
        (0..count).map(|_| self.node(depth - 1)).collect()
    }

    /// One step used several times, as in a loop.
    fn repeated(&mut self) -> Node {
        let step = self.step(Body::Instant);
        Node::Seq((0..self.rng.between(2, 6)).map(|_| Node::Do(Rc::clone(&step))).collect())
    }

    fn body(&mut self, depth: u32) -> Body {
        match self.rng.below(12) {
            0..=4 => Body::Instant,
            5..=9 => Body::Takes(self.rng.between(1, 1_500)),
            10 if depth > 0 => {
                self.nesting += 1;
                let node = self.node(depth - 1);
                self.nesting -= 1;
                Body::Nested(node)
            }
            10 => Body::Takes(20),
            _ => Body::Never,
        }
    }

    fn step(&mut self, body: Body) -> Rc<Step> {
        let limit = *self.rng.pick(&[0, 1, 2, 3, 5]);
        let never = matches!(body, Body::Never);
        let config = StepConfig {
            limit: RetryLimit::Times(if never { limit.min(1) } else { limit }),
            delay_ms: Some(*self.rng.pick(&[0, 10, 1_000, 6_000])),
            backoff: *self.rng.pick(&[Backoff::Constant, Backoff::Linear, Backoff::Exponential]),
            timeout_ms: *self.rng.pick(if never { &[400, 3_000] } else { &[1_000, 600_000] }),
            sensitive: false,
        };
        let severity = match self.rng.below(20) {
            0 => Severity::Fatal(ErrorRecord::new("WorkflowFatalError", "a result that cannot be kept")),
            1 | 2 => Severity::NonRetryable,
            _ => Severity::Ordinary,
        };
        let fails = if self.rng.chance(60) { 0 } else { self.rng.below(4) as u32 };
        let streams = matches!(body, Body::Instant | Body::Takes(_)) && self.rng.chance(20);
        let undo = (self.nesting == 0 && self.rng.chance(40)).then(|| self.undo(&body));
        Rc::new(Step { name: self.name(), config, fails, severity, body, streams, undo })
    }

    fn undo(&mut self, of: &Body) -> Rc<Undo> {
        let never = self.rng.chance(8);
        let body = match self.rng.below(4) {
            _ if never => UndoBody::Never,
            _ if self.rogue && matches!(of, Body::Instant) => UndoBody::KillsWorker,
            0 | 1 => UndoBody::Instant,
            _ => UndoBody::Takes(self.rng.between(1, 1_500)),
        };
        let limit = *self.rng.pick(&[0, 1, 2, 3]);
        let config = StepConfig {
            limit: RetryLimit::Times(if never { limit.min(1) } else { limit }),
            delay_ms: Some(*self.rng.pick(&[0, 10, 1_000, 9_000])),
            backoff: Backoff::Constant,
            timeout_ms: *self.rng.pick(if never { &[400, 3_000] } else { &[1_000, 600_000] }),
            sensitive: false,
        };
        let severity = if self.rng.chance(10) { Severity::NonRetryable } else { Severity::Ordinary };
        let fails = if self.rng.chance(60) { 0 } else { self.rng.below(3) as u32 };
        Rc::new(Undo { config, fails, severity, body })
    }
}
