//! What the engine asks the store to make durable, all or nothing.

use std::sync::Arc;

use crate::{DeploymentId, Firing, InstanceKey, Millis, Recorded, Status, StreamId, WorkflowId};

/// One durable transaction over many instances.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// New instances. One whose (workflow, id) is taken is refused alone; the others are made.
    pub creations: Vec<Creation>,
    /// Instances that are replaced by a new incarnation with the same workflow, id, params and creation time.
    pub restarts: Vec<Restart>,
    /// Further history, at most one write for each instance.
    pub writes: Vec<InstanceWrite>,
    /// Instances that go, with all their data.
    pub deletions: Vec<InstanceKey>,
    /// Ended instances whose time is over. They go like those deleted; one that is gone already is nothing.
    pub expirations: Vec<InstanceKey>,
    /// Schedules that have been looked at up to then. One that is gone is nothing, and none goes back.
    pub firings: Vec<Firing>,
    /// Streams that no attempt goes on writing and no entry names, those of `writes` included.
    pub dropped_streams: Vec<StreamId>,
}

impl Batch {
    /// Nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { creations, restarts, writes, deletions, expirations, firings, dropped_streams } = self;
        let changes = creations.is_empty() && restarts.is_empty() && writes.is_empty() && dropped_streams.is_empty();
        changes && deletions.is_empty() && expirations.is_empty() && firings.is_empty()
    }

    /// Entries in it.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.creations.len() + self.writes.iter().map(|write| write.entries.len()).sum::<usize>()
    }
}

/// A new instance. Its first entry is [`Entry::Created`](crate::Entry::Created) at `created_at`, sequence number 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Creation {
    /// Its key, never used before.
    pub key: InstanceKey,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Its id, chosen by the user or a UUID.
    pub id: Arc<str>,
    /// The newest deployment at that time.
    pub deployment: DeploymentId,
    /// Entry 0.
    pub created: Recorded,
    /// The row.
    pub summary: Summary,
}

/// A new incarnation of an instance. The store gives `new` the history that [`Restart::history`] says, removes `old`'s
/// data and gives the row to `new`. Refused (as a whole batch never is) where `old` is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Restart {
    /// The incarnation that goes.
    pub old: InstanceKey,
    /// The one that comes.
    pub new: InstanceKey,
    /// The newest deployment.
    pub deployment: DeploymentId,
    /// The row.
    pub summary: Summary,
    /// The history of `new`, in order; its first entry is the first of `old`.
    pub history: Vec<Carried>,
}

impl Restart {
    /// Entries of the new history.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.history.iter().map(Carried::entry_count).sum()
    }
}

/// A part of the history of a new incarnation.
#[derive(Debug, Clone, PartialEq)]
pub enum Carried {
    /// Entries of the old one, unchanged but for their numbers.
    Copied {
        /// Number of the first of them in the old history.
        from_seq: u64,
        /// How many.
        count: u64,
    },
    /// An entry that the old history does not hold so. Its number is that of its place in the new one.
    Written(Recorded),
}

impl Carried {
    /// Only what the instance was created with.
    pub const CREATION: Self = Self::Copied { from_seq: 0, count: 1 };

    /// Entries in it.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        match self {
            Self::Copied { count, .. } => *count,
            Self::Written(_) => 1,
        }
    }
}

/// More history of one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceWrite {
    /// Whose.
    pub key: InstanceKey,
    /// In order, without gaps, following what the store holds; a number that is taken refuses the whole batch, because
    /// then somebody else owns the instance.
    pub entries: Vec<Recorded>,
    /// The row, where it changes.
    pub summary: Option<Summary>,
}

/// The narrow row of an instance: what lists show and what recovery reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Status.
    pub status: Status,
    /// When it wants attention: past for one that runs or can run now (after a crash it is run again), the nearest due
    /// time for one whose run was forgotten in order, `None` for one that is paused. For one that has ended, when it is
    /// to go; `None` where it stays.
    pub wake_at: Option<Millis>,
    /// Whose code it is pinned to.
    pub deployment: DeploymentId,
    /// When the row last changed.
    pub modified_at: Millis,
    /// First run.
    pub started_at: Option<Millis>,
    /// End.
    pub ended_at: Option<Millis>,
}

impl Summary {
    /// When one that has ended is to go; `None` where it stays, or where nobody has said yet how long it is kept.
    #[must_use]
    pub fn expires_at(&self) -> Option<Millis> {
        self.wake_at.filter(|at| self.status.is_final() && Some(*at) != self.ended_at)
    }
}
