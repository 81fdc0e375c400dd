//! Instances and their entries.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use stepwell_engine::{
    Batch, Carried, DeploymentId, Entry, InstanceKey, Millis, Recorded, Restart, StreamId, StreamRef, Summary,
    WorkflowId,
};

use super::MemoryReader;
use crate::backend::{Fault, HistoryPage, Reader};
use crate::{Due, InstanceRow, ListQuery, Order, ReadError, StatusCounts, record};

#[derive(Default)]
pub(super) struct Instances {
    by_key: BTreeMap<InstanceKey, Instance>,
    by_id: HashMap<(WorkflowId, Arc<str>), InstanceKey>,
    by_wake: BTreeSet<(Millis, InstanceKey)>,
    key_max: u64,
}

#[derive(Clone)]
struct Instance {
    workflow: WorkflowId,
    id: Arc<str>,
    created_at: Millis,
    summary: Summary,
    entries: Vec<Recorded>,
}

impl Instances {
    /// What would be refused alone; nothing is changed yet.
    pub fn check(&self, batch: &Batch) -> Result<Vec<InstanceKey>, Fault> {
        let mut refused = Vec::new();
        let mut lengths: HashMap<InstanceKey, Option<u64>> = HashMap::new();
        let mut ids = HashSet::new();
        for creation in &batch.creations {
            let place = (creation.workflow, Arc::clone(&creation.id));
            if self.by_id.contains_key(&place) || !ids.insert(place) {
                refused.push(creation.key);
            } else if self.by_key.contains_key(&creation.key) || lengths.insert(creation.key, Some(1)).is_some() {
                return Err(Fault::Fenced(format!("instance {} is there already", creation.key)));
            }
        }
        for again in &batch.restarts {
            let length = lengths.get(&again.old).copied().unwrap_or_else(|| self.length(again.old));
            let Some(length) = length else {
                refused.push(again.new);
                continue;
            };
            if lengths.get(&again.new).copied().unwrap_or_else(|| self.length(again.new)).is_some() {
                return Err(Fault::Fenced(format!("instance {} is there already", again.new)));
            } else {
                check_carried(again, length)?;
                lengths.insert(again.old, None);
                lengths.insert(again.new, Some(again.entry_count()));
            }
        }
        for write in batch.writes.iter().filter(|write| !refused.contains(&write.key)) {
            let length = lengths.get(&write.key).copied().unwrap_or_else(|| self.length(write.key));
            let Some(length) = length else { return Err(Fault::Fenced(format!("instance {} is gone", write.key))) };
            let end = follows(write.key, length, &write.entries)?;
            lengths.insert(write.key, Some(end));
        }
        Ok(refused)
    }

    /// A checked batch.
    pub fn apply(&mut self, batch: &Batch, refused: &[InstanceKey]) {
        for creation in batch.creations.iter().filter(|creation| !refused.contains(&creation.key)) {
            let instance = Instance {
                workflow: creation.workflow,
                id: Arc::clone(&creation.id),
                created_at: creation.created.at,
                summary: creation.summary,
                entries: vec![creation.created.clone()],
            };
            self.insert(creation.key, instance);
        }
        for again in batch.restarts.iter().filter(|again| !refused.contains(&again.new)) {
            let mut instance = self.remove(again.old).expect("a checked restart");
            instance.entries = carried(&instance.entries, &again.history);
            instance.summary = again.summary;
            self.insert(again.new, instance);
        }
        for write in batch.writes.iter().filter(|write| !refused.contains(&write.key)) {
            let instance = self.by_key.get_mut(&write.key).expect("a checked write");
            instance.entries.extend_from_slice(&write.entries);
            if let Some(summary) = write.summary {
                let before = std::mem::replace(&mut instance.summary, summary);
                self.wake_moves(write.key, before.wake_at, summary.wake_at);
            }
        }
        for key in batch.deletions.iter().filter(|key| !refused.contains(key)) {
            self.remove(*key);
        }
    }

