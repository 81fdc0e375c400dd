//! The batch that is being gathered, those on their way, and what waits for each to be durable.

use std::collections::{HashMap, VecDeque};

use super::io::Output;
use crate::{Batch, CommitId, InstanceKey, InstanceWrite, Recorded, ReplyId, Summary};

/// What happens once a batch is durable.
#[derive(Debug)]
pub(super) enum Act {
    /// Goes out.
    Emit(Output),
    /// An instance exists, unless it was refused. A schedule waits for no answer.
    Created(InstanceKey, Option<ReplyId>),
}

/// A batch with what waits for it.
#[derive(Debug)]
pub(super) struct Commit {
    pub id: CommitId,
    pub acts: Vec<Act>,
    /// Whom it concerns.
    pub keys: Vec<InstanceKey>,
}

/// Gathers entries of many instances into batches.
#[derive(Debug)]
pub(super) struct Gather {
    pub batch: Batch,
    places: HashMap<InstanceKey, usize>,
    acts: Vec<Act>,
    keys: Vec<InstanceKey>,
    next: CommitId,
    under_way: VecDeque<Commit>,
}

impl Gather {
    pub fn new() -> Self {
        Self {
            batch: Batch::default(),
            places: HashMap::new(),
            acts: Vec::new(),
            keys: Vec::new(),
            next: CommitId(1),
            under_way: VecDeque::new(),
        }
    }

    /// The commit that what is recorded now will be part of.
    pub fn next(&self) -> CommitId {
        self.next
    }

    /// Everything up to this commit is durable.
    pub fn is_durable(&self, commit: CommitId) -> bool {
        self.under_way.front().map_or(commit < self.next, |first| commit < first.id)
    }

    /// Batches on their way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// The write of an instance in the batch.
    fn write(&mut self, key: InstanceKey) -> &mut InstanceWrite {
        let place = *self.places.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.batch.writes.push(InstanceWrite { key, entries: Vec::new(), summary: None });
            self.batch.writes.len() - 1
        });
        &mut self.batch.writes[place]
    }

    pub fn record(&mut self, key: InstanceKey, recorded: Recorded) {
        self.write(key).entries.push(recorded);
    }

    pub fn summarise(&mut self, key: InstanceKey, summary: Summary) {
        self.write(key).summary = Some(summary);
    }

    /// What is gathered for an instance and on no batch's way yet.
    pub fn entries_of(&self, key: InstanceKey) -> &[Recorded] {
        self.places.get(&key).map_or(&[], |place| &self.batch.writes[*place].entries)
    }

    /// Drops what is gathered for an instance whose data go in the same batch: the store would have nowhere to put it.
    pub fn withdraw(&mut self, key: InstanceKey) {
        let Some(place) = self.places.remove(&key) else { return };
        self.batch.writes.swap_remove(place);
        if let Some(moved) = self.batch.writes.get(place) {
            self.places.insert(moved.key, place);
        }
    }

    /// The batch concerns this instance, by a creation, a restart or a deletion.
    pub fn concern(&mut self, key: InstanceKey) {
        self.keys.push(key);
    }

    /// `act` happens once all that is recorded so far is durable.
    pub fn then(&mut self, act: Act) {
        self.acts.push(act);
    }

    /// Closes the batch. Acts of an empty batch wait for the one before; where there is none, they come back.
    pub fn close(&mut self) -> (Option<(CommitId, Batch)>, Vec<Act>) {
        let mut acts = std::mem::take(&mut self.acts);
        if self.batch.is_empty() {
            match self.under_way.back_mut() {
                Some(last) => {
                    last.acts.append(&mut acts);
                    return (None, Vec::new());
                }
                None => return (None, acts),
            }
        }
        let id = self.next;
        self.next = CommitId(id.0 + 1);
        self.places.clear();
        self.under_way.push_back(Commit { id, acts, keys: std::mem::take(&mut self.keys) });
        (Some((id, std::mem::take(&mut self.batch))), Vec::new())
    }

    /// The oldest batch on its way is durable. `None` where `id` is not that one.
    pub fn finish(&mut self, id: CommitId) -> Option<Commit> {
        self.under_way.pop_front_if(|first| first.id == id)
    }
}
