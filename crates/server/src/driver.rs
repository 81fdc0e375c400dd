//! The driver: the one loop that moves instances. It gathers what comes from faces, sessions, the store and the clock,
//! lets the engine decide, hands batches to the store and does what the engine wants done.
//!
//! It knows no HTTP, no process and no file: workers are behind [`SessionEvent`]s and a [`WorkerPool`].

mod follower;
mod handle;
mod large_value;
mod news;
mod session_io;
mod start;
mod streams;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use follower::Nobody;
pub use follower::{FollowedRun, Follower, RunEnd, RunNews, RunWord};
pub use handle::DriverHandle;
use handle::Request;
use news::News;
use session_io::SessionIo;
pub use session_io::{SessionCatalog, SessionLoad};
pub use start::StartInfo;
use stepwell_engine::engine::{Answer, Due, Fault, Start};
use stepwell_engine::instance::{Rejection, Report, Settlement, Tell};
use stepwell_engine::limits::BATCH_ENTRIES_MAX;
use stepwell_engine::scheduler::Pool;
use stepwell_engine::{
    CallId, CommitId, Engine, ErrorRecord, Input, Instance, InstanceKey, Millis, Output, Recorded, ReplyId, RunId,
    SessionId, Status, WorkflowId,
};
use stepwell_runtime::session::SessionSender;
use stepwell_runtime::translate::ConsoleLine;
use stepwell_store::{CommitError, Committed, LogLine, ReadError, Store};
pub use streams::{Claim, Writer};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
pub use crate::clock::now_ms;
use large_value::large_value;
use start::{LargeValues, StartSent};

/// Requests that wait for the driver.
const REQUESTS_WAITING_MAX: usize = 4_096;
/// Events of sessions that wait for the driver; behind it, sessions wait.
const SESSION_EVENTS_WAITING_MAX: usize = 256;
/// Inputs taken before the engine is flushed.
const INPUTS_AT_ONCE: usize = 512;
/// Batches on their way to the store: one is being synced, one waits, one is gathered.
const COMMITS_UNDER_WAY_MAX: usize = 2;
/// Due instances read at once.
const DUE_PAGE: usize = stepwell_engine::limits::DUE_PAGE;

/// First wait after a read that failed; it doubles up to [`READ_RETRY_MAX`].
const READ_RETRY_FIRST: Duration = Duration::from_millis(50);
const READ_RETRY_MAX: Duration = Duration::from_secs(5);

/// What sessions tell the driver.
#[derive(Debug)]
pub enum SessionEvent {
    /// A session takes runs.
    Up(SessionId, Pool, Arc<SessionSender>, Arc<SessionCatalog>, Arc<SessionLoad>),
    /// Runs of a session said something, in order.
    Reports(SessionId, Vec<(RunId, Report)>),
    /// A run needs a value that was left out of its history.
    Want(SessionId, RunId, CallId),
    /// A run wrote to its console.
    Log(RunId, ConsoleLine),
    /// A session takes no further runs.
    Draining(SessionId),
    /// A session is gone.
    Down(SessionId, Fault),
}

/// Who makes sessions.
pub trait WorkerPool: Send + 'static {
    /// A session of this pool is wanted: [`SessionEvent::Up`] follows, sooner or later.
    fn want(&self, pool: Pool);
    /// A session's worker broke the protocol and must end: [`SessionEvent::Down`] follows.
    fn fault(&self, session: SessionId, reason: &'static str);
}

/// What comes back from the store and from starts.
enum Done {
    Committed(CommitId, Result<Committed, CommitError>),
    Loaded(InstanceKey, Option<Box<Instance>>),
    HistoryRead(InstanceKey, Vec<Recorded>),
    DueRead(Millis, Vec<Due>, bool),
    StartSent(RunId, StartSent),
}

