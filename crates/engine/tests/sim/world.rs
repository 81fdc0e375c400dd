//! The simulated machine: a clock that may jump, what happens next, and whether all has ended as promised.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use stepwell_engine::engine::{Chaos, Due, Fault};
use stepwell_engine::instance::Report;
use stepwell_engine::scheduler::Pool;
use stepwell_engine::{
    CommitId, Engine, Input, Instance, InstanceKey, Millis, Recorded, RunId, SessionId, StreamId, WorkflowId,
};

use super::checker::Checker;
use super::client::{Ask, Client};
use super::host::Commit;
use super::keeping::{Keeping, SCHEDULES_END_MS};
use super::mutant::Mutant;
use super::program::Program;
use super::rng::Rng;
use super::store::Store;
use super::streams::Writer;
use super::turn::Seen;
use super::worker::Session;

/// Workflows with the number of instances that may run at once.
pub const LIMITS: [Option<usize>; 3] = [None, Some(1), Some(2)];
/// When faults stop.
pub const FAULTS_MS: i64 = 60_000;
/// By when everything has to be complete.
pub const END_MS: i64 = 3_600_000;
/// Lines of the trace that a failure shows.
const TRACE_LINES: usize = 120;

/// What happens next.
#[derive(Debug)]
pub enum Event {
    Flush,
    Durable(CommitId),
    Committed(CommitId),
    Loaded(InstanceKey, Option<Box<Instance>>),
    Load(InstanceKey),
    HistoryRead(InstanceKey, Vec<Recorded>),
    DueRead {
        until: Millis,
        due: Vec<Due>,
        complete: bool,
    },
    SessionUp(Pool),
    ToWorker(SessionId),
    ToServer(SessionId),
    RunTurn(SessionId, RunId),
    Client,
    Nature,
    SessionLost(SessionId),
    /// A user sends an event at an awkward moment.
    Poke(InstanceKey),
    Stale(SessionId, RunId, Box<Report>),
    StreamAsked(Writer),
    StreamBegun(Writer, InstanceKey),
    StreamOpened(Writer, StreamId),
    Restart,
    EndSchedules,
    Tick,
}

impl Event {
    /// It happens whatever becomes of the server.
    fn is_of_the_world(&self) -> bool {
        matches!(self, Self::Client | Self::Nature | Self::Restart | Self::EndSchedules)
    }
}

/// Everything.
pub struct World {
    pub rng: Rng,
    pub chaos: Chaos,
    pub now: i64,
    pub offset: i64,
    pub wall_max: Millis,
    order: u64,
    queue: BTreeMap<(i64, u64), (u32, Event)>,
    /// Incarnation of the server process: what was on its way in an earlier one is lost.
    pub life: u32,
    pub engine: Option<Engine>,
    pub store: Store,
    pub checker: Checker,
    pub client: Client,
    pub keeping: Keeping,
    pub sessions: BTreeMap<SessionId, Session>,
    pub commits: VecDeque<Commit>,
    pub flushing: bool,
    pub wanted: Vec<Pool>,
    pub run_keys: BTreeMap<RunId, InstanceKey>,
    pub positions: BTreeMap<RunId, usize>,
    /// Streams of which the engine is still to hear.
    pub streams_under_way: usize,
    /// Instances of which a worker that looks for a culprit was killed from outside.
    pub killed_outside: BTreeSet<InstanceKey>,
    session_next: u32,
    pub mutant: Option<Mutant>,
    pub jumped: bool,
    tracing: bool,
    trace: VecDeque<String>,
    pub steps: u64,
}

impl World {
    pub fn new(seed: u64, mutant: Option<Mutant>, tracing: bool) -> Self {
        let mut rng = Rng::new(seed);
        let offset = 1_700_000_000_000 + rng.between(0, 1_000_000);
        let client = Client::new(&mut rng);
        let chaos = if rng.chance(20) { Chaos::Replay } else { Chaos::None };
        let mut world = Self {
            rng,
            chaos,
            now: 0,
            offset,
            wall_max: 0,
            order: 0,
            queue: BTreeMap::new(),
            life: 0,
            engine: None,
            store: Store::default(),
            checker: Checker::default(),
            client,
            sessions: BTreeMap::new(),
            commits: VecDeque::new(),
            flushing: false,
            wanted: Vec::new(),
            run_keys: BTreeMap::new(),
            positions: BTreeMap::new(),
            streams_under_way: 0,
            killed_outside: BTreeSet::new(),
            session_next: 1,
            keeping: Keeping::default(),
            mutant,
            jumped: false,
            tracing,
            trace: VecDeque::new(),
            steps: 0,
        };
        world.put_schedules(|_| true);
        world.start_server();
        world.at(SCHEDULES_END_MS, Event::EndSchedules);
        world.at(5, Event::Client);
        world.at(1_000, Event::Nature);
        world
    }

