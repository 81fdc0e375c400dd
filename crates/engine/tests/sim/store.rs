//! Durable memory that survives the crashes of the simulated server: the whole of it is what was committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepwell_engine::CallId;
use stepwell_engine::batch::Carried;
use stepwell_engine::engine::Due;
use stepwell_engine::{Batch, Entry, Instance, InstanceKey, Millis, Outcome, Recorded, StepKind, Summary, WorkflowId};

use super::streams::Streams;

/// A stored incarnation.
#[derive(Debug, Clone)]
pub struct Row {
    pub workflow: WorkflowId,
    pub id: Arc<str>,
    pub summary: Summary,
    pub entries: Vec<Recorded>,
}

impl Row {
    pub fn created_at(&self) -> Millis {
        self.entries[0].at
    }

    /// The history of a new incarnation.
    pub fn carried(&self, history: &[Carried]) -> Result<Vec<Recorded>, String> {
        let mut entries: Vec<Recorded> = Vec::new();
        for part in history {
            match part {
                Carried::Copied { from_seq, count } => {
                    let (from, count) = (*from_seq as usize, *count as usize);
                    let piece = self.entries.get(from..from + count).ok_or(format!("nothing to copy at {from}"))?;
                    entries.extend_from_slice(piece);
                }
                Carried::Written(recorded) => entries.push(recorded.clone()),
            }
        }
        (0..).zip(&mut entries).for_each(|(seq, recorded)| recorded.seq = seq);
        Ok(entries)
    }

    /// How a call settled, and with what.
    pub fn settlement(&self, wanted: CallId) -> Option<String> {
        self.entries.iter().find_map(|recorded| match &recorded.entry {
            Entry::Did { call, value, .. } => (*call == wanted).then(|| format!("{value:?}")),
            Entry::Settled { call, outcome: Outcome::Event { seq } } => {
                (*call == wanted).then(|| format!("{:?}", self.event(*seq)))
            }
            Entry::Settled { call, outcome } => (*call == wanted).then(|| format!("{outcome:?}")),
            Entry::AttemptFailed { call, error, retry_at: None, .. } => (*call == wanted).then(|| format!("{error:?}")),
            _ => None,
        })
    }

    /// Calls that have begun.
    pub fn calls(&self) -> u32 {
        let is_call = |recorded: &&Recorded| matches!(recorded.entry, Entry::Begun { .. } | Entry::Did { .. });
        self.entries.iter().filter(is_call).count() as u32
    }

    pub fn is_settled(&self, wanted: CallId) -> bool {
        self.entries.iter().any(|recorded| match &recorded.entry {
            Entry::Did { call, .. } | Entry::Settled { call, .. } => *call == wanted,
            Entry::AttemptFailed { call, retry_at: None, .. } => *call == wanted,
            _ => false,
        })
    }

    /// A callback's result is recorded. (An error may be recorded while an attempt is on its way to the worker.)
    pub fn has_result(&self, wanted: CallId) -> bool {
        self.entries.iter().any(|recorded| match &recorded.entry {
            Entry::Did { call, .. }
            | Entry::Settled { call, outcome: Outcome::Done { .. } | Outcome::Streamed { .. } } => *call == wanted,
            _ => false,
        })
    }

    pub fn has_failed(&self, wanted: CallId, number: u32) -> bool {
        let is_it = |entry: &Entry| matches!(entry, Entry::AttemptFailed { call, attempt, .. } if *call == wanted && *attempt == number);
        self.entries.iter().any(|recorded| is_it(&recorded.entry))
    }

    pub fn has_event(&self, payload: &str) -> bool {
        self.entries.iter().any(|recorded| {
            matches!(&recorded.entry, Entry::EventReceived { payload: held, .. } if held.json.as_deref() == Some(payload))
        })
    }

    /// The text of the event of entry `seq`.
    pub fn event(&self, seq: u64) -> Option<Arc<str>> {
        match &self.entries.get(usize::try_from(seq).ok()?)?.entry {
            Entry::EventReceived { payload, .. } => payload.json.clone(),
            _ => None,
        }
    }

    /// When the sleep or the retry delay of a call ends, as recorded; a pause may have moved it further.
    pub fn due_of(&self, wanted: CallId) -> Option<Millis> {
        self.entries.iter().rev().find_map(|recorded| match &recorded.entry {
            Entry::AttemptFailed { call, retry_at, .. } if *call == wanted => *retry_at,
            Entry::Begun { call, kind: StepKind::Sleep { until } | StepKind::SleepUntil { until }, .. } => {
                (*call == wanted).then_some(*until)
            }
            _ => None,
        })
    }