/// A live run, as far as sending goes.
struct RunIo {
    key: InstanceKey,
    workflow: WorkflowId,
    /// The instance's id, where the run is its first.
    id: Option<Arc<str>>,
    session: SessionId,
    started_at: Millis,
    /// It was told to be forgotten whatever it does.
    is_forced: bool,
    /// What is to be said once its start has been sent.
    held: Option<Vec<Tell>>,
    /// Values that it wants already, while its start is being sent.
    wanted: Vec<CallId>,
    large: LargeValues,
}

/// The loop's state.
pub struct Driver<P> {
    engine: Engine,
    store: Store,
    pool: P,
    /// Where reads are awaited and histories are written: not on the driver's own thread.
    runtime: Handle,
    sessions: HashMap<SessionId, SessionIo>,
    runs: HashMap<RunId, RunIo>,
    replies: HashMap<ReplyId, oneshot::Sender<Result<Answer, Rejection>>>,
    next_reply: ReplyId,
    watchers: HashMap<InstanceKey, Vec<oneshot::Sender<Status>>>,
    news: News,
    follower: Arc<dyn Follower>,
    done: mpsc::UnboundedSender<Done>,
    outputs: Vec<Output>,
    failed: Option<CommitError>,
}

/// The ends of the driver's channels that others hold.
pub struct DriverPorts {
    /// For faces.
    pub handle: DriverHandle,
    /// For sessions.
    pub sessions: mpsc::Sender<SessionEvent>,
    /// Who follows runs live.
    pub follower: Arc<dyn Follower>,
    requests: mpsc::Receiver<Request>,
    events: mpsc::Receiver<SessionEvent>,
}

impl DriverPorts {
    /// Channels for a driver that does not run yet.
    #[must_use]
    pub fn new() -> Self {
        let (requests_in, requests) = mpsc::channel(REQUESTS_WAITING_MAX);
        let (sessions, events) = mpsc::channel(SESSION_EVENTS_WAITING_MAX);
        Self { handle: DriverHandle { requests: requests_in }, sessions, follower: Arc::new(Nobody), requests, events }
    }
}

impl Default for DriverPorts {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: WorkerPool> Driver<P> {
    /// Takes what is `known` of workflows and runs until `stop`, or until the store fails for good.
    ///
    /// # Errors
    /// The store's failure, after which the process must end: what memory holds may not be what is durable.
    pub async fn run(
        engine: Engine,
        known: Vec<Input>,
        store: Store,
        pool: P,
        runtime: Handle,
        ports: DriverPorts,
        stop: impl Future<Output = ()>,
    ) -> Result<(), CommitError> {
        let (done_in, mut done) = mpsc::unbounded_channel();
        let DriverPorts { mut requests, mut events, follower, handle, sessions } = ports;
        drop((handle, sessions));
        let mut driver = Self {
            engine,
            store,
            pool,
            runtime,
            sessions: HashMap::new(),
            runs: HashMap::new(),
            replies: HashMap::new(),
            next_reply: ReplyId(1),
            watchers: HashMap::new(),
            news: News::default(),
            follower,
            done: done_in,
            outputs: Vec::new(),
            failed: None,
        };
        for input in known {
            driver.input(input);
        }
        // The first inputs want things, too: what is due may not wait for the next one.
        driver.flush();
        tokio::pin!(stop);
        while driver.failed.is_none() {
            let tick = driver.until_tick();
            let has_room = driver.has_room();
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                Some(event) = done.recv() => driver.take_done(event),
                Some(event) = events.recv(), if has_room => driver.take_event(event),
                Some(request) = requests.recv(), if has_room => driver.take_request(request),
                () = tokio::time::sleep(tick), if has_room => driver.input(Input::Tick),
            }
            for _ in 0..INPUTS_AT_ONCE {
                if let Ok(event) = done.try_recv() {
                    driver.take_done(event);
                } else if !driver.has_room() {
                    break;
                } else if let Ok(event) = events.try_recv() {
                    driver.take_event(event);
                } else if let Ok(request) = requests.try_recv() {
                    driver.take_request(request);
                } else {
                    break;
                }
            }
            driver.flush();
        }
        driver.failed.map_or(Ok(()), Err)
    }

