//! What is read about instances.

use std::sync::Arc;

use stepwell_engine::{DeploymentId, InstanceKey, Millis, Status, Summary, WorkflowId};

/// Instances by status, in the order of [`Status::ALL`].
pub type StatusCounts = [u64; Status::ALL.len()];

/// The answer to a batch that is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Keys of creations whose id was taken, and new keys of restarts whose old incarnation was gone. Writes to these
    /// keys in the same batch were left out with them.
    pub refused: Vec<InstanceKey>,
}

/// An instance without its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRow {
    /// Its incarnation.
    pub key: InstanceKey,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Its id, unique in the workflow.
    pub id: Arc<str>,
    /// When its first incarnation was created.
    pub created_at: Millis,
    /// The rest.
    pub summary: Summary,
    /// Where it came from, as its first entry says.
    pub trigger: Arc<str>,
    /// Entries it has: the sequence number of the next one.
    pub entry_count: u64,
}

/// An instance that wants attention at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub wake_at: Millis,
    /// Who.
    pub key: InstanceKey,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Whose code it is pinned to.
    pub deployment: DeploymentId,
    /// When it ended, if it has.
    pub ended_at: Option<Millis>,
}

/// Direction of a list, by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Ascending.
    OldestFirst,
    /// Descending.
    NewestFirst,
}

/// A page of a workflow's instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// Only those with this status.
    pub status: Option<Status>,
    /// Direction.
    pub order: Order,
    /// Only those behind this place in that direction: the last row of the page before.
    pub after: Option<(Millis, InstanceKey)>,
    /// Created at this time or later.
    pub created_from: Option<Millis>,
    /// Created at this time or earlier.
    pub created_until: Option<Millis>,
    /// Rows at most.
    pub limit: usize,
}

impl ListQuery {
    /// The newest `limit` instances of a workflow.
    #[must_use]
    pub fn newest(workflow: WorkflowId, limit: usize) -> Self {
        Self {
            workflow,
            status: None,
            order: Order::NewestFirst,
            after: None,
            created_from: None,
            created_until: None,
            limit,
        }
    }

    /// The places between which the rows lie, both exclusive.
    pub(crate) fn bounds(&self) -> (Place, Place) {
        let mut low = self.created_from.map_or(PLACE_FIRST, |at| (at.saturating_sub(1), i64::MAX));
        let mut high = self.created_until.map_or(PLACE_LAST, |at| (at.saturating_add(1), i64::MIN));
        if let Some((at, key)) = self.after {
            let after = (at, key.0.cast_signed());
            match self.order {
                Order::OldestFirst => low = low.max(after),
                Order::NewestFirst => high = high.min(after),
            }
        }
        (low, high)
    }
}

/// A place in the order of creation: time, then key.
pub(crate) type Place = (Millis, i64);
const PLACE_FIRST: Place = (Millis::MIN, i64::MIN);
const PLACE_LAST: Place = (Millis::MAX, i64::MAX);
