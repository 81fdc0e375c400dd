//! Measures group commit: entries made durable per second, and the disk that a sleeping instance takes.
//!
//! `cargo run --release -p stepwell-store --example commit_rate [entries]`

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use stepwell_engine::{
    Batch, CallId, Creation, DeploymentId, Entry, InstanceKey, InstanceWrite, Payload, Recorded, Retention, Status,
    StepKind, Summary, WorkflowId,
};
use stepwell_store::{CommitError, Committed, Options, Store};

const INSTANCES: usize = 500;
/// Of each instance: created, started, eight steps, completed.
const STEPS: u32 = 8;
const BATCH_ENTRIES: usize = 1_000;
const BATCHES_IN_FLIGHT: usize = 2;
const SLEEPERS: u64 = 100_000;

fn main() {
    let entries = std::env::args().nth(1).map_or(2_000_000, |count| count.parse().expect("a number of entries"));
    let dir = tempfile::tempdir_in(".").expect("a directory");
    let store = Store::open(&dir.path().join("rate"), Options::default()).expect("a store");
    measure_rate(store, entries);
    measure_sleepers(&dir.path().join("sleepers"));
}

fn measure_rate(store: Store, entries: usize) {
    let mut flow = Flow::new();
    let mut pipe = Pipe::new(store);
    let began = Instant::now();
    let (mut done, mut batches) = (0, 0);
    while done < entries {
        let batch = flow.next_batch();
        done += batch.entry_count();
        batches += 1;
        pipe.submit(batch);
    }
    pipe.finish();
    let seconds = began.elapsed().as_secs_f64();
    println!("{done} entries in {batches} batches, {seconds:.2} s: {:.0} entries/s", done as f64 / seconds);
}

/// Batches on their way, as a driver pipelines them.
struct Pipe {
    store: Store,
    reply: Sender<Result<Committed, CommitError>>,
    answers: Receiver<Result<Committed, CommitError>>,
    in_flight: usize,
}

impl Pipe {
    fn new(store: Store) -> Self {
        let (reply, answers) = channel();
        Self { store, reply, answers, in_flight: 0 }
    }

    fn submit(&mut self, batch: Batch) {
        if self.in_flight == BATCHES_IN_FLIGHT {
            self.settle();
        }
        let reply = self.reply.clone();
        self.store.submit(batch, move |answer| reply.send(answer).expect("somebody waits"));
        self.in_flight += 1;
    }

    fn settle(&mut self) {
        self.answers.recv().expect("an answer").expect("a commit");
        self.in_flight -= 1;
    }

    fn finish(mut self) {
        while self.in_flight > 0 {
            self.settle();
        }
    }
}

/// Instances that run through their steps two entries at a time, each replaced when it completes.
struct Flow {
    key_last: u64,
    running: VecDeque<(InstanceKey, u64)>,
}

impl Flow {
    fn new() -> Self {
        Self { key_last: 0, running: VecDeque::new() }
    }

    fn next_batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        while self.running.len() < INSTANCES {
            self.key_last += 1;
            batch.creations.push(creation(self.key_last));
            self.running.push_back((InstanceKey(self.key_last), 1));
        }
        for _ in 0..(BATCH_ENTRIES / 2).min(INSTANCES) {
            let (key, seq) = self.running.pop_front().expect("there is one");
            let write = advance(key, seq);
            if write.summary.is_none_or(|summary| !summary.status.is_final()) {
                self.running.push_back((key, seq + 2));
            }
            batch.writes.push(write);
        }
        batch
    }
}

fn advance(key: InstanceKey, seq: u64) -> InstanceWrite {
    let started = || Entry::Started { deployment: DeploymentId(1) };
    let entry = |seq: u64| match seq {
        1 => started(),
        seq if seq < u64::from(STEPS) + 2 => did(u32::try_from(seq - 2).expect("few steps")),
        _ => Entry::Completed { output: Payload::from_json("\"done\"") },
    };
    let end = u64::from(STEPS) + 2;
    let entries =
        (seq..=end.min(seq + 1)).map(|seq| Recorded { seq, at: 1_700_000_000_000, entry: entry(seq) }).collect();
    let summary = match seq {
        1 => Some(summary(Status::Running, Some(1_700_000_000_000))),
        seq if seq + 1 >= end => Some(summary(Status::Complete, None)),
        _ => None,
    };
    InstanceWrite { key, entries, summary }
}

fn did(call: u32) -> Entry {
    let value = Payload::from_json("{\"ok\":true,\"at\":1700000000000,\"text\":\"a small result\"}");
    Entry::Did { call: CallId(call), parent: None, name: format!("step {call}"), count: 1, config: None, value }
}

fn creation(key: u64) -> Creation {
    let params = Payload::from_json("{\"user\":\"somebody@example.com\"}");
    let entry = Entry::Created { params, trigger: "api".to_owned(), retention: Retention::default() };
    Creation {
        key: InstanceKey(key),
        workflow: WorkflowId(1),
        // As long as a UUID and as scattered.
        id: Arc::from(format!("{:016x}-{key:019}", key.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
        deployment: DeploymentId(1),
        created: Recorded { seq: 0, at: 1_700_000_000_000 + key as i64, entry },
        summary: summary(Status::Queued, Some(1_700_000_000_000)),
    }
}

fn summary(status: Status, wake_at: Option<i64>) -> Summary {
    let modified_at = 1_700_000_000_000;
    Summary { status, wake_at, deployment: DeploymentId(1), modified_at, started_at: Some(modified_at), ended_at: None }
}

fn measure_sleepers(dir: &Path) {
    let mut pipe = Pipe::new(Store::open(dir, Options::default()).expect("a store"));
    for first in (1..=SLEEPERS).step_by(500) {
        let keys = first..(first + 500);
        pipe.submit(Batch { creations: keys.clone().map(creation).collect(), ..Batch::default() });
        pipe.submit(Batch { writes: keys.map(fall_asleep).collect(), ..Batch::default() });
    }
    // Closing the store copies the write-ahead log into the database.
    pipe.finish();
    let bytes = std::fs::metadata(dir.join("stepwell.db")).expect("a database").len();
    println!("{SLEEPERS} sleepers take {bytes} bytes of disk: {} each", bytes / SLEEPERS);
}

fn fall_asleep(key: u64) -> InstanceWrite {
    let until = 1_700_003_600_000 + key as i64;
    let kind = StepKind::Sleep { until };
    let nap = Entry::Begun { call: CallId(0), parent: None, name: "nap".to_owned(), count: 1, kind, started: true };
    let entries = [Entry::Started { deployment: DeploymentId(1) }, nap];
    let entries = (1..).zip(entries).map(|(seq, entry)| Recorded { seq, at: 1_700_000_000_000, entry }).collect();
    InstanceWrite { key: InstanceKey(key), entries, summary: Some(summary(Status::Waiting, Some(until))) }
}