    fn until_tick(&self) -> Duration {
        let wait_ms = self.engine.next_tick().map_or(1_000, |at| at.saturating_sub(now_ms()).clamp(0, 60_000));
        clock::real(wait_ms.unsigned_abs())
    }

    /// Whether more may be decided: while the store is slow or full, whoever wants something waits.
    fn has_room(&self) -> bool {
        self.engine.commits_under_way() < COMMITS_UNDER_WAY_MAX || self.engine.gathered_count() < BATCH_ENTRIES_MAX
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(input, now_ms(), &mut self.outputs);
    }

    fn take_request(&mut self, request: Request) {
        match request {
            Request::Create { workflow, id, params, trigger, retention, reply } => {
                let reply = self.expect_reply(reply);
                self.input(Input::Create { reply, workflow, id, params, trigger, retention });
            }
            Request::Command { key, command, reply } => {
                let reply = self.expect_reply(reply);
                self.input(Input::Command { reply, key, command });
            }
            Request::Watch { key, watched, reply } => {
                let watchers = self.watchers.entry(key).or_default();
                watchers.retain(|watcher| !watcher.is_closed());
                watchers.push(reply);
                // One that has lost patience needs no word.
                let _ = watched.send(());
            }
            Request::Schedules(workflow, schedules) => self.input(Input::Schedules(workflow, schedules)),
            Request::News { key, watched, reply } => {
                self.news.watch(key, reply);
                let _ = watched.send(());
            }
            Request::Workflow(workflow, settings) => self.input(Input::Workflow(workflow, settings)),
            Request::Stream(request) => self.take_stream_request(request),
        }
    }

    fn expect_reply(&mut self, reply: oneshot::Sender<Result<Answer, Rejection>>) -> ReplyId {
        let id = self.next_reply;
        self.next_reply = ReplyId(id.0 + 1);
        self.replies.insert(id, reply);
        id
    }

    fn take_done(&mut self, event: Done) {
        match event {
            Done::Committed(commit, Ok(committed)) => {
                self.news.committed(commit);
                self.input(Input::Committed(commit, committed.refused));
            }
            Done::Committed(_, Err(error)) => self.failed = Some(error),
            Done::Loaded(key, instance) => self.input(Input::Loaded(key, instance)),
            Done::HistoryRead(key, history) => self.input(Input::HistoryRead(key, history)),
            Done::DueRead(until, due, complete) => self.input(Input::DueRead { until, due, complete }),
            Done::StartSent(run, large) => self.start_sent(run, large),
        }
    }

