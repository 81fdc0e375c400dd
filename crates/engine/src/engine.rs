//! The table of instances in memory: the only thing that a host talks to.
//!
//! A host feeds [`Input`]s with the time, takes [`Output`]s, and now and then calls [`Engine::flush`] for a [`Batch`] to
//! make durable, which it reports with [`Input::Committed`] in the same order. Several batches may be on their way.
//! What depends on a batch comes out only after it. Instances that only wait are not kept: their due times stand in the
//! store, and the engine asks for those that come near.

mod gather;
mod horizon;
mod io;
mod sessions;
mod slot;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use gather::{Act, Gather};
use horizon::Horizon;
pub use io::{Answer, Command, Fault, Fresh, Input, Output, Start, WorkflowSettings};
use slot::Slot;

use crate::batch::Restart;
use crate::instance::{self, Decision, Rejection, Tell};
use crate::limits::{SESSION_RUNS_CROWDED, SUSPEND_GRACE_MS};
use crate::scheduler::Placement;
use crate::{
    Batch, CommitId, Creation, DeploymentId, Entry, Instance, InstanceKey, Millis, Payload, Recorded, ReplyId, RunId,
    Scheduler, SessionId, Status, Summary, WorkflowId,
};

/// Instances read from the store at the same time.
const LOADING_MAX: usize = 256;
/// Bytes of params kept at hand for first runs; beyond it they are read from the store.
const FRESH_BYTES_MAX: usize = 64 << 20;

/// All instances that this process holds, and the rules by which they move.
#[derive(Debug)]
pub struct Engine {
    slots: HashMap<InstanceKey, Slot>,
    loading: HashMap<InstanceKey, Vec<Waiter>>,
    to_load: VecDeque<InstanceKey>,
    loads_under_way: usize,
    runs: HashMap<RunId, LiveRun>,
    workflows: HashMap<WorkflowId, WorkflowSettings>,
    scheduler: Scheduler,
    horizon: Horizon,
    gather: Gather,
    decision: Decision,
    fresh_bytes: usize,
    next_key: InstanceKey,
    next_run: RunId,
}

/// A run that a session holds.
#[derive(Debug, Clone, Copy)]
struct LiveRun {
    key: InstanceKey,
    session: SessionId,
}

