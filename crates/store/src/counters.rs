//! How the maintained counters move in a transaction: summed in memory, written once.

use std::collections::BTreeMap;

use stepwell_engine::{DeploymentId, Status, Summary, WorkflowId};

/// What counts of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub status: Status,
    pub deployment: DeploymentId,
}

impl From<&Summary> for Counted {
    fn from(summary: &Summary) -> Self {
        Self { status: summary.status, deployment: summary.deployment }
    }
}

/// Differences to be added to the counters.
#[derive(Debug, Default)]
pub(crate) struct Deltas {
    pub statuses: BTreeMap<(WorkflowId, Status), i64>,
    pub live: BTreeMap<DeploymentId, i64>,
}

impl Deltas {
    pub fn add(&mut self, workflow: WorkflowId, counted: Counted) {
        self.count(workflow, counted, 1);
    }

    pub fn remove(&mut self, workflow: WorkflowId, counted: Counted) {
        self.count(workflow, counted, -1);
    }

    pub fn change(&mut self, workflow: WorkflowId, from: Counted, to: Counted) {
        if from != to {
            self.remove(workflow, from);
            self.add(workflow, to);
        }
    }

    pub fn merge(&mut self, other: Self) {
        for (place, delta) in other.statuses {
            *self.statuses.entry(place).or_default() += delta;
        }
        for (deployment, delta) in other.live {
            *self.live.entry(deployment).or_default() += delta;
        }
    }

    fn count(&mut self, workflow: WorkflowId, counted: Counted, delta: i64) {
        *self.statuses.entry((workflow, counted.status)).or_default() += delta;
        if !counted.status.is_final() {
            *self.live.entry(counted.deployment).or_default() += delta;
        }
    }
}
