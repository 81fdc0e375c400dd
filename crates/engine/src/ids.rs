//! The names that the engine gives to things. Each is its own type, so that none can be taken for another.

use std::fmt;

/// Epoch milliseconds. The engine never asks a clock: the host passes `now`.
pub type Millis = i64;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// One incarnation of an instance: never used again, not even when the instance is restarted or its id is created
    /// anew. It is the fence of everything that concerns an instance.
    InstanceKey(u64)
);
id!(
    /// A workflow, as the store numbers it.
    WorkflowId(u32)
);
id!(
    /// A deployment, as the store numbers it.
    DeploymentId(u32)
);
id!(
    /// One activation of an instance's code; unique in the server's life.
    RunId(u64)
);
id!(
    /// One conversation with one worker process; unique in the server's life.
    SessionId(u32)
);
id!(
    /// A call of user code on `step`, numbered from 0 in each instance.
    CallId(u32)
);
id!(
    /// A batch on its way to the store; consecutive.
    CommitId(u64)
);
id!(
    /// Who asked, as the host numbers it.
    ReplyId(u64)
);
id!(
    /// A stream that was begun, kept or not, as the store numbers it; never used again.
    StreamId(u64)
);

/// Slots that instances hash into; the unit of ownership.
pub const SLOTS: u16 = 4096;

impl InstanceKey {
    /// The slot that owns this instance.
    #[must_use]
    pub fn slot(self) -> u16 {
        // Keys are consecutive; the multiplication spreads neighbours over all slots.
        (self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52) as u16
    }
}
