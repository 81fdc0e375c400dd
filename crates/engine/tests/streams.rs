//! Which streams are kept and which are dropped, with a host that makes every batch durable at once.

use stepwell_engine::engine::{Command, Fault, WorkflowSettings};
use stepwell_engine::instance::{BeginKind, Report, Severity};
use stepwell_engine::scheduler::{Pool, Quarantine};
use stepwell_engine::{
    CallId, DeploymentId, Engine, Entry, ErrorRecord, Input, InstanceKey, Outcome, Output, Payload, ReplyId, Retention,
    RetryLimit, RunId, SessionId, Source, StepConfig, StreamId, StreamPlace, StreamRef, WorkflowId,
};

const WORKFLOW: WorkflowId = WorkflowId(1);
const SESSION: SessionId = SessionId(1);
const POOL: Pool = Pool { deployment: DeploymentId(1), quarantine: Quarantine::Free };
const KEY: InstanceKey = InstanceKey(1);
const RUN: RunId = RunId(1);
const CALL: CallId = CallId(0);
const STREAM: StreamId = StreamId(40);

/// An engine with one instance, whose first run is live.
struct Host {
    engine: Engine,
    now: i64,
    out: Vec<Output>,
    entries: Vec<Entry>,
    dropped: Vec<StreamId>,
}

impl Host {
    fn started() -> Self {
        let engine = Engine::new(KEY, 100);
        let mut host = Self { engine, now: 1_000_000, out: Vec::new(), entries: Vec::new(), dropped: Vec::new() };
        let settings = WorkflowSettings {
            deployment: POOL.deployment,
            follows_newest: false,
            concurrency: None,
            retention: Retention::default(),
        };
        host.input(Input::Workflow(WORKFLOW, settings));
        host.input(Input::DueRead { until: host.now + 20_000, due: Vec::new(), complete: true });
        host.input(Input::SessionUp(SESSION, POOL));
        let (params, trigger) = (Payload::UNDEFINED, "api".to_owned());
        host.input(Input::Create {
            reply: ReplyId(0),
            workflow: WORKFLOW,
            id: "a".into(),
            params,
            trigger,
            retention: Retention::default(),
        });
        host
    }

    /// With a step whose first attempt is in flight and writes a stream.
    fn writing() -> Self {
        let mut host = Self::started();
        host.begin();
        host.input(Input::StreamOpened(RUN, CALL, 1, STREAM));
        host
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(input, self.now, &mut self.out);
        while let Some((commit, batch)) = self.engine.flush(self.now, &mut self.out) {
            let entries = batch.writes.into_iter().flat_map(|write| write.entries);
            self.entries.extend(entries.map(|recorded| recorded.entry));
            self.dropped.extend(batch.dropped_streams);
            self.engine.handle(Input::Committed(commit, Vec::new()), self.now, &mut self.out);
        }
    }

    fn report(&mut self, report: Report) {
        self.out.clear();
        self.input(Input::Report(SESSION, RUN, report));
    }

    fn begin(&mut self) {
        let config = StepConfig { limit: RetryLimit::Times(2), timeout_ms: 500, ..StepConfig::DEFAULT };
        let (name, kind) = ("s".to_owned(), BeginKind::Do(config));
        self.report(Report::Begin { call: CALL, parent: None, name, count: 1, kind, started: true });
    }

    fn succeed(&mut self, id: StreamId) {
        let stream = StreamRef { id, chunks: 1, bytes: 9 };
        self.report(Report::Streamed { call: CALL, attempt: 1, stream, preview: Payload::from_json("\"x\"") });
    }

    fn place(&self, attempt: u32) -> StreamPlace {
        self.engine.stream_place(RUN, CALL, attempt)
    }

    fn is_fault(&self) -> bool {
        self.out.iter().any(|output| matches!(output, Output::Fault(SESSION, _)))
    }