    /// Removes an instance that has ended; false where there is none.
    pub fn expire(&mut self, key: InstanceKey) -> bool {
        let has_ended = self.by_key.get(&key).is_some_and(|instance| instance.summary.status.is_final());
        has_ended && self.remove(key).is_some()
    }

    pub fn is_there(&self, key: InstanceKey) -> bool {
        self.by_key.contains_key(&key)
    }

    /// The history of an instance.
    pub fn entries_of(&self, key: InstanceKey) -> &[Recorded] {
        self.by_key.get(&key).map_or(&[], |instance| &instance.entries)
    }

    /// Statuses and deployments of all instances, for what a database keeps counters for.
    pub fn summaries(&self) -> impl Iterator<Item = (WorkflowId, &Summary)> {
        self.by_key.values().map(|instance| (instance.workflow, &instance.summary))
    }

    fn length(&self, key: InstanceKey) -> Option<u64> {
        self.by_key.get(&key).map(|instance| instance.entries.len() as u64)
    }

    fn insert(&mut self, key: InstanceKey, instance: Instance) {
        self.key_max = self.key_max.max(key.0);
        self.by_id.insert((instance.workflow, Arc::clone(&instance.id)), key);
        self.wake_moves(key, None, instance.summary.wake_at);
        self.by_key.insert(key, instance);
    }

    fn remove(&mut self, key: InstanceKey) -> Option<Instance> {
        let instance = self.by_key.remove(&key)?;
        self.by_id.remove(&(instance.workflow, Arc::clone(&instance.id)));
        self.wake_moves(key, instance.summary.wake_at, None);
        Some(instance)
    }

    fn wake_moves(&mut self, key: InstanceKey, from: Option<Millis>, to: Option<Millis>) {
        if let Some(at) = from {
            self.by_wake.remove(&(at, key));
        }
        if let Some(at) = to {
            self.by_wake.insert((at, key));
        }
    }

    fn row(&self, key: InstanceKey) -> Option<InstanceRow> {
        self.by_key.get(&key).map(|instance| instance.row(key))
    }
}

impl Instance {
    fn row(&self, key: InstanceKey) -> InstanceRow {
        InstanceRow {
            key,
            workflow: self.workflow,
            id: Arc::clone(&self.id),
            created_at: self.created_at,
            summary: self.summary,
            entry_count: self.entries.len() as u64,
            trigger: match &self.entries[0].entry {
                Entry::Created { trigger, .. } => trigger.as_str().into(),
                other => unreachable!("a history begins with its creation, not with {other:?}"),
            },
        }
    }
}

/// What is to be copied is there, and what is written stands in its place.
fn check_carried(again: &Restart, length: u64) -> Result<(), Fault> {
    let mut next_seq = 0;
    for part in &again.history {
        let fits = match part {
            Carried::Copied { from_seq, count } => from_seq + count <= length,
            Carried::Written(recorded) => recorded.seq == next_seq,
        };
        if !fits {
            return Err(Fault::Fenced(format!("instance {} has no {part:?} for entry {next_seq}", again.old)));
        }
        next_seq += part.entry_count();
    }
    Ok(())
}

fn carried(before: &[Recorded], history: &[Carried]) -> Vec<Recorded> {
    let mut entries = Vec::new();
    for part in history {
        match part {
            Carried::Copied { from_seq, count } => {
                let piece = before.iter().filter(|one| (*from_seq..from_seq + count).contains(&one.seq));
                entries.extend(piece.cloned());
            }
            Carried::Written(recorded) => entries.push(recorded.clone()),
        }
    }
    (0..).zip(&mut entries).for_each(|(seq, recorded)| recorded.seq = seq);
    entries
}

fn follows(key: InstanceKey, length: u64, entries: &[Recorded]) -> Result<u64, Fault> {
    for (next_seq, recorded) in (length..).zip(entries) {
        if recorded.seq != next_seq {
            return Err(Fault::Fenced(format!("instance {key} is at entry {next_seq}, not {}", recorded.seq)));
        }
    }
    Ok(length + entries.len() as u64)
}