    fn take_event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Up(session, pool, sender, catalog, load) => {
                self.sessions.insert(session, SessionIo::new(sender, catalog, load));
                self.input(Input::SessionUp(session, pool));
            }
            SessionEvent::Reports(session, reports) => {
                let is_followed = self.is_followed(session);
                for (run, report) in reports {
                    if is_followed {
                        self.tell_follower(run, |io| RunWord::of(&report, io.is_forced));
                    }
                    let ends = matches!(report, Report::Completed(_) | Report::Threw(_) | Report::Forgotten);
                    self.input(Input::Report(session, run, report));
                    if ends {
                        self.remove_run(run);
                    }
                }
            }
            SessionEvent::Want(session, run, call) => self.send_value(session, run, call),
            SessionEvent::Log(run, line) => self.log(run, line),
            SessionEvent::Draining(session) => self.input(Input::SessionDraining(session)),
            SessionEvent::Down(session, fault) => {
                if self.is_followed(session) {
                    self.tell_of_loss(session, fault);
                }
                self.sessions.remove(&session);
                self.runs.retain(|_, run| run.session != session);
                self.input(Input::SessionDown(session, fault));
            }
        }
    }

    fn remove_run(&mut self, run: RunId) {
        if let Some(io) = self.runs.remove(&run)
            && let Some(session) = self.sessions.get(&io.session)
        {
            session.load.leave();
        }
    }

    fn flush(&mut self) {
        // What is done may make the engine want more: until nothing comes out.
        loop {
            if self.engine.commits_under_way() < COMMITS_UNDER_WAY_MAX
                && let Some((commit, batch)) = self.engine.flush(now_ms(), &mut self.outputs)
            {
                self.news.submitted(commit, &batch);
                let done = self.done.clone();
                self.store.submit(batch, move |result| {
                    // A driver that is gone needs no answer.
                    let _ = done.send(Done::Committed(commit, result));
                });
            }
            if self.outputs.is_empty() {
                break;
            }
            for output in std::mem::take(&mut self.outputs) {
                self.perform(output);
            }
        }
        for session in self.sessions.values_mut() {
            session.send();
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Load(key) => self.load(key),
            Output::ReadHistory(key) => self.read_history(key),
            Output::ReadDue { after, until } => self.read_due(after, until),
            Output::WantSession(pool) => self.pool.want(pool),
            Output::Fault(session, reason) => self.pool.fault(session, reason),
            Output::Start(start) => self.start(*start),
            Output::Tell(session, run, tell) => self.tell(session, run, tell),
            Output::Reply(reply, result) => {
                if let Some(reply) = self.replies.remove(&reply) {
                    // Who asked may have gone away.
                    let _ = reply.send(result);
                }
            }
            Output::Ended(key, status) => {
                for watcher in self.watchers.remove(&key).unwrap_or_default() {
                    let _ = watcher.send(status);
                }
            }
        }
    }

    fn start(&mut self, start: Start) {
        let (session, run, key) = (start.session, start.run, start.key);
        let Some(io) = self.sessions.get_mut(&session) else { return };
        let Some(info) = io.catalog.start_info(start.workflow) else {
            let error = ErrorRecord::new("Error", "the deployed code no longer has a class for this workflow");
            return self.input(Input::Report(session, run, Report::Threw(error)));
        };
        io.load.enter();
        let fresh = start.fresh.as_ref().filter(|_| start.calls == 0);
        let held = fresh.is_none().then(Vec::new);
        let id = start.fresh.as_ref().map(|fresh| Arc::clone(&fresh.id));
        let (workflow, started_at, wanted, large) = (start.workflow, now_ms(), Vec::new(), LargeValues::new());
        self.runs.insert(run, RunIo { key, workflow, id, session, started_at, is_forced: false, held, wanted, large });
        match fresh {
            Some(fresh) => start::write_start(&start, fresh, info, &mut io.frame),
            None => self.start_from_store(start),
        }
    }

    fn start_from_store(&self, start: Start) {
        let Some(io) = self.sessions.get(&start.session) else { return };
        let (store, done) = (self.store.clone(), self.done.clone());
        let (sender, catalog) = (Arc::clone(&io.sender), Arc::clone(&io.catalog));
        self.runtime.spawn(async move {
            let sent = insist("a history", || start::send_start(&start, &catalog, &store, &sender)).await;
            let _ = done.send(Done::StartSent(start.run, sent));
        });
    }

    fn start_sent(&mut self, run: RunId, sent: StartSent) {
        let Some(io) = self.runs.get_mut(&run) else { return };
        let session = io.session;
        let held = io.held.take().unwrap_or_default();
        let wanted = std::mem::take(&mut io.wanted);
        match sent {
            StartSent::Whole(large) => io.large.extend(large),
            StartSent::InstanceGone => {
                self.remove_run(run);
                return self.input(Input::Report(session, run, Report::Forgotten));
            }
            // Its runs are lost when it is told.
            StartSent::SessionOver => return,
            StartSent::Unknown => return self.pool.fault(session, "it lacks a workflow whose run it is to start"),
        }
        for call in wanted {
            self.send_value(session, run, call);
        }
        for tell in held {
            self.tell(session, run, tell);
        }
    }

    fn tell(&mut self, session: SessionId, run: RunId, tell: Tell) {
        let Some(io) = self.runs.get_mut(&run) else { return };
        if let Some(held) = &mut io.held {
            return held.push(tell);
        }
        match &tell {
            Tell::Settle(call, Settlement::Event { seq, payload: None, .. }) => drop(io.large.insert(*call, *seq)),
            Tell::Forget { force: true } => io.is_forced = true,
            _ => {}
        }
        if let Some(session) = self.sessions.get_mut(&session) {
            session.tell(run, &tell);
        }
    }

    /// Reads a value that was left out of a run's history and sends it.
    fn send_value(&mut self, session: SessionId, run: RunId, call: CallId) {
        let Some(io) = self.runs.get_mut(&run).filter(|io| io.session == session) else { return };
        if io.held.is_some() {
            return io.wanted.push(call);
        }
        let Some(session_io) = self.sessions.get(&session) else { return };
        let Some(seq) = io.large.get(&call).copied() else {
            return self.pool.fault(session, "it wants a value that does not exist");
        };
        let (store, sender, key) = (self.store.clone(), Arc::clone(&session_io.sender), io.key);
        self.runtime.spawn(async move {
            match large_value(&store, key, seq).await {
                Ok(Some(value)) => {
                    sender.send(value.frame(run, call)).await;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, %key, seq, "a recorded value cannot be read"),
            }
        });
    }

    fn load(&self, key: InstanceKey) {
        let (store, done) = (self.store.clone(), self.done.clone());
        self.runtime.spawn(async move {
            let loaded = insist("an instance", || store.load(key)).await;
            let instance = loaded.and_then(|(row, history)| {
                let mut instance = Instance::replay(key, row.workflow, row.summary.deployment, &history)?;
                instance.expire_at(row.summary.wake_at);
                Some(Box::new(instance))
            });
            let _ = done.send(Done::Loaded(key, instance));
        });
    }

    fn read_history(&self, key: InstanceKey) {
        let (store, done) = (self.store.clone(), self.done.clone());
        self.runtime.spawn(async move {
            let loaded = insist("a history", || store.load(key)).await;
            let history = loaded.map_or_else(Vec::new, |(_, history)| history);
            let _ = done.send(Done::HistoryRead(key, history));
        });
    }

    fn read_due(&self, after: (Millis, InstanceKey), until: Millis) {
        let (store, done) = (self.store.clone(), self.done.clone());
        self.runtime.spawn(async move {
            let due = insist("what is due", || store.due(after, until, DUE_PAGE)).await;
            let complete = due.len() < DUE_PAGE;
            let due = due.into_iter().map(|due| Due { at: due.wake_at, key: due.key, ended_at: due.ended_at });
            let due = due.collect();
            let _ = done.send(Done::DueRead(until, due, complete));
        });
    }

    fn log(&self, run: RunId, line: ConsoleLine) {
        let Some(io) = self.runs.get(&run) else { return };
        let ConsoleLine { call, level, .. } = &line;
        let kept = LogLine { key: io.key, at: now_ms(), call: *call, level: level.clone(), text: line.text() };
        self.store.append_logs(vec![kept]);
        if self.is_followed(io.session) {
            self.tell_follower(run, |_| Some(RunWord::Wrote(line)));
        }
    }
}

/// Reads until the store answers: no answer must never be taken for "nothing".
async fn insist<T, F: Future<Output = Result<T, ReadError>>>(what: &str, mut read: impl FnMut() -> F) -> T {
    let mut retry = READ_RETRY_FIRST;
    loop {
        match read().await {
            Ok(answer) => return answer,
            Err(error) => tracing::error!(%error, "{what} cannot be read; trying again"),
        }
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(READ_RETRY_MAX);
    }
}
