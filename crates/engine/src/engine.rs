//! The table of instances in memory: the only thing that a host talks to.
//!
//! A host feeds [`Input`]s with the time, takes [`Output`]s, and now and then calls [`Engine::flush`] for a [`Batch`] to
//! make durable, which it reports with [`Input::Committed`] in the same order. Several batches may be on their way.
//! What depends on a batch comes out only after it. Instances that only wait are not kept: their due times stand in the
//! store, and the engine asks for those that come near.

mod chaos;
mod expiry;
mod gather;
mod horizon;
mod io;
mod loading;
mod restart;
mod runs;
mod sessions;
mod slot;
mod streams;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

pub use chaos::Chaos;
use gather::{Act, Gather};
use horizon::Horizon;
pub use io::{Answer, Command, Due, Fault, Fresh, Input, Output, Start, WorkflowSettings};
use loading::Waiter;
use slot::Slot;

use crate::instance::{self, Decision, Rejection, Tell};
use crate::schedules::Schedules;
use crate::{
    Batch, CommitId, Creation, Entry, Firing, Instance, InstanceKey, Millis, Payload, Recorded, ReplyId, Retention,
    RunId, Scheduler, SessionId, WorkflowId,
};

/// Bytes of params kept at hand for first runs; beyond it they are read from the store.
const FRESH_BYTES_MAX: usize = 64 << 20;

/// All instances that this process holds, and the rules by which they move.
#[derive(Debug)]
pub struct Engine {
    /// Boxed, so that the table stays small when it grows: it is copied then, and the old one is there beside the new.
    slots: HashMap<InstanceKey, Box<Slot>>,
    loading: HashMap<InstanceKey, Vec<Waiter>>,
    to_load: VecDeque<InstanceKey>,
    loads_under_way: usize,
    /// Incarnations whose end is not durable yet: the store may still show them.
    gone: BTreeMap<InstanceKey, CommitId>,
    runs: HashMap<RunId, LiveRun>,
    workflows: HashMap<WorkflowId, WorkflowSettings>,
    scheduler: Scheduler,
    schedules: Schedules,
    horizon: Horizon,
    /// Ended instances whose time is over, and which are still there.
    expired: VecDeque<InstanceKey>,
    gather: Gather,
    decision: Decision,
    fresh_bytes: usize,
    chaos: Chaos,
    next_key: InstanceKey,
    next_run: RunId,
}

/// What entry 0 of a new instance says.
struct Origin {
    params: Payload,
    trigger: String,
    retention: Retention,
}

/// A run that a session holds.
#[derive(Debug, Clone, Copy)]
struct LiveRun {
    key: InstanceKey,
    session: SessionId,
    /// When it was last told something.
    told_at: Millis,
    /// The place that it keeps although its incarnation is gone: its code may still be executing.
    place: Option<WorkflowId>,
}

impl Engine {
    /// An empty engine. `next_key` must be above every key that the store has ever held; at most `runs_max` instances
    /// run at once.
    #[must_use]
    pub fn new(next_key: InstanceKey, runs_max: usize) -> Self {
        Self {
            slots: HashMap::new(),
            loading: HashMap::new(),
            to_load: VecDeque::new(),
            loads_under_way: 0,
            gone: BTreeMap::new(),
            runs: HashMap::new(),
            workflows: HashMap::new(),
            scheduler: Scheduler::new(runs_max),
            schedules: Schedules::default(),
            horizon: Horizon::new(),
            expired: VecDeque::new(),
            gather: Gather::new(),
            decision: Decision::default(),
            fresh_bytes: 0,
            chaos: Chaos::None,
            next_key,
            next_run: RunId(1),
        }
    }

    /// The same engine, which disturbs its runs.
    #[must_use]
    pub fn with_chaos(self, chaos: Chaos) -> Self {
        Self { chaos, ..self }
    }

    /// Takes an input into account. Nothing is durable yet: see [`Engine::flush`].
    pub fn handle(&mut self, input: Input, now: Millis, out: &mut Vec<Output>) {
        match input {
            Input::Workflow(workflow, settings) => {
                self.scheduler.set_limit(workflow, settings.concurrency);
                self.workflows.insert(workflow, settings);
                self.try_stuck_again(workflow);
            }
            Input::Schedules(workflow, schedules) => self.schedules.set(workflow, schedules),
            Input::Create { reply, workflow, id, params, trigger, retention } => {
                let origin = Origin { params, trigger, retention };
                if !self.create(Some(reply), workflow, &id, origin, now) {
                    self.refuse(reply, Rejection::NotFound);
                }
            }
            Input::Command { reply, key, command } => self.command(reply, key, command, now, out),
            Input::Loaded(key, instance) => self.loaded(key, instance.map(|boxed| *boxed), now, out),
            Input::HistoryRead(key, history) => self.history_read(key, &history, now),
            Input::DueRead { until, due, complete } => {
                self.horizon.read(until, &due, complete, |key| self.slots.contains_key(&key));
            }
            Input::SessionUp(session, pool) => self.scheduler.add_session(session, pool),
            Input::SessionDraining(session) => self.scheduler.close_session(session),
            Input::SessionDown(session, fault) => self.session_down(session, fault, now),
            Input::Report(session, run, report) => self.report(session, run, report, now, out),
            Input::StreamOpened(run, call, attempt, stream) => self.open_stream(run, call, attempt, stream),
            Input::Committed(commit, refused) => self.committed(commit, &refused, now, out),
            Input::Tick => {}
        }
        self.tick(now, out);
    }