impl Reader for MemoryReader {
    fn resolve(&mut self, workflow: WorkflowId, id: &str) -> Result<Option<InstanceKey>, ReadError> {
        Ok(self.tables().instances.by_id.get(&(workflow, id.into())).copied())
    }

    fn instance(&mut self, key: InstanceKey) -> Result<Option<InstanceRow>, ReadError> {
        Ok(self.tables().instances.row(key))
    }

    fn load(&mut self, key: InstanceKey) -> Result<Option<(InstanceRow, Vec<Recorded>)>, ReadError> {
        let tables = self.tables();
        let instance = tables.instances.by_key.get(&key);
        Ok(instance.map(|it| (it.row(key), it.entries.iter().map(record::without_texts).collect())))
    }

    fn history(&mut self, key: InstanceKey, page: HistoryPage) -> Result<Vec<Recorded>, ReadError> {
        let tables = self.tables();
        let entries = tables.instances.by_key.get(&key).map_or(&[][..], |instance| &instance.entries);
        let wanted = entries.iter().filter(|entry| (page.from_seq..page.until_seq).contains(&entry.seq));
        let (mut found, mut bytes) = (Vec::new(), 0);
        for entry in wanted.take(page.rows_max) {
            bytes += record::payload_bytes(entry);
            if bytes > page.bytes_max && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn due(&mut self, after: (Millis, InstanceKey), until: Millis, limit: usize) -> Result<Vec<Due>, ReadError> {
        let tables = self.tables();
        let behind = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let found = tables.instances.by_wake.range(behind).take_while(|(wake_at, _)| *wake_at <= until).take(limit);
        let due = found.map(|(wake_at, key)| {
            let instance = &tables.instances.by_key[key];
            let (workflow, Summary { deployment, ended_at, .. }) = (instance.workflow, instance.summary);
            Due { wake_at: *wake_at, key: *key, workflow, deployment, ended_at }
        });
        Ok(due.collect())
    }

    fn list_instances(&mut self, query: &ListQuery) -> Result<Vec<InstanceRow>, ReadError> {
        let tables = self.tables();
        let (low, high) = query.bounds();
        let mut found: Vec<_> = tables
            .instances
            .by_key
            .iter()
            .filter(|(_, instance)| instance.workflow == query.workflow)
            .filter(|(_, instance)| query.status.is_none_or(|status| instance.summary.status == status))
            .map(|(key, instance)| ((instance.created_at, key.0.cast_signed()), *key, instance))
            .filter(|(place, ..)| low < *place && *place < high)
            .collect();
        found.sort_unstable_by_key(|(place, ..)| *place);
        if query.order == Order::NewestFirst {
            found.reverse();
        }
        Ok(found.into_iter().take(query.limit).map(|(_, key, instance)| instance.row(key)).collect())
    }

    fn counters(&mut self, workflow: WorkflowId) -> Result<StatusCounts, ReadError> {
        let mut counts = StatusCounts::default();
        for (_, summary) in self.tables().instances.summaries().filter(|(of, _)| *of == workflow) {
            counts[usize::from(summary.status.number())] += 1;
        }
        Ok(counts)
    }

    fn pinned_instances(&mut self, deployment: DeploymentId, count: usize) -> Result<Vec<InstanceRow>, ReadError> {
        let tables = self.tables();
        let needs = |it: &Instance| it.summary.deployment == deployment && !it.summary.status.is_final();
        let pinned = tables.instances.by_key.iter().filter(|(_, it)| needs(it));
        Ok(pinned.take(count).map(|(key, it)| it.row(*key)).collect())
    }

    fn max_key(&mut self) -> Result<InstanceKey, ReadError> {
        Ok(InstanceKey(self.tables().instances.key_max))
    }

    fn is_stream_whole(&mut self, key: InstanceKey, stream: StreamRef) -> Result<bool, ReadError> {
        Ok(self.tables().streams.is_whole(key, stream))
    }

    fn stream_chunk(&mut self, key: InstanceKey, stream: StreamId, number: u32) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.tables().streams.chunk(key, stream, number))
    }
}
