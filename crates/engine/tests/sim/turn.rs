//! What comes of one turn of a simulated run: what it says, what an onlooker could see, and how it may end its worker.

use stepwell_engine::CallId;
use stepwell_engine::instance::Report;

/// What a turn of a run led to.
#[derive(Debug, Default)]
pub struct Turn {
    pub reports: Vec<Report>,
    pub seen: Vec<Seen>,
    /// Attempts that ask for a stream.
    pub streams: Vec<(CallId, u32)>,
    pub poison: Option<Poison>,
    pub ended: bool,
    /// When it wants another turn.
    pub wake_at: Option<i64>,
}

/// What user code did that an onlooker could see.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    CallbackStarted { call: CallId, attempt: u32, at_most_once: bool },
    HandlerStarted { call: CallId, attempt: u32, at_most_once: bool },
    Resolved { call: CallId, value: String, nested: bool },
}

/// How user code brought its worker down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poison {
    Kill,
    Hang,
}
