//! Simulated worker processes: sessions with runs, messages on their way, and ways to die.

use std::collections::{BTreeMap, VecDeque};

use stepwell_engine::instance::{Report, Tell};
use stepwell_engine::scheduler::Pool;
use stepwell_engine::{Millis, RunId, StreamId};

use super::run::{Beginning, Run};
use super::streams::Writer;

/// A message to a session.
#[derive(Debug, Clone)]
pub enum Word {
    Start(Box<Beginning>),
    Tell(RunId, Tell),
    /// What became of a question for a stream.
    Stream(Writer, Option<StreamId>),
}

/// How a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Well,
    /// Nothing is processed any more, until somebody kills it.
    Hung {
        /// Monotonic milliseconds.
        since: i64,
    },
    /// The process is gone; the server does not know yet.
    Dead,
    /// The same, and somebody outside has killed it.
    Killed,
}

impl Health {
    /// There is a process.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Well | Self::Hung { .. })
    }
}

/// One conversation with one worker process.
#[derive(Debug)]
pub struct Session {
    pub pool: Pool,
    pub health: Health,
    pub runs: BTreeMap<RunId, Run>,
    /// To the worker, in order.
    pub inbox: VecDeque<Word>,
    /// To the server, in order.
    pub outbox: VecDeque<(RunId, Report)>,
    /// When the last message in each direction arrives: later ones do not overtake it.
    pub inbox_until: i64,
    pub outbox_until: i64,
    /// Wall clock of the last message that the server got.
    pub alive_at: Millis,
    /// It takes no new runs.
    pub draining: bool,
}

impl Session {
    pub fn new(pool: Pool, wall: Millis) -> Self {
        Self {
            pool,
            health: Health::Well,
            runs: BTreeMap::new(),
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            inbox_until: 0,
            outbox_until: 0,
            alive_at: wall,
            draining: false,
        }
    }
}
