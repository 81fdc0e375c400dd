//! Interruptions on purpose, for code that wants to be sure that it replays.
//!
//! Nothing happens here that could not happen by itself: a run may be lost at any time.

use crate::Instance;
use crate::instance::{Decision, Tell};

/// What is done to runs that would otherwise go on undisturbed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Chaos {
    /// Nothing.
    #[default]
    None,
    /// A run is dropped whenever one of its calls has settled, and replays. One with an attempt in flight is left until
    /// that has ended, so that no attempt is repeated that the code was not ready to repeat; so is one that leaves its
    /// recorded course, so that it can be found to have diverged.
    Replay,
}

impl Chaos {
    /// Replaces the news of a settled call by the order to go. Comes after the decision's entries were applied.
    pub(super) fn interfere(self, instance: &Instance, decision: &mut Decision) {
        let settled = || decision.tells.iter().any(|tell| matches!(tell, Tell::Held(_) | Tell::Settle(..)));
        if self == Self::Replay && settled() && instance.may_lose_its_run() {
            decision.tells.clear();
            decision.tells.push(Tell::Forget { force: true });
        }
    }
}