/// What waits for an instance to be loaded.
#[derive(Debug)]
enum Waiter {
    Command(ReplyId, Command),
    Due,
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
            runs: HashMap::new(),
            workflows: HashMap::new(),
            scheduler: Scheduler::new(runs_max),
            horizon: Horizon::new(),
            gather: Gather::new(),
            decision: Decision::default(),
            fresh_bytes: 0,
            next_key,
            next_run: RunId(1),
        }
    }

    /// Takes an input into account. Nothing is durable yet: see [`Engine::flush`].
    pub fn handle(&mut self, input: Input, now: Millis, out: &mut Vec<Output>) {
        match input {
            Input::Workflow(workflow, settings) => {
                self.scheduler.set_limit(workflow, settings.concurrency);
                self.workflows.insert(workflow, settings);
            }
            Input::Create { reply, workflow, id, params, trigger } => {
                self.create(reply, workflow, &id, params, trigger, now);
            }
            Input::Command { reply, key, command } => self.command(reply, key, command, now, out),
            Input::Loaded(key, instance) => self.loaded(key, instance.map(|boxed| *boxed), now, out),
            Input::DueRead { until, due, complete } => self.horizon.read(until, &due, complete),
            Input::SessionUp(session, pool) => self.scheduler.add_session(session, pool),
            Input::SessionDraining(session) => self.scheduler.close_session(session),
            Input::SessionDown(session, fault) => self.session_down(session, fault, now),
            Input::Report(session, run, report) => self.report(session, run, report, now, out),
            Input::Committed(commit, refused) => self.committed(commit, &refused, out),
            Input::Tick => {}
        }
        self.tick(now, out);
    }

    /// Starts what can start, and closes the batch. `None` where there is nothing to make durable.
    pub fn flush(&mut self, now: Millis, out: &mut Vec<Output>) -> Option<(CommitId, Batch)> {
        while let Some(placement) = self.scheduler.place_next() {
            self.start(placement, now, out);
        }
        out.extend(self.scheduler.take_wanted().into_iter().map(Output::WantSession));
        let (batch, acts) = self.gather.close();
        for act in acts {
            self.act(act, &[], out);
        }
        batch
    }

    /// When [`Input::Tick`] has something to do next.
    #[must_use]
    pub fn next_tick(&self) -> Option<Millis> {
        self.horizon.next()
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

    fn create(
        &mut self,
        reply: ReplyId,
        workflow: WorkflowId,
        id: &Arc<str>,
        params: Payload,
        trigger: String,
        now: Millis,
    ) {
        let Some(settings) = self.workflows.get(&workflow).copied() else {
            self.gather.then(Act::Emit(Output::Reply(reply, Err(Rejection::NotFound))));
            return;
        };
        let key = self.new_key();
        let instance = Instance::new(key, workflow, settings.deployment, now);
        let summary = instance.summary(now);
        let mut slot = Slot::new(instance, summary, self.gather.next());
        if self.fresh_bytes + params.stored_bytes() <= FRESH_BYTES_MAX {
            self.fresh_bytes += params.stored_bytes();
            slot.fresh = Some(Fresh { workflow, id: Arc::clone(id), created_at: now, params: params.clone() });
        }
        self.gather.batch.creations.push(Creation {
            key,
            workflow,
            id: Arc::clone(id),
            deployment: settings.deployment,
            created: Recorded { seq: 0, at: now, entry: Entry::Created { params, trigger } },
            summary,
        });
        self.gather.concern(key);
        self.gather.then(Act::Created(key, reply));
        self.slots.insert(key, slot);
    }

    fn new_key(&mut self) -> InstanceKey {
        let key = self.next_key;
        self.next_key = InstanceKey(key.0 + 1);
        key
    }

    fn command(&mut self, reply: ReplyId, key: InstanceKey, command: Command, now: Millis, out: &mut Vec<Output>) {
        if self.slots.contains_key(&key) {
            self.command_loaded(reply, key, command, now);
        } else {
            self.load(key, Waiter::Command(reply, command), out);
        }
    }

    fn command_loaded(&mut self, reply: ReplyId, key: InstanceKey, command: Command, now: Millis) {
        let input = match command {
            Command::Restart => return self.restart(reply, key, now),
            Command::Delete => return self.delete(reply, key),
            Command::SendEvent { event_type, payload } => instance::Input::SendEvent { event_type, payload },
            Command::Pause => instance::Input::Pause,
            Command::Resume => instance::Input::Resume,
            Command::Terminate => instance::Input::Terminate,
        };
        self.due(key, now);
        let result = self.decide(key, input, now);
        let answer = result.and_then(|()| self.answer(key));
        self.gather.then(Act::Emit(Output::Reply(reply, answer)));
    }

    fn answer(&self, key: InstanceKey) -> Result<Answer, Rejection> {
        let slot = self.slots.get(&key).ok_or(Rejection::NotFound)?;
        Ok(Answer { key, status: slot.instance.status() })
    }

    /// Ends the old incarnation and begins a new one, which waits until the old one's run is gone.
    fn restart(&mut self, reply: ReplyId, old: InstanceKey, now: Millis) {
        let Some(slot) = self.take_out(old) else { return };
        let workflow = slot.instance.workflow;
        let deployment = self.workflows.get(&workflow).map_or(slot.instance.deployment, |settings| settings.deployment);
        let new = self.new_key();
        let instance = Instance::new(new, workflow, deployment, now);
        let summary = instance.summary(now);
        let mut successor = Slot::new(instance, summary, self.gather.next());
        successor.ghost = slot.instance.run().map(|run| run.id).or(slot.ghost);
        if let Some(live) = successor.ghost.and_then(|ghost| self.runs.get_mut(&ghost)) {
            live.key = new;
        }
        self.slots.insert(new, successor);
        self.gather.batch.restarts.push(Restart { old, new, deployment, summary });
        self.gather.concern(new);
        let answer = self.answer(new);
        self.gather.then(Act::Emit(Output::Reply(reply, answer)));
        self.follow_up(new, now);
    }

    fn delete(&mut self, reply: ReplyId, key: InstanceKey) {
        let Some(slot) = self.take_out(key) else { return };
        self.gather.batch.deletions.push(key);
        let status = slot.instance.status();
        self.gather.then(Act::Emit(Output::Reply(reply, Ok(Answer { key, status }))));
    }

    /// Removes an incarnation that comes to an end from memory; its live run is told to go.
    fn take_out(&mut self, key: InstanceKey) -> Option<Slot> {
        let slot = self.slots.remove(&key)?;
        self.horizon.clear(key, slot.timer);
        self.forget_fresh(&slot);
        if slot.has_place {
            self.scheduler.release_place(slot.instance.workflow);
        }
        if let Some(run) = slot.instance.run() {
            self.gather.then(Act::Emit(Output::Tell(run.session, run.id, Tell::Forget { force: true })));
        }
        self.gather.then(Act::Emit(Output::Ended(key, slot.instance.status())));
        Some(slot)
    }

    fn forget_fresh(&mut self, slot: &Slot) {
        if let Some(fresh) = &slot.fresh {
            self.fresh_bytes -= fresh.params.stored_bytes();
        }
    }

    fn load(&mut self, key: InstanceKey, waiter: Waiter, out: &mut Vec<Output>) {
        let waiters = self.loading.entry(key).or_insert_with(|| {
            self.to_load.push_back(key);
            Vec::new()
        });
        waiters.push(waiter);
        self.load_more(out);
    }

    fn load_more(&mut self, out: &mut Vec<Output>) {
        while self.loads_under_way < LOADING_MAX
            && let Some(key) = self.to_load.pop_front()
        {
            self.loads_under_way += 1;
            out.push(Output::Load(key));
        }
    }

    fn loaded(&mut self, key: InstanceKey, instance: Option<Instance>, now: Millis, out: &mut Vec<Output>) {
        self.loads_under_way = self.loads_under_way.saturating_sub(1);
        let waiters = self.loading.remove(&key).unwrap_or_default();
        if let Some(instance) = instance {
            let summary = instance.summary(now);
            self.slots.insert(key, Slot::new(instance, summary, CommitId(0)));
            self.due(key, now);
        }
        for waiter in waiters {
            match waiter {
                Waiter::Command(reply, command) if self.slots.contains_key(&key) => {
                    self.command_loaded(reply, key, command, now);
                }
                Waiter::Command(reply, _) => {
                    self.gather.then(Act::Emit(Output::Reply(reply, Err(Rejection::NotFound))));
                }
                Waiter::Due => {}
            }
        }
        self.follow_up(key, now);
        self.load_more(out);
    }

    /// Applies the timers of an instance that are due: they come before any other input.
    fn due(&mut self, key: InstanceKey, now: Millis) {
        let Some(slot) = self.slots.get(&key) else { return };
        if slot.instance.next_due().is_some_and(|at| at <= now) {
            self.decide(key, instance::Input::Due, now).expect("time is never refused");
        }
    }

    /// Decides and applies an input of one instance, and gathers what follows.
    fn decide(&mut self, key: InstanceKey, input: instance::Input, now: Millis) -> Result<(), Rejection> {
        let Some(slot) = self.slots.get_mut(&key) else { return Err(Rejection::NotFound) };
        let mut decision = std::mem::take(&mut self.decision);
        decision.clear();
        let result = slot.instance.decide(input, now, &mut decision);
        if result.is_ok() {
            self.carry_out(key, &mut decision, now);
        }
        self.decision = decision;
        result
    }

    fn carry_out(&mut self, key: InstanceKey, decision: &mut Decision, now: Millis) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let run = slot.instance.run();
        if !decision.entries.is_empty() {
            slot.commit = self.gather.next();
        }
        for entry in decision.entries.drain(..) {
            let recorded = Recorded { seq: slot.instance.next_seq(), at: now, entry };
            slot.instance.apply(&recorded);
            self.gather.record(key, recorded);
        }
        for call in decision.ready.drain(..) {
            slot.instance.mark_ready(call);
        }
        for tell in decision.tells.drain(..) {
            let Some(run) = run else { continue };
            match &tell {
                Tell::Attempt(call, _) => slot.instance.mark_granted(*call),
                Tell::Forget { .. } => slot.instance.mark_forgetting(),
                _ => {}
            }
            self.gather.then(Act::Emit(Output::Tell(run.session, run.id, tell)));
        }
        if decision.detach
            && let Some(run) = run
        {
            slot.instance.detach();
            self.end_run(run.id);
        }
        self.follow_up(key, now);
    }

    /// A session no longer holds this run.
    fn end_run(&mut self, run: RunId) {
        if let Some(live) = self.runs.remove(&run) {
            self.scheduler.leave(live.session);
        }
    }

    /// Brings row, place, timer and queue in line with an instance that may have moved.
    fn follow_up(&mut self, key: InstanceKey, now: Millis) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let summary = slot.instance.summary(now);
        if (Summary { modified_at: slot.summary.modified_at, ..summary }) != slot.summary {
            slot.summary = summary;
            slot.commit = self.gather.next();
            self.gather.summarise(key, summary);
            if slot.instance.is_final() {
                self.gather.then(Act::Emit(Output::Ended(key, summary.status)));
            }
        }
        let needs_place = slot.instance.run().is_some() && !slot.instance.only_waits();
        match (slot.has_place, needs_place) {
            (true, false) => self.scheduler.release_place(slot.instance.workflow),
            (false, true) => self.scheduler.take_place(slot.instance.workflow),
            _ => {}
        }
        slot.has_place = needs_place;
        self.set_grace(key, now);
        self.set_timer(key);
        self.queue_if_ready(key);
        self.evict_if_idle(key);
    }

    fn set_grace(&mut self, key: InstanceKey, now: Millis) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let waits = slot.instance.run().is_some_and(|run| !run.forgetting) && slot.instance.only_waits();
        let far = slot.instance.next_due().is_none_or(|due| due > now + SUSPEND_GRACE_MS);
        slot.grace_at = (waits && far).then(|| {
            let run = slot.instance.run().expect("it waits in a run");
            let crowded = self.scheduler.runs_in(run.session) >= SESSION_RUNS_CROWDED;
            if crowded && !slot.busy { now } else { run.touched_at.max(now) + SUSPEND_GRACE_MS }
        });
    }

    fn set_timer(&mut self, key: InstanceKey) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let due = slot.instance.next_due();
        let timer = due.into_iter().chain(slot.grace_at).min();
        if timer != slot.timer {
            self.horizon.clear(key, slot.timer);
            slot.timer = timer;
            self.horizon.set(key, timer);
        }
    }

    fn queue_if_ready(&mut self, key: InstanceKey) {
        let Some(slot) = self.slots.get(&key) else { return };
        if slot.wants_to_queue() && self.may_queue(slot) {
            let line = slot.line(self.deployment_for(&slot.instance));
            self.scheduler.enqueue(key, line);
            self.slots.get_mut(&key).expect("it was just there").queued = true;
        }
    }

    /// A new incarnation stands in line only once it exists; any other may at once.
    fn may_queue(&self, slot: &Slot) -> bool {
        slot.instance.next_seq() > 1 || self.gather.is_durable(slot.commit)
    }

    /// Whose code the next run of an instance executes.
    fn deployment_for(&self, instance: &Instance) -> DeploymentId {
        match self.workflows.get(&instance.workflow) {
            Some(settings) if settings.follows_newest => settings.deployment,
            _ => instance.deployment,
        }
    }

    fn evict_if_idle(&mut self, key: InstanceKey) {
        let Some(slot) = self.slots.get(&key) else { return };
        if !slot.is_idle() || !self.gather.is_durable(slot.commit) {
            return;
        }
        let Some(slot) = self.slots.remove(&key) else { return };
        self.forget_fresh(&slot);
        self.horizon.clear(key, slot.timer);
        self.horizon.keep_if_near(key, slot.instance.wake_at());
    }

    /// Starts the run of an instance whose turn has come.
    fn start(&mut self, placement: Placement, now: Millis, out: &mut Vec<Output>) {
        let Placement { key, workflow, session } = placement;
        let Some(pool) = self.scheduler.pool_of(session) else { return };
        let wanted = self.slots.get_mut(&key).and_then(|slot| {
            slot.queued = false;
            slot.wants_to_queue().then_some(slot)
        });
        let Some(slot) = wanted else {
            // It has been paused, ended, deleted or restarted since it was put in line.
            self.scheduler.release_place(workflow);
            self.scheduler.leave(session);
            return self.evict_if_idle(key);
        };
        slot.has_place = true;
        let settled = self.gather.is_durable(slot.commit);
        let run = self.next_run;
        self.next_run = RunId(run.0 + 1);
        self.runs.insert(run, LiveRun { key, session });
        let before = slot.instance.next_seq();
        let starts = slot.instance.status() == Status::Queued || slot.instance.deployment != pool.deployment;
        slot.instance.attach(run, session, now);
        self.decide(key, instance::Input::Attach(pool.deployment), now).expect("a run may always start");
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let grants = slot.instance.grants();
        for (call, _) in &grants {
            slot.instance.mark_granted(*call);
        }
        // That it started may become durable with its first step: no run can observe it.
        let only_started = slot.instance.next_seq() == before + u64::from(starts);
        let fresh = slot.fresh.take();
        if let Some(fresh) = &fresh {
            self.fresh_bytes -= fresh.params.stored_bytes();
        }
        let start = Output::Start(Box::new(Start {
            session,
            run,
            key,
            workflow,
            history_end_seq: if only_started { before } else { slot.instance.next_seq() },
            calls: slot.instance.call_count(),
            grants,
            careful: pool.quarantine,
            fresh,
        }));
        if settled && only_started {
            out.push(start);
        } else {
            self.gather.then(Act::Emit(start));
        }
    }

    fn committed(&mut self, commit: CommitId, refused: &[InstanceKey], out: &mut Vec<Output>) {
        let Some(commit) = self.gather.finish(commit) else { return };
        for act in commit.acts {
            self.act(act, refused, out);
        }
        for key in commit.keys {
            self.queue_if_ready(key);
            self.evict_if_idle(key);
        }
    }

    fn act(&mut self, act: Act, refused: &[InstanceKey], out: &mut Vec<Output>) {
        match act {
            Act::Emit(output) => out.push(output),
            Act::Created(key, reply) if refused.contains(&key) => {
                if let Some(slot) = self.slots.remove(&key) {
                    self.forget_fresh(&slot);
                    self.horizon.clear(key, slot.timer);
                }
                out.push(Output::Reply(reply, Err(Rejection::AlreadyExists)));
            }
            Act::Created(key, reply) => {
                let answer = self.answer(key);
                out.push(Output::Reply(reply, answer));
            }
        }
    }

    /// Does what time asks for.
    fn tick(&mut self, now: Millis, out: &mut Vec<Output>) {
        while let Some(key) = self.horizon.pop_due(now) {
            match self.slots.get_mut(&key) {
                None => self.load(key, Waiter::Due, out),
                Some(slot) => {
                    slot.timer = None;
                    let grace_over = slot.grace_at.is_some_and(|at| at <= now);
                    self.due(key, now);
                    if grace_over {
                        self.suspend(key, now);
                    }
                    self.follow_up(key, now);
                }
            }
        }
        if let Some((after, until)) = self.horizon.wants_read(now) {
            out.push(Output::ReadDue { after, until });
        }
    }

    fn suspend(&mut self, key: InstanceKey, now: Millis) {
        self.decide(key, instance::Input::Suspend, now).expect("a suspension is never refused");
    }
}
