//! Measures engine and store without a worker process: instances of ten steps whose worker is a function that answers at
//! once, on SQLite with full durability. Prints entries made durable per second.
//!
//! `cargo run --release -p stepwell --example engine_rate [instances]`

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use stepwell::driver::now_ms;
use stepwell_engine::engine::WorkflowSettings;
use stepwell_engine::instance::{Report, Tell};
use stepwell_engine::scheduler::{Pool, Quarantine};
use stepwell_engine::{
    CallId, CommitId, DeploymentId, Engine, Input, InstanceKey, Output, Payload, ReplyId, Retention, RunId, SessionId,
    WorkflowId,
};
use stepwell_store::{CommitError, Committed, Options, Store};

const STEPS: u32 = 10;
const IN_FLIGHT: usize = 512;
/// Reports taken before the engine is flushed: a worker's frames bring some at a time, so that one batch is gathered
/// while another is being synced.
const REPORTS_AT_ONCE: usize = 256;
/// As the driver has it.
const COMMITS_UNDER_WAY_MAX: usize = 2;
const INSTANCES_DEFAULT: usize = 40_000;

const WORKFLOW: WorkflowId = WorkflowId(1);
const SESSION: SessionId = SessionId(1);
const POOL: Pool = Pool { deployment: DeploymentId(1), quarantine: Quarantine::Free };

type Answer = (CommitId, Result<Committed, CommitError>);

/// The server's.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let instances = std::env::args().nth(1).map_or(INSTANCES_DEFAULT, |count| count.parse().expect("a number"));
    let dir = tempfile::tempdir_in(".").expect("a directory");
    let mut host = Host::new(Store::open(dir.path(), Options::default()).expect("a store"));
    let begun = Instant::now();
    host.run(instances);
    println!("{:.0}", host.entries as f64 / begun.elapsed().as_secs_f64());
}

/// What a driver does, without anything outside.
struct Host {
    engine: Engine,
    store: Store,
    reply: Sender<Answer>,
    answers: Receiver<Answer>,
    outputs: Vec<Output>,
    /// What the worker has said and the engine has not heard.
    reports: VecDeque<(RunId, Report)>,
    /// The step that each run is at.
    runs: HashMap<RunId, u32>,
    entries: usize,
    created: usize,
    completed: usize,
}

impl Host {
    fn new(store: Store) -> Self {
        let (reply, answers) = channel();
        let mut host = Self {
            engine: Engine::new(InstanceKey(1), IN_FLIGHT * 2),
            store,
            reply,
            answers,
            outputs: Vec::new(),
            reports: VecDeque::new(),
            runs: HashMap::new(),
            entries: 0,
            created: 0,
            completed: 0,
        };
        let settings = WorkflowSettings {
            deployment: POOL.deployment,
            follows_newest: false,
            concurrency: None,
            retention: Retention::default(),
        };
        host.input(Input::Workflow(WORKFLOW, settings));
        host.input(Input::SessionUp(SESSION, POOL));
        host
    }

    fn run(&mut self, instances: usize) {
        while self.completed < instances {
            while self.created < instances && self.created - self.completed < IN_FLIGHT {
                self.create();
            }
            for _ in 0..REPORTS_AT_ONCE {
                let Some((run, report)) = self.reports.pop_front() else { break };
                self.input(Input::Report(SESSION, run, report));
            }
            self.flush();
            self.take_answers();
        }
    }

    /// Takes commits that are done, and waits for one where nothing else can be done.
    fn take_answers(&mut self) {
        let under_way = self.engine.commits_under_way();
        let must_wait = under_way == COMMITS_UNDER_WAY_MAX || (under_way > 0 && self.reports.is_empty());
        if must_wait {
            let answer = self.answers.recv().expect("the store answers");
            self.take_answer(answer);
        }
        while let Ok(answer) = self.answers.try_recv() {
            self.take_answer(answer);
        }
    }

    fn take_answer(&mut self, (commit, result): Answer) {
        let committed = result.expect("a commit succeeds");
        self.input(Input::Committed(commit, committed.refused));
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(input, now_ms(), &mut self.outputs);
    }

    fn create(&mut self) {
        self.created += 1;
        self.input(Input::Create {
            reply: ReplyId(self.created as u64),
            workflow: WORKFLOW,
            id: Arc::from(uuid::Uuid::new_v4().to_string()),
            params: Payload::from_json("{}"),
            trigger: "api".to_owned(),
            retention: Retention::default(),
        });
    }

    fn flush(&mut self) {
        loop {
            if self.engine.commits_under_way() < COMMITS_UNDER_WAY_MAX
                && let Some((commit, batch)) = self.engine.flush(now_ms(), &mut self.outputs)
            {
                self.entries += batch.entry_count();
                let reply = self.reply.clone();
                self.store.submit(batch, move |result| reply.send((commit, result)).expect("the host waits"));
            }
            if self.outputs.is_empty() {
                return;
            }
            for output in std::mem::take(&mut self.outputs) {
                self.perform(output);
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Start(start) => {
                self.runs.insert(start.run, 0);
                self.go_on(start.run);
            }
            Output::Tell(_, run, Tell::Held(_)) => self.go_on(run),
            Output::Reply(_, answer) => drop(answer.expect("an instance is created")),
            Output::Ended(..) => self.completed += 1,
            // There is nothing in the store that this engine did not put there.
            Output::ReadDue { until, .. } => self.input(Input::DueRead { until, due: Vec::new(), complete: true }),
            other => panic!("the engine wants {other:?}"),
        }
    }

    /// The worker: the next step of a run is done at once, and behind the last one the run completes.
    fn go_on(&mut self, run: RunId) {
        let step = self.runs.get_mut(&run).expect("a live run");
        let call = *step;
        *step += 1;
        let report = if call < STEPS {
            let value = Payload::from_json(call.to_string());
            Report::Did {
                call: CallId(call),
                parent: None,
                name: format!("step {call}"),
                count: 1,
                config: None,
                value,
            }
        } else {
            self.runs.remove(&run);
            Report::Completed(Payload::from_json("{\"steps\":10}"))
        };
        self.reports.push_back((run, report));
    }
}
