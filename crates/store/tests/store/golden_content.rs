//! What the golden database of format 1 holds: every kind of entry, once.

use stepwell_engine::{
    Backoff, Batch, CallId, Creation, DeploymentId, Entry, ErrorRecord, InstanceKey, InstanceWrite, Outcome, Payload,
    Recorded, Retention, RetryLimit, Source, Status, StepConfig, StepKind, Summary, WorkflowId,
};

pub const KEY: InstanceKey = InstanceKey(7);

pub fn batch() -> Batch {
    let mut entries = entries();
    let created = entries.remove(0);
    let creation = Creation {
        key: KEY,
        workflow: WorkflowId(3),
        id: "golden".into(),
        deployment: DeploymentId(2),
        created,
        summary: summary(),
    };
    let write = InstanceWrite { key: KEY, entries, summary: None };
    Batch { creations: vec![creation], writes: vec![write], ..Batch::default() }
}

pub fn summary() -> Summary {
    Summary {
        status: Status::WaitingForPause,
        wake_at: Some(1_700_000_000_001),
        deployment: DeploymentId(2),
        modified_at: 1_700_000_000_002,
        started_at: Some(1_700_000_000_003),
        ended_at: Some(1_700_000_000_004),
    }
}

pub fn entries() -> Vec<Recorded> {
    let entries = lifecycle().into_iter().chain(calls());
    (0..).zip(entries).map(|(seq, entry)| Recorded { seq, at: 1_700_000_000_000 + seq as i64, entry }).collect()
}

fn error() -> ErrorRecord {
    ErrorRecord {
        name: "TypeError".to_owned(),
        message: "\"quoted\" ü".to_owned(),
        stack: Some("at a\nat b".to_owned()),
        cause: None,
    }
}

fn exact() -> Payload {
    Payload { json: Some("\"2020\"".into()), exact: Some("\"[[\\\"Date\\\"]]\"".into()), value_bytes: 24 }
}

fn lifecycle() -> Vec<Entry> {
    vec![
        Entry::Created {
            params: Payload::from_json("{\"a\":1}"),
            trigger: "api".to_owned(),
            retention: Retention::default(),
        },
        Entry::Started { deployment: DeploymentId(2) },
        Entry::EventReceived { event_type: "approved".to_owned(), payload: exact() },
        Entry::PauseRequested,
        Entry::Paused,
        Entry::Resumed,
        Entry::WorkerKilled,
        Entry::Diverged { message: "expected b".to_owned(), stuck: false },
        Entry::Completed { output: Payload::UNDEFINED },
        Entry::Errored { error: ErrorRecord::new("Error", "no stack") },
        Entry::Terminated { source: Source::Unknown },
    ]
}

fn calls() -> Vec<Entry> {
    let own = StepConfig {
        limit: RetryLimit::Unlimited,
        delay_ms: None,
        backoff: Backoff::Linear,
        timeout_ms: 5,
        sensitive: true,
    };
    let kinds = [
        StepKind::Do(StepConfig::DEFAULT),
        StepKind::Do(own.clone()),
        StepKind::Sleep { until: 5 },
        StepKind::SleepUntil { until: 6 },
        StepKind::Wait { event_type: "approved".to_owned(), timeout_ms: 9, until: 7 },
    ];
    let outcomes = [
        Outcome::Done { attempt: 2, value: exact() },
        Outcome::Slept,
        Outcome::Event { seq: 2 },
        Outcome::TimedOut,
        Outcome::Lost(error()),
    ];
    let begun = (0..).zip(kinds).map(|(call, kind)| {
        let (parent, name) = ((call > 0).then_some(CallId(0)), format!("step \"{call}\" ü"));
        Entry::Begun { call: CallId(call), parent, name, count: call + 1, kind, started: call == 0 }
    });
    let settled = (0..).zip(outcomes).map(|(call, outcome)| Entry::Settled { call: CallId(call), outcome });
    let did = [None, Some(Box::new(own))].map(|config| {
        let (name, value) = ("did".to_owned(), Payload::from_json("[1]"));
        Entry::Did { call: CallId(9), parent: None, name, count: 1, config, value }
    });
    let failed =
        [None, Some(44)].map(|retry_at| Entry::AttemptFailed { call: CallId(0), attempt: 1, error: error(), retry_at });
    let again = Entry::AttemptStarted { call: CallId(0), attempt: 2 };
    begun.chain(settled).chain(did).chain(failed).chain([again]).collect()
}