    pub fn wall(&self) -> Millis {
        self.now + self.offset
    }

    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if self.tracing {
            if self.trace.len() == TRACE_LINES {
                self.trace.pop_front();
            }
            self.trace.push_back(format!("{:>9} {}", self.now, line()));
        }
    }

    pub fn trace(&self) -> String {
        self.trace.iter().map(|line| format!("{line}\n")).collect()
    }

    pub fn after(&mut self, ms: i64, event: Event) {
        self.at(self.now + ms, event);
    }

    pub fn at(&mut self, at: i64, event: Event) {
        self.order += 1;
        self.queue.insert((at, self.order), (self.life, event));
    }

    /// Runs until a promise is broken, all is complete, or time is up.
    pub fn run(&mut self) {
        while self.checker.broken.is_none() {
            let tick_at =
                self.engine.as_ref().and_then(Engine::next_tick).map(|wall| (wall - self.offset).max(self.now));
            let next_at = self.queue.keys().next().map(|(at, _)| *at);
            let next = tick_at.filter(|tick| next_at.is_none_or(|at| *tick <= at)).or(next_at);
            let Some(next) = next else { break };
            if next > END_MS {
                return self.stuck();
            }
            self.now = self.now.max(next);
            self.wall_max = self.wall_max.max(self.wall());
            self.steps += 1;
            if tick_at == Some(next) {
                self.happen(Event::Tick);
            } else if let Some((_, (life, event))) = self.queue.pop_first()
                && (life == self.life || event.is_of_the_world())
            {
                self.happen(event);
            }
            self.check_limits();
            if self.now > FAULTS_MS && self.is_complete() {
                return self.check_end();
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick => self.tick(),
            Event::Flush => self.flush(),
            Event::Durable(commit) => self.durable(commit),
            Event::Committed(commit) => self.committed(commit),
            Event::Loaded(key, instance) => self.input(Input::Loaded(key, instance)),
            Event::Load(key) => {
                let instance = self.store.load(key).map(Box::new);
                self.input(Input::Loaded(key, instance));
            }
            Event::HistoryRead(key, history) => self.input(Input::HistoryRead(key, history)),
            Event::DueRead { until, due, complete } => self.input(Input::DueRead { until, due, complete }),
            Event::SessionUp(pool) => self.session_up(pool),
            Event::ToWorker(session) => self.worker_hears(session),
            Event::ToServer(session) => self.server_hears(session),
            Event::RunTurn(session, run) => self.run_turn(session, run),
            Event::SessionLost(session) => self.session_lost(session),
            Event::Stale(session, run, report) => self.input(Input::Report(session, run, *report)),
            Event::StreamAsked(writer) => self.stream_asked(writer),
            Event::StreamBegun(writer, key) => self.stream_begun(writer, key),
            Event::StreamOpened(writer, id) => self.stream_opened(writer, id),
            Event::Poke(key) => self.poke(key),
            Event::Client => self.client_acts(),
            Event::Nature => self.nature(),
            Event::Restart => self.start_server(),
            Event::EndSchedules => self.end_schedules(),
        }
    }

    fn tick(&mut self) {
        if self.mutant == Some(Mutant::EarlyTimer) {
            let early = self.wall() + 700;
            let mut out = Vec::new();
            if let Some(engine) = &mut self.engine {
                engine.handle(Input::Tick, early, &mut out);
            }
            return self.perform(out);
        }
        self.input(Input::Tick);
    }

    /// Feeds the engine.
    pub fn input(&mut self, input: Input) {
        let wall = self.wall();
        if !matches!(input, Input::Tick | Input::Committed(..) | Input::DueRead { .. }) {
            self.note(|| format!("in  {input:?}"));
        }
        let Some(engine) = &mut self.engine else { return };
        let mut out = Vec::new();
        engine.handle(input, wall, &mut out);
        self.perform(out);
    }

    /// Notes what user code did.
    pub fn saw(&mut self, run: RunId, key: InstanceKey, seen: &[Seen]) {
        for one in seen {
            let position = matches!(one, Seen::Resolved { nested: false, .. }).then(|| {
                let position = self.positions.entry(run).or_insert(0);
                *position += 1;
                *position - 1
            });
            self.checker.saw(&self.store, key, one, position);
        }
    }

    pub fn jump_clock(&mut self) {
        let ms = self.rng.between(-40_000, 40_000);
        self.note(|| format!("the clock jumps by {ms} ms"));
        self.offset += ms;
        self.jumped = true;
    }

    fn session_up(&mut self, pool: Pool) {
        self.wanted.retain(|other| *other != pool);
        let session = SessionId(self.session_next);
        self.session_next += 1;
        self.sessions.insert(session, Session::new(pool, self.wall()));
        self.input(Input::SessionUp(session, pool));
    }

    /// Gives the engine what the client wants.
    pub fn ask(&mut self, ask: Ask) {
        if self.engine.is_none() {
            return;
        }
        let Some(input) = self.client.send(ask, self.mutant, &mut self.rng) else { return };
        self.input(input);
    }

    fn check_limits(&mut self) {
        let Some(engine) = &self.engine else { return };
        for (index, limit) in LIMITS.iter().enumerate() {
            let taken = engine.places_taken(WorkflowId(index as u32));
            if limit.is_some_and(|limit| taken > limit) {
                self.checker.fail(format!("workflow {index} has taken {taken} places of {limit:?}"));
            }
        }
    }

    fn is_complete(&self) -> bool {
        let Some(engine) = &self.engine else { return false };
        self.now > SCHEDULES_END_MS
            && self.store.rows.values().all(|row| row.summary.status.is_final() && row.summary.wake_at.is_none())
            && engine.commits_under_way() == 0
            && self.streams_under_way == 0
            && !self.flushing
            && engine.loaded_count() == 0
            && engine.run_count() == 0
            && self.client.is_done(self.now)
    }

    fn stuck(&mut self) {
        let open: Vec<String> = self
            .store
            .rows
            .iter()
            .filter(|(_, row)| !row.summary.status.is_final() || row.summary.wake_at.is_some())
            .map(|(key, row)| format!("{key} ({}, wakes at {:?})", row.summary.status, row.summary.wake_at))
            .collect();
        let loaded = self.engine.as_ref().map_or(0, Engine::loaded_count);
        let runs = self.engine.as_ref().map_or(0, Engine::run_count);
        self.checker.fail(format!("not complete in time: {open:?}; {loaded} instances in memory, {runs} runs"));
    }

    fn check_end(&mut self) {
        let engine = self.engine.as_ref().expect("a server that is up");
        let taken: Vec<usize> = (0..LIMITS.len()).map(|index| engine.places_taken(WorkflowId(index as u32))).collect();
        let runs = engine.run_count();
        self.checker.require(taken.iter().all(|taken| *taken == 0) && runs == 0, || {
            format!("at the end {taken:?} places are taken and {runs} runs are counted")
        });
        for (key, row) in &self.store.rows {
            let program: Rc<Program> = self.client.program(row.workflow, &row.id);
            self.checker.history(*key, row, program.is_rogue);
            self.checker.rollback(*key, row, &program);
            let replayed = self.store.load(*key).expect("a stored instance");
            let (told, row_status) = (replayed.status(), row.summary.status);
            self.checker
                .require(told == row_status, || format!("{key} is {told} by its history, {row_status} by its row"));
        }
        self.check_streams();
        self.client.check_end(&self.store, &self.keeping.expired, &mut self.checker);
    }

    /// A fault that the server sees as the end of a session.
    pub fn down(&mut self, session: SessionId, fault: Fault) {
        if self.mutant == Some(Mutant::PlaceLeak) && fault == Fault::None {
            return;
        }
        self.input(Input::SessionDown(session, fault));
    }

    /// An id as text.
    pub fn id(index: u64) -> Arc<str> {
        Arc::from(format!("i{index}"))
    }
}
