//! A host that makes every batch durable at once, around an engine with one workflow and one session.

use stepwell_engine::engine::{Command, WorkflowSettings};
use stepwell_engine::instance::{BeginKind, Rejection, Report, Tell};
use stepwell_engine::scheduler::{Pool, Quarantine};
use stepwell_engine::{
    Backoff, CallId, DeploymentId, Engine, Input, Instance, InstanceKey, Output, Payload, Recorded, ReplyId, Retention,
    RetryLimit, RunId, SessionId, Status, StepConfig, Summary, WorkflowId,
};

pub const WORKFLOW: WorkflowId = WorkflowId(1);
pub const SESSION: SessionId = SessionId(1);
pub const POOL: Pool = Pool { deployment: DeploymentId(1), quarantine: Quarantine::Free };
pub const HOUR_MS: u64 = 3_600_000;
/// For good.
pub const RETENTION: Retention = Retention { success_ms: None, error_ms: None };
pub const KEY: InstanceKey = InstanceKey(1);

/// An engine with one workflow and one session.
pub struct Host {
    pub engine: Engine,
    pub now: i64,
    pub out: Vec<Output>,
    /// Of the first instance.
    pub history: Vec<Recorded>,
    /// Its row, as last written.
    pub summary: Option<Summary>,
}

impl Host {
    pub fn new(concurrency: Option<usize>) -> Self {
        let mut host =
            Self { engine: Engine::new(KEY, 100), now: 1_000_000, out: Vec::new(), history: Vec::new(), summary: None };
        let settings =
            WorkflowSettings { deployment: POOL.deployment, follows_newest: false, concurrency, retention: RETENTION };
        host.input(Input::Workflow(WORKFLOW, settings));
        host.input(Input::DueRead { until: host.now + 20_000, due: Vec::new(), complete: true });
        host.input(Input::SessionUp(SESSION, POOL));
        host
    }

    /// With one instance, whose first run has started.
    pub fn started() -> Self {
        let mut host = Self::new(None);
        host.create("a");
        host
    }

    pub fn set_workflow(&mut self, deployment: u32, follows_newest: bool) {
        let (deployment, concurrency, retention) = (DeploymentId(deployment), Some(1), RETENTION);
        self.input(Input::Workflow(WORKFLOW, WorkflowSettings { deployment, follows_newest, concurrency, retention }));
    }

    pub fn input(&mut self, input: Input) {
        self.engine.handle(input, self.now, &mut self.out);
        while let Some((commit, batch)) = self.engine.flush(self.now, &mut self.out) {
            let created = batch.creations.into_iter().filter(|one| one.key == KEY).map(|one| one.created);
            self.history.extend(created);
            for write in batch.writes.into_iter().filter(|write| write.key == KEY) {
                self.history.extend(write.entries);
                self.summary = write.summary.or(self.summary);
            }
            self.engine.handle(Input::Committed(commit, Vec::new()), self.now, &mut self.out);
        }
    }

    pub fn create(&mut self, id: &str) {
        let (params, trigger, retention) = (Payload::UNDEFINED, "api".to_owned(), Retention::default());
        self.input(Input::Create { reply: ReplyId(0), workflow: WORKFLOW, id: id.into(), params, trigger, retention });
    }

    pub fn command(&mut self, command: Command) -> Result<Status, Rejection> {
        self.out.clear();
        self.input(Input::Command { reply: ReplyId(9), key: KEY, command });
        let answer = self.out.iter().find_map(|output| match output {
            Output::Reply(ReplyId(9), answer) => Some(answer.clone()),
            _ => None,
        });
        answer.expect("an answer at once").map(|answer| answer.status)
    }

    pub fn report(&mut self, run: u64, report: Report) {
        self.out.clear();
        self.input(Input::Report(SESSION, RunId(run), report));
    }

    pub fn begin(&mut self, run: u64, call: u32, kind: BeginKind, started: bool) {
        let name = format!("s{call}");
        self.report(run, Report::Begin { call: CallId(call), parent: None, name, count: 1, kind, started });
    }

    pub fn sleep(&mut self, run: u64, call: u32, ms: u64) {
        self.begin(run, call, BeginKind::Sleep { ms }, false);
    }

    pub fn wait(&mut self, run: u64, call: u32) {
        let kind = BeginKind::Wait { event_type: "paid".to_owned(), timeout_ms: HOUR_MS };
        self.begin(run, call, kind, false);
    }

    pub fn send(&mut self) -> Result<Status, Rejection> {
        let payload = Payload::from_json("1");
        self.command(Command::SendEvent { event_type: "paid".to_owned(), payload })
    }

    pub fn pass(&mut self, ms: i64) {
        self.out.clear();
        self.now += ms;
        self.input(Input::Tick);
    }

    /// The run has its grace and is forgotten.
    pub fn suspend(&mut self, run: u64) {
        self.pass(6_000);
        assert_eq!(self.told(run), [Tell::Forget { force: false }]);
        self.report(run, Report::Forgotten);
    }

    pub fn told(&self, run: u64) -> Vec<Tell> {
        let told = self.out.iter().filter_map(|output| match output {
            Output::Tell(_, to, tell) if *to == RunId(run) => Some(tell.clone()),
            _ => None,
        });
        told.collect()
    }

    pub fn starts(&self) -> Vec<(u64, Vec<(CallId, u32)>)> {
        let starts = self.out.iter().filter_map(|output| match output {
            Output::Start(start) => Some((start.run.0, start.grants.clone())),
            _ => None,
        });
        starts.collect()
    }

    pub fn replayed(&self) -> Instance {
        Instance::replay(KEY, WORKFLOW, POOL.deployment, &self.history).expect("a history")
    }

    pub fn status(&self) -> Status {
        self.engine.instance(KEY).expect("it is in memory").status()
    }
}

pub fn config(limit: u32) -> StepConfig {
    StepConfig {
        limit: RetryLimit::Times(limit),
        delay_ms: Some(1_000),
        backoff: Backoff::Constant,
        ..StepConfig::DEFAULT
    }
}
