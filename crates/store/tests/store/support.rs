//! Instances, batches and an executor for tests.

use std::sync::Arc;

use stepwell_engine::{
    Batch, CallId, Creation, DeploymentId, Entry, InstanceKey, InstanceWrite, Millis, Payload, Recorded, Retention,
    Status, StepConfig, StepKind, Summary, WorkflowId,
};
use stepwell_store::backend::HistoryPage;
use stepwell_store::{ScopedName, SecretChange, Store};

pub const WORKFLOW: WorkflowId = WorkflowId(1);
pub const DEPLOYMENT: DeploymentId = DeploymentId(1);
pub const WHOLE: HistoryPage =
    HistoryPage { from_seq: 0, until_seq: u64::MAX, rows_max: 1_000_000, bytes_max: usize::MAX };

pub fn named(name: &str) -> ScopedName {
    ScopedName::in_default(name)
}

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

pub fn summary(status: Status, wake_at: Option<Millis>) -> Summary {
    Summary { status, wake_at, deployment: DEPLOYMENT, modified_at: 7, started_at: None, ended_at: None }
}

pub fn creation(key: u64, id: &str, at: Millis) -> Creation {
    let params = Payload::from_json(format!("{{\"key\":{key}}}"));
    Creation {
        key: InstanceKey(key),
        workflow: WORKFLOW,
        id: Arc::from(id),
        deployment: DEPLOYMENT,
        created: Recorded {
            seq: 0,
            at,
            entry: Entry::Created { params, trigger: "api".to_owned(), retention: Retention::default() },
        },
        summary: summary(Status::Queued, Some(at)),
    }
}

pub fn did(call: u32, value: &str) -> Entry {
    let value = Payload::from_json(value);
    Entry::Did { call: CallId(call), parent: None, name: "step".to_owned(), count: call + 1, config: None, value }
}

pub fn sleep(call: u32, until: Millis) -> Entry {
    let kind = StepKind::Sleep { until };
    Entry::Begun { call: CallId(call), parent: None, name: "nap".to_owned(), count: 1, kind, started: true }
}

pub fn begun(call: u32) -> Entry {
    let kind = StepKind::Do(StepConfig::DEFAULT);
    Entry::Begun {
        call: CallId(call),
        parent: Some(CallId(0)),
        name: "step".to_owned(),
        count: 1,
        kind,
        started: false,
    }
}

pub fn write(key: u64, first_seq: u64, entries: Vec<Entry>, summary: Option<Summary>) -> InstanceWrite {
    let entries = (first_seq..).zip(entries).map(|(seq, entry)| Recorded { seq, at: 100 + seq as i64, entry });
    InstanceWrite { key: InstanceKey(key), entries: entries.collect(), summary }
}

pub fn creations(creations: Vec<Creation>) -> Batch {
    Batch { creations, ..Batch::default() }
}

pub fn writes(writes: Vec<InstanceWrite>) -> Batch {
    Batch { writes, ..Batch::default() }
}

pub fn deletions(keys: &[u64]) -> Batch {
    Batch { deletions: keys.iter().copied().map(InstanceKey).collect(), ..Batch::default() }
}

pub fn commit(store: &Store, batch: Batch) -> Vec<InstanceKey> {
    wait(store.commit(batch)).expect("a commit").refused
}

pub fn history(store: &Store, key: u64) -> Vec<Recorded> {
    wait(store.history(InstanceKey(key), WHOLE)).expect("a history")
}

/// A secret of one byte that is set.
pub fn set(name: &str, value: u8) -> SecretChange {
    SecretChange { name: name.to_owned(), value: Some(vec![value]) }
}
