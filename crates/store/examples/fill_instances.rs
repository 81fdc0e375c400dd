//! Fills the data directory of a server that is down with instances of a workflow that it has: seven of ten are complete,
//! two sleep until the year 2100, and one has failed. They are created a second apart, from the beginning of 2026.
//!
//! `cargo run --release -p stepwell-store --example fill_instances DIRECTORY WORKFLOW INSTANCES`

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use stepwell_engine::{
    Batch, CallId, Creation, DeploymentId, Entry, ErrorRecord, InstanceKey, InstanceWrite, Millis, Payload, Recorded,
    Retention, Status, StepKind, Summary, WorkflowId,
};
use stepwell_store::{Options, ScopedName, Store};

const FIRST_CREATED_AT: Millis = 1_767_225_600_000;
const SPACING_MS: Millis = 1_000;
const SLEEP_UNTIL: Millis = 4_102_444_800_000;
const BATCH: u64 = 1_000;
const BATCHES_IN_FLIGHT: usize = 2;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |what| arguments.next().unwrap_or_else(|| panic!("{what} is missing"));
    let (dir, workflow) = (argument("the data directory"), argument("the workflow"));
    let count: u64 = argument("the number of instances").parse().expect("a number of instances");
    let store = Store::open(Path::new(&dir), Options::default()).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let filler = runtime.block_on(Filler::new(&store, &workflow));
    filler.fill(&store, count);
}

struct Filler {
    workflow: WorkflowId,
    deployment: DeploymentId,
    first_key: u64,
}

impl Filler {
    async fn new(store: &Store, workflow: &str) -> Self {
        let row = store.workflow(&ScopedName::in_default(workflow)).await.expect("a read").expect("that workflow");
        let deployment = store.current_deployment(&row.script).await.expect("a read").expect("a deployment");
        let first_key = store.max_key().await.expect("a read").0 + 1;
        Self { workflow: row.id, deployment: deployment.id, first_key }
    }

    fn fill(&self, store: &Store, count: u64) {
        let (reply, answers) = channel();
        let mut in_flight = 0;
        for first in (0..count).step_by(BATCH as usize) {
            let reply = reply.clone();
            let batch = self.batch(first..count.min(first + BATCH));
            store.submit(batch, move |answer| reply.send(answer).expect("somebody waits"));
            in_flight += 1;
            if in_flight == BATCHES_IN_FLIGHT {
                answers.recv().expect("an answer").expect("a commit");
                in_flight -= 1;
            }
        }
        for _ in 0..in_flight {
            answers.recv().expect("an answer").expect("a commit");
        }
    }

    fn batch(&self, numbers: std::ops::Range<u64>) -> Batch {
        Batch {
            creations: numbers.clone().map(|number| self.creation(number)).collect(),
            writes: numbers.map(|number| self.course(number)).collect(),
            ..Batch::default()
        }
    }

    fn key(&self, number: u64) -> InstanceKey {
        InstanceKey(self.first_key + number)
    }

    fn creation(&self, number: u64) -> Creation {
        let at = created_at(number);
        let params = Payload::from_json("{}");
        let entry = Entry::Created { params, trigger: "api".to_owned(), retention: Retention::default() };
        Creation {
            key: self.key(number),
            workflow: self.workflow,
            // As long as a UUID and as scattered.
            id: Arc::from(format!("{:016x}-{number:019}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
            deployment: self.deployment,
            created: Recorded { seq: 0, at, entry },
            summary: self.summary(number, Status::Queued),
        }
    }

    /// What happened to it after its creation.
    fn course(&self, number: u64) -> InstanceWrite {
        let (status, last) = match number % 10 {
            0..7 => (Status::Complete, Entry::Completed { output: Payload::from_json("\"done\"") }),
            7..9 => (Status::Waiting, sleep()),
            _ => (Status::Errored, Entry::Errored { error: ErrorRecord::new("Error", "it went wrong") }),
        };
        let entries = [Entry::Started { deployment: self.deployment }, last];
        let at = created_at(number);
        let entries = (1..).zip(entries).map(|(seq, entry)| Recorded { seq, at, entry }).collect();
        InstanceWrite { key: self.key(number), entries, summary: Some(self.summary(number, status)) }
    }

    fn summary(&self, number: u64, status: Status) -> Summary {
        let at = created_at(number);
        let wake_at = match status {
            Status::Queued => Some(at),
            Status::Waiting => Some(SLEEP_UNTIL),
            _ => None,
        };
        let (started_at, ended_at) = (Some(at), status.is_final().then_some(at));
        Summary { status, wake_at, deployment: self.deployment, modified_at: at, started_at, ended_at }
    }
}

fn created_at(number: u64) -> Millis {
    FIRST_CREATED_AT + number as Millis * SPACING_MS
}

fn sleep() -> Entry {
    let kind = StepKind::SleepUntil { until: SLEEP_UNTIL };
    Entry::Begun { call: CallId(0), parent: None, name: "sleep".to_owned(), count: 1, kind, started: true }
}
