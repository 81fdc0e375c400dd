//! Where instances stand that were written lately, so that the next write of a live one need not look.
//!
//! The writer owns the database, so nobody else moves them; what a transaction takes back is forgotten.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Result};
use stepwell_engine::{DeploymentId, InstanceKey, WorkflowId};

use super::read::{InstanceKeySql, status};
use crate::counters::Counted;
use crate::limits::TAILS_MAX;

/// Where an instance stands before a write.
pub(super) struct Tail {
    pub workflow: WorkflowId,
    pub counted: Counted,
    pub next_seq: u64,
}

/// Those of live instances, at most [`TAILS_MAX`].
#[derive(Default)]
pub(super) struct Tails {
    known: HashMap<InstanceKey, Tail>,
}

impl Tails {
    /// Out of memory or out of the database; `None` where there is no such instance. It is known again after
    /// [`put`](Self::put).
    pub fn take(&mut self, db: &Connection, key: InstanceKey) -> Result<Option<Tail>> {
        match self.known.remove(&key) {
            Some(tail) => Ok(Some(tail)),
            None => read(db, key),
        }
    }

    /// What is final is hardly written again.
    pub fn put(&mut self, key: InstanceKey, tail: Tail) {
        if tail.counted.status.is_final() {
            return;
        }
        if self.known.len() == TAILS_MAX {
            self.forget_all();
        }
        self.known.insert(key, tail);
    }

    pub fn forget_all(&mut self) {
        self.known.clear();
    }
}

fn read(db: &Connection, key: InstanceKey) -> Result<Option<Tail>> {
    db.prepare_cached(
        "SELECT workflow, status, deployment,
                (SELECT seq + 1 FROM entries WHERE instance = key ORDER BY seq DESC LIMIT 1)
         FROM instances WHERE key = ?",
    )?
    .query_row([key.sql()], |row| {
        let counted = Counted { status: status(row.get(1)?)?, deployment: DeploymentId(row.get(2)?) };
        Ok(Tail { workflow: WorkflowId(row.get(0)?), counted, next_seq: row.get(3)? })
    })
    .optional()
}