    /// Starts what can start, and closes the batch. `None` where there is nothing to make durable.
    pub fn flush(&mut self, now: Millis, out: &mut Vec<Output>) -> Option<(CommitId, Batch)> {
        while let Some(placement) = self.scheduler.place_next() {
            self.place(placement, now, out);
        }
        self.expire();
        out.extend(self.scheduler.take_wanted().into_iter().map(Output::WantSession));
        let (batch, acts) = self.gather.close();
        for act in acts {
            self.act(act, &[], now, out);
        }
        batch
    }

    /// When [`Input::Tick`] has something to do next.
    #[must_use]
    pub fn next_tick(&self) -> Option<Millis> {
        self.horizon.next(self.may_read_due()).into_iter().chain(self.schedules.next()).min()
    }

    /// Instances in memory.
    #[must_use]
    pub fn loaded_count(&self) -> usize {
        self.slots.len()
    }

    /// Live runs.
    #[must_use]
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// Runs of a workflow that count towards its limit.
    #[must_use]
    pub fn places_taken(&self, workflow: WorkflowId) -> usize {
        self.scheduler.taken(workflow)
    }

    /// Batches that are not durable yet.
    #[must_use]
    pub fn commits_under_way(&self) -> usize {
        self.gather.under_way()
    }

    /// Entries gathered since the last [`Engine::flush`].
    #[must_use]
    pub fn gathered_count(&self) -> usize {
        self.gather.batch.entry_count()
    }

    /// An instance in memory, for tests and people.
    #[must_use]
    pub fn instance(&self, key: InstanceKey) -> Option<&Instance> {
        self.slots.get(&key).map(|slot| &slot.instance)
    }

    /// Creates an instance; false where there is no such workflow.
    fn create(
        &mut self,
        reply: Option<ReplyId>,
        workflow: WorkflowId,
        id: &Arc<str>,
        origin: Origin,
        now: Millis,
    ) -> bool {
        let Some(settings) = self.workflows.get(&workflow).copied() else { return false };
        let Origin { params, trigger, retention } = origin;
        let key = self.new_key();
        let mut instance = Instance::new(key, workflow, settings.deployment, now);
        instance.retention = retention;
        let summary = instance.summary(now);
        let mut slot = Slot::new(instance, Some(summary), self.gather.next());
        if self.fresh_bytes + params.stored_bytes() <= FRESH_BYTES_MAX {
            self.fresh_bytes += params.stored_bytes();
            slot.fresh = Some(Fresh { workflow, id: Arc::clone(id), created_at: now, params: params.clone() });
        }
        self.gather.batch.creations.push(Creation {
            key,
            workflow,
            id: Arc::clone(id),
            deployment: settings.deployment,
            created: Recorded { seq: 0, at: now, entry: Entry::Created { params, trigger, retention } },
            summary,
        });
        self.gather.concern(key);
        self.gather.then(Act::Created(key, reply));
        self.slots.insert(key, Box::new(slot));
        true
    }

    /// Creates the instance of a firing. If it is there already, the firing happened before.
    fn fire(&mut self, firing: Firing, now: Millis) {
        let id = crate::cron::instance_id(&firing.cron, firing.at);
        let params = Payload::from_json("{}");
        let origin = Origin { params, trigger: "cron".to_owned(), retention: Retention::default() };
        if self.create(None, firing.workflow, &id, origin, now) {
            self.gather.batch.firings.push(firing);
        }
    }

    fn new_key(&mut self) -> InstanceKey {
        let key = self.next_key;
        self.next_key = InstanceKey(key.0 + 1);
        key
    }

    fn command(&mut self, reply: ReplyId, key: InstanceKey, command: Command, now: Millis, out: &mut Vec<Output>) {
        if self.slots.contains_key(&key) {
            self.command_loaded(reply, key, command, now);
        } else if self.gone.contains_key(&key) {
            self.refuse(reply, Rejection::NotFound);
        } else {
            self.load(key, Waiter::Command(reply, command), out);
        }
    }

