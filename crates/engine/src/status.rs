//! The statuses that users see, with Cloudflare's words.

use std::fmt;

/// Status of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Created or resumed, not yet started.
    Queued,
    /// Its code runs, or could.
    Running,
    /// Paused by a user.
    Paused,
    /// Ended by an error.
    Errored,
    /// Ended by a user.
    Terminated,
    /// Ended with an output.
    Complete,
    /// Every open call is a sleep, a retry delay or an event wait.
    Waiting,
    /// To be paused once the attempts in flight have ended.
    WaitingForPause,
    /// It has failed or is to be terminated, and what its steps did is being undone.
    RollingBack,
}

impl Status {
    /// All, in the order of their numbers in the store.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Errored,
        Self::Terminated,
        Self::Complete,
        Self::WaitingForPause,
        Self::Waiting,
        Self::RollingBack,
    ];

    /// Cloudflare's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Errored => "errored",
            Self::Terminated => "terminated",
            Self::Complete => "complete",
            Self::Waiting => "waiting",
            Self::WaitingForPause => "waitingForPause",
            Self::RollingBack => "rollingBack",
        }
    }

    /// The status of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Number in the store: position in [`Status::ALL`], which is also the number of Cloudflare's local emulation.
    #[must_use]
    pub fn number(self) -> u8 {
        Self::ALL.iter().position(|other| *other == self).expect("ALL holds every status") as u8
    }

    /// Nothing moves any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Errored | Self::Terminated | Self::Complete)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