    /// When the retry delay before this attempt of the handler of a call ends.
    pub fn handler_due(&self, wanted: CallId, number: u32) -> Option<Millis> {
        self.entries.iter().find_map(|recorded| match &recorded.entry {
            Entry::RollbackAttemptFailed { call, attempt, retry_at, .. }
                if (*call, *attempt + 1) == (wanted, number) =>
            {
                *retry_at
            }
            _ => None,
        })
    }

    pub fn handler_started(&self, wanted: CallId, number: u32) -> bool {
        let is_it = |entry: &Entry| matches!(entry, Entry::RollbackAttemptStarted { call, attempt } if (*call, *attempt) == (wanted, number));
        self.entries.iter().any(|recorded| is_it(&recorded.entry))
    }

    /// Calls with a handler that has not succeeded, in order.
    pub fn handlers_left(&self) -> Vec<CallId> {
        let mut left = Vec::new();
        for recorded in &self.entries {
            match &recorded.entry {
                Entry::RollbackRegistered { call, .. } => left.push(*call),
                Entry::RolledBack { call, .. } => left.retain(|other| other != call),
                _ => {}
            }
        }
        left
    }

    pub fn attempts_started(&self, wanted: CallId) -> bool {
        self.entries
            .iter()
            .any(|recorded| matches!(&recorded.entry, Entry::AttemptStarted { call, .. } if *call == wanted))
    }
}

/// All that is durable.
#[derive(Debug, Default)]
pub struct Store {
    pub rows: BTreeMap<InstanceKey, Row>,
    by_id: BTreeMap<(WorkflowId, Arc<str>), InstanceKey>,
    pub key_max: u64,
    pub streams: Streams,
}

impl Store {
    /// Makes a batch durable, in the order of its members.
    ///
    /// # Errors
    /// What a store refuses as a whole: somebody else seems to own an instance.
    pub fn apply(&mut self, batch: &Batch) -> Result<Vec<InstanceKey>, String> {
        let mut refused = Vec::new();
        for creation in &batch.creations {
            self.key_max = self.key_max.max(creation.key.0);
            let place = (creation.workflow, Arc::clone(&creation.id));
            if self.by_id.contains_key(&place) {
                refused.push(creation.key);
                continue;
            }
            self.by_id.insert(place, creation.key);
            let (workflow, id, summary) = (creation.workflow, Arc::clone(&creation.id), creation.summary);
            self.rows.insert(creation.key, Row { workflow, id, summary, entries: vec![creation.created.clone()] });
        }
        for again in &batch.restarts {
            self.key_max = self.key_max.max(again.new.0);
            let mut row = self.rows.remove(&again.old).ok_or(format!("restart of {}, which is gone", again.old))?;
            row.entries = row.carried(&again.history)?;
            row.summary = again.summary;
            self.by_id.insert((row.workflow, Arc::clone(&row.id)), again.new);
            self.rows.insert(again.new, row);
        }
        for write in batch.writes.iter().filter(|write| !refused.contains(&write.key)) {
            let row = self.rows.get_mut(&write.key).ok_or(format!("write to {}, which is gone", write.key))?;
            for recorded in &write.entries {
                if recorded.seq != row.entries.len() as u64 {
                    return Err(format!("entry {} of {} follows {}", recorded.seq, write.key, row.entries.len()));
                }
                row.entries.push(recorded.clone());
            }
            row.summary = write.summary.unwrap_or(row.summary);
        }
        for key in &batch.deletions {
            let row = self.rows.remove(key).ok_or(format!("deletion of {key}, which is gone"))?;
            self.by_id.remove(&(row.workflow, row.id));
        }
        for key in &batch.expirations {
            if let Some(row) = self.rows.remove(key) {
                self.by_id.remove(&(row.workflow, row.id));
            }
        }
        self.streams.apply(batch, &self.rows)?;
        Ok(refused)
    }

    pub fn load(&self, key: InstanceKey) -> Option<Instance> {
        let row = self.rows.get(&key)?;
        let mut instance = Instance::replay(key, row.workflow, row.summary.deployment, &row.entries)?;
        instance.expire_at(row.summary.wake_at);
        Some(instance)
    }

    pub fn due(&self, after: (Millis, InstanceKey), until: Millis, limit: usize) -> (Vec<Due>, bool) {
        let due = self.rows.iter().filter_map(|(key, row)| {
            row.summary.wake_at.map(|at| Due { at, key: *key, ended_at: row.summary.ended_at })
        });
        let mut due: Vec<_> = due.filter(|due| (due.at, due.key) > after && due.at <= until).collect();
        due.sort_unstable_by_key(|due| (due.at, due.key));
        let complete = due.len() <= limit;
        due.truncate(limit);
        (due, complete)
    }
}
