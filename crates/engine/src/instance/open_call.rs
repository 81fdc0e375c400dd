//! A call of user code that has not settled.

use std::sync::Arc;

use crate::{Millis, StepConfig};

/// A call that has not settled, with exactly what its kind needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenCall {
    /// `step.do`.
    Do {
        /// Resolved configuration.
        config: Box<StepConfig>,
        /// The attempt that is in flight or comes next, from 1.
        attempt: u32,
        /// Where that attempt is.
        state: DoState,
    },
    /// `step.sleep` or `step.sleepUntil`.
    Sleep {
        /// Due time.
        until: Millis,
    },
    /// `step.waitForEvent`.
    Wait(Box<Waiting>),
}

/// An open wait for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Event type.
    pub event_type: Arc<str>,
    /// As user code gave it.
    pub timeout_ms: u64,
    /// Deadline.
    pub until: Millis,
}

/// Where the attempt of a `do` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoState {
    /// May start.
    Ready,
    /// May start, and the live run has been told so.
    Granted,
    /// Started, in the live run.
    InFlight {
        /// When it times out.
        deadline: Millis,
    },
    /// Started in a run that is lost.
    Interrupted,
    /// Waits for its retry delay.
    Delayed {
        /// Due time.
        until: Millis,
    },
}

impl OpenCall {
    /// Whether only time or an event moves it.
    pub fn is_waiting(&self) -> bool {
        self.wait_until().is_some()
    }

    /// When its wait ends.
    pub fn wait_until(&self) -> Option<Millis> {
        match self {
            Self::Sleep { until } | Self::Do { state: DoState::Delayed { until }, .. } => Some(*until),
            Self::Wait(waiting) => Some(waiting.until),
            Self::Do { .. } => None,
        }
    }

    /// When its attempt in flight times out.
    pub fn attempt_deadline(&self) -> Option<Millis> {
        match self {
            Self::Do { state: DoState::InFlight { deadline }, .. } => Some(*deadline),
            _ => None,
        }
    }

    /// Its attempt runs, or may have begun to.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Do { state: DoState::Granted | DoState::InFlight { .. }, .. })
    }

    /// When time moves it.
    pub fn due(&self) -> Option<Millis> {
        self.wait_until().or(self.attempt_deadline())
    }

    /// The attempt that a new run may start when it makes this call. One in flight was recorded for this run a moment
    /// ago, because it must not happen twice.
    pub fn grant(&self) -> Option<u32> {
        match self {
            Self::Do { state: DoState::Delayed { .. }, .. } => None,
            Self::Do { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }

    /// The run is lost.
    pub fn interrupt(&mut self) {
        if let Self::Do { state, .. } = self {
            match state {
                DoState::InFlight { .. } => *state = DoState::Interrupted,
                DoState::Granted => *state = DoState::Ready,
                _ => {}
            }
        }
    }

    /// Due times of waits move by the time that the instance was paused.
    pub fn shift(&mut self, by_ms: Millis) {
        match self {
            Self::Sleep { until } | Self::Do { state: DoState::Delayed { until }, .. } => *until += by_ms,
            Self::Wait(waiting) => waiting.until += by_ms,
            Self::Do { .. } => {}
        }
    }
}