    fn command_loaded(&mut self, reply: ReplyId, key: InstanceKey, command: Command, now: Millis) {
        let input = match command {
            Command::Restart => return self.restart(reply, key, now),
            Command::RestartFrom(target) => return self.want_restart_from(reply, key, target),
            Command::Delete => return self.delete(reply, key),
            Command::SendEvent { event_type, payload } => instance::Input::SendEvent { event_type, payload },
            Command::Pause => instance::Input::Pause,
            Command::Resume => instance::Input::Resume,
            Command::Terminate(source) => instance::Input::Terminate(source),
            Command::RollBack(source) => instance::Input::RollBack(source),
        };
        if matches!(input, instance::Input::Resume | instance::Input::RollBack(_)) {
            self.unstick(key);
        }
        self.due(key, now);
        let answer = self.decide(key, input, now).map(|status| Answer { key, status });
        self.gather.then(Act::Emit(Output::Reply(reply, answer)));
    }

    /// Says no, once what it rests on is durable.
    fn refuse(&mut self, reply: ReplyId, rejection: Rejection) {
        self.gather.then(Act::Emit(Output::Reply(reply, Err(rejection))));
    }

    fn answer(&self, key: InstanceKey) -> Result<Answer, Rejection> {
        let slot = self.slots.get(&key).ok_or(Rejection::NotFound)?;
        Ok(Answer { key, status: slot.instance.status() })
    }

    fn delete(&mut self, reply: ReplyId, key: InstanceKey) {
        let Some(slot) = self.take_out(key) else { return };
        self.gather.batch.deletions.push(key);
        let status = slot.instance.status();
        self.gather.then(Act::Emit(Output::Reply(reply, Ok(Answer { key, status }))));
    }

    /// Removes an incarnation that comes to an end from memory; its live run is told to go.
    fn take_out(&mut self, key: InstanceKey) -> Option<Box<Slot>> {
        let mut slot = self.slots.remove(&key)?;
        self.horizon.clear(key, slot.timer);
        self.forget_fresh(&slot);
        self.gather.withdraw(key);
        self.gone.insert(key, self.gather.next());
        if let Some(run) = slot.instance.run() {
            if let Some(live) = self.runs.get_mut(&run.id).filter(|_| slot.has_place) {
                live.place = Some(slot.instance.workflow);
            }
            self.gather.then(Act::Emit(Output::Tell(run.session, run.id, Tell::Forget { force: true })));
        }
        self.gather.then(Act::Emit(Output::Ended(key, slot.instance.status())));
        for (reply, _) in slot.planned.take().into_iter().flat_map(|planned| planned.wanted) {
            self.refuse(reply, Rejection::NotFound);
        }
        Some(slot)
    }

    fn forget_fresh(&mut self, slot: &Slot) {
        if let Some(fresh) = &slot.fresh {
            self.fresh_bytes -= fresh.params.stored_bytes();
        }
    }

    /// Applies the timers of an instance that are due: they come before any other input.
    fn due(&mut self, key: InstanceKey, now: Millis) {
        let Some(slot) = self.slots.get(&key) else { return };
        if slot.instance.next_due().is_some_and(|at| at <= now) {
            self.decide(key, instance::Input::Due, now).expect("time is never refused");
        }
    }

    fn committed(&mut self, commit: CommitId, refused: &[InstanceKey], now: Millis, out: &mut Vec<Output>) {
        let Some(commit) = self.gather.finish(commit) else { return };
        for act in commit.acts {
            self.act(act, refused, now, out);
        }
        if !self.gone.is_empty() {
            self.gone.retain(|_, until| !self.gather.is_durable(*until));
        }
        for key in commit.keys {
            self.queue_if_ready(key);
            self.evict_if_idle(key);
        }
    }

    fn act(&mut self, act: Act, refused: &[InstanceKey], now: Millis, out: &mut Vec<Output>) {
        match act {
            Act::Emit(output) => {
                if self.is_due(&output, now) {
                    out.push(output);
                }
            }
            Act::Created(key, reply) if refused.contains(&key) => {
                if let Some(slot) = self.slots.remove(&key) {
                    self.forget_fresh(&slot);
                    self.horizon.clear(key, slot.timer);
                }
                out.extend(reply.map(|reply| Output::Reply(reply, Err(Rejection::AlreadyExists))));
            }
            Act::Created(key, reply) => {
                let answer = self.answer(key);
                out.extend(reply.map(|reply| Output::Reply(reply, answer)));
            }
        }
    }

    /// Whether an output is still wanted now that it may happen: a run may have ended since, and one whose instance is
    /// gone need not start. A run that is told something is active from then on.
    fn is_due(&mut self, output: &Output, now: Millis) -> bool {
        let (run, starts) = match output {
            Output::Tell(_, run, _) => (*run, false),
            Output::Start(start) => (start.run, true),
            _ => return true,
        };
        let Some(live) = self.runs.get_mut(&run) else { return false };
        live.told_at = now;
        let key = live.key;
        let owns = |slot: &Slot| slot.instance.run().is_some_and(|own| own.id == run);
        let wanted = !starts || self.slots.get(&key).is_some_and(|slot| owns(slot));
        if !wanted {
            self.end_run(run);
            self.lay_ghost(key, run, now);
        }
        wanted
    }
}