    fn keeps(&self, id: StreamId) -> bool {
        let is_named = |outcome: &Outcome| matches!(outcome, Outcome::Streamed { stream, .. } if stream.id == id);
        self.entries.iter().any(|entry| matches!(entry, Entry::Settled { outcome, .. } if is_named(outcome)))
    }
}

#[test]
fn a_stream_is_kept_where_its_attempt_succeeds_with_it() {
    let mut host = Host::writing();
    assert_eq!(host.place(1), StreamPlace::Open(KEY));
    host.succeed(STREAM);
    assert!(host.keeps(STREAM));
    assert_eq!(host.place(1), StreamPlace::Over);
    host.report(Report::Completed(Payload::UNDEFINED));
    assert_eq!(host.dropped, []);
}

#[test]
fn an_attempt_whose_beginning_is_on_its_way_may_write_soon() {
    let host = Host::started();
    assert_eq!(host.place(1), StreamPlace::NotYet);
    assert_eq!(host.engine.stream_place(RunId(9), CALL, 1), StreamPlace::Over);
}

#[test]
fn a_stream_whose_attempt_fails_is_dropped() {
    let mut host = Host::writing();
    let (error, severity) = (ErrorRecord::new("Error", "no"), Severity::Ordinary);
    host.report(Report::Failed { call: CALL, attempt: 1, error, severity, delay_ms: None });
    assert_eq!(host.dropped, [STREAM]);
}

#[test]
fn a_stream_whose_attempt_times_out_is_dropped_and_its_result_not_heard() {
    let mut host = Host::writing();
    host.now += 600;
    host.input(Input::Tick);
    assert_eq!(host.dropped, [STREAM]);
    host.succeed(STREAM);
    assert!(!host.keeps(STREAM) && !host.is_fault());
}

#[test]
fn a_stream_whose_worker_is_lost_is_dropped() {
    let mut host = Host::writing();
    host.input(Input::SessionDown(SESSION, Fault::None));
    assert_eq!(host.dropped, [STREAM]);
}

#[test]
fn a_stream_of_a_terminated_instance_is_dropped() {
    let mut host = Host::writing();
    host.input(Input::Command { reply: ReplyId(1), key: KEY, command: Command::Terminate(Source::Api) });
    assert_eq!(host.dropped, [STREAM]);
}

#[test]
fn a_stream_that_was_begun_too_late_is_dropped() {
    let mut host = Host::writing();
    host.succeed(STREAM);
    host.input(Input::StreamOpened(RUN, CALL, 1, StreamId(41)));
    assert_eq!(host.dropped, [StreamId(41)]);
}

#[test]
fn only_the_stream_that_is_the_result_is_kept() {
    let mut host = Host::writing();
    host.input(Input::StreamOpened(RUN, CALL, 1, StreamId(41)));
    host.succeed(StreamId(41));
    assert!(host.keeps(StreamId(41)));
    assert_eq!(host.dropped, [STREAM]);
}

#[test]
fn a_result_in_a_stream_that_the_attempt_did_not_write_ends_the_session() {
    let mut host = Host::writing();
    host.succeed(StreamId(7));
    assert!(host.is_fault() && !host.keeps(StreamId(7)));
}

#[test]
fn a_fatal_failure_ends_the_instance_with_an_error_of_its_own() {
    let mut host = Host::writing();
    let (error, ended) = (ErrorRecord::new("WorkflowFatalError", "no"), ErrorRecord::new("WorkflowFatalError", "over"));
    let severity = Severity::Fatal(ended.clone());
    host.report(Report::Failed { call: CALL, attempt: 1, error: error.clone(), severity, delay_ms: None });
    let failed = Entry::AttemptFailed { call: CALL, attempt: 1, error, retry_at: None };
    assert_eq!(host.entries[host.entries.len() - 2..], [failed, Entry::Errored { error: ended }]);
    assert_eq!(host.dropped, [STREAM]);
}
