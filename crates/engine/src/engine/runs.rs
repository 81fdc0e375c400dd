//! How an instance moves: a decision is carried out, then row, place, timer and queue follow.
//!
//! A run without a place is told nothing that lets its code go on: such words are held until it has one.

use super::slot::Slot;
use super::{Act, Engine, LiveRun, Output, Start};
use crate::instance::{self, Decision, Leaving, Rejection, Tell};
use crate::limits::{CROWDED_GRACE_MS, SESSION_RUNS_CROWDED, SUSPEND_GRACE_MS};
use crate::scheduler::{Line, Placement, Pool};
use crate::{DeploymentId, Instance, InstanceKey, Millis, Recorded, RunId, SessionId, Status, Summary, WorkflowId};

impl Engine {
    /// Decides and applies an input of one instance, and gathers what follows. Gives the status that comes of it: the
    /// instance may have left memory.
    pub(super) fn decide(
        &mut self,
        key: InstanceKey,
        input: instance::Input,
        now: Millis,
    ) -> Result<Status, Rejection> {
        let Some(slot) = self.slots.get_mut(&key) else { return Err(Rejection::NotFound) };
        let mut decision = std::mem::take(&mut self.decision);
        decision.clear();
        let result = slot.instance.decide(input, now, &mut decision);
        let status = result.and_then(|()| self.carry_out(key, &mut decision, now).ok_or(Rejection::NotFound));
        self.decision = decision;
        status
    }

    fn carry_out(&mut self, key: InstanceKey, decision: &mut Decision, now: Millis) -> Option<Status> {
        let slot = self.slots.get_mut(&key)?;
        let had_ended = slot.instance.is_final();
        if !decision.entries.is_empty() {
            slot.commit = self.gather.next();
        }
        for entry in decision.entries.drain(..) {
            let recorded = Recorded { seq: slot.instance.next_seq(), at: now, entry };
            slot.instance.apply(&recorded);
            slot.keep_stream(&recorded.entry);
            if let Some(planned) = &mut slot.planned {
                planned.since.push(recorded.clone());
            }
            self.gather.record(key, recorded);
        }
        if slot.instance.is_final() && !had_ended {
            self.set_expiry(key);
        }
        let slot = self.slots.get_mut(&key)?;
        for call in decision.ready.drain(..) {
            slot.instance.mark_ready(call);
        }
        self.chaos.interfere(&slot.instance, decision);
        for tell in decision.tells.drain(..) {
            self.tell(key, tell);
        }
        if decision.detach {
            self.detach(key, decision.park);
        }
        self.drop_streams(key);
        let status = self.slots.get(&key).map(|slot| slot.instance.status());
        self.follow_up(key, now);
        status
    }

    /// Says something to the live run, if there is one: now, or when it has a place.
    fn tell(&mut self, key: InstanceKey, tell: Tell) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let Some(run) = slot.instance.run() else { return };
        match &tell {
            Tell::Attempt(call, _) => slot.instance.mark_granted(*call),
            Tell::Stop(_) => slot.instance.mark_stopped(),
            Tell::Forget { force } => slot.instance.mark_leaving(*force),
            _ => {}
        }
        let settles = matches!(tell, Tell::Held(_) | Tell::Settle(..));
        if settles && !slot.has_place {
            return slot.held.push(tell);
        }
        slot.awake |= settles || matches!(tell, Tell::Attempt(..) | Tell::Undo { .. });
        self.gather.then(Act::Emit(Output::Tell(run.session, run.id, tell)));
    }

    fn detach(&mut self, key: InstanceKey, park: bool) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let Some(run) = slot.instance.run() else { return };
        slot.instance.detach();
        slot.awake = false;
        slot.held.clear();
        if park {
            slot.instance.park();
        }
        self.end_run(run.id);
    }

    /// A session no longer holds this run.
    pub(super) fn end_run(&mut self, run: RunId) {
        if let Some(live) = self.runs.remove(&run) {
            self.scheduler.leave(live.session);
            if let Some(workflow) = live.place {
                self.scheduler.release_place(workflow);
            }
        }
    }

    /// Brings row, place, timer and queue in line with an instance that may have moved.
    pub(super) fn follow_up(&mut self, key: InstanceKey, now: Millis) {
        self.update_row(key, now);
        self.update_place(key, now);
        self.set_grace(key, now);
        self.set_timer(key);
        self.queue_if_ready(key);
        self.evict_if_idle(key);
    }

    fn update_row(&mut self, key: InstanceKey, now: Millis) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let summary = slot.instance.summary(now);
        let changed = match slot.summary {
            Some(last) => Summary { modified_at: last.modified_at, ..summary } != last,
            // The stored row may lag behind; it is written again with what is recorded next, or when a run has parked.
            None => slot.commit == self.gather.next() || slot.instance.is_parked(),
        };
        if !changed {
            return;
        }
        slot.summary = Some(summary);
        slot.commit = self.gather.next();
        self.gather.summarise(key, summary);
        if slot.instance.is_final() {
            self.gather.then(Act::Emit(Output::Ended(key, summary.status)));
        }
    }

    fn update_place(&mut self, key: InstanceKey, now: Millis) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let workflow = slot.instance.workflow;
        if slot.has_place && !slot.is_active() {
            slot.has_place = false;
            slot.instance.mark_place(false);
            return self.scheduler.release_place(workflow);
        }
        if !slot.wants_place() {
            return;
        }
        if self.scheduler.has_place(workflow) {
            self.scheduler.take_place(workflow);
            self.give_place(key, now);
        } else if !slot.awaits_place {
            slot.awaits_place = true;
            self.scheduler.enqueue(key, Line { workflow, pool: None });
        }
    }

    /// A live run has got a place: it hears what was held back.
    fn give_place(&mut self, key: InstanceKey, now: Millis) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.has_place = true;
        slot.instance.mark_place(true);
        for tell in std::mem::take(&mut slot.held) {
            self.tell(key, tell);
        }
        self.decide(key, instance::Input::Placed, now).expect("a place is never refused");
    }

    fn set_grace(&mut self, key: InstanceKey, now: Millis) {
        let grace_ms = self.grace_ms(key);
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let far = slot.instance.next_due().is_none_or(|due| due > now + SUSPEND_GRACE_MS);
        slot.grace_at = grace_ms.filter(|_| far).map(|grace_ms| now + grace_ms);
    }

    /// How long the run of an instance stays when nothing happens to it; `None` where it does not only wait.
    fn grace_ms(&self, key: InstanceKey) -> Option<Millis> {
        let slot = self.slots.get(&key)?;
        let run = slot.instance.run()?;
        let waits = run.leaving == Leaving::No && slot.instance.only_waits() && slot.held.is_empty();
        let crowded = self.scheduler.runs_in(run.session) >= SESSION_RUNS_CROWDED && !slot.busy && !slot.awake;
        waits.then_some(if crowded { CROWDED_GRACE_MS } else { SUSPEND_GRACE_MS })
    }

    /// Asks a run to go that has had its grace: counted from when the last words for it went out, not from when they
    /// were decided.
    pub(super) fn suspend(&mut self, key: InstanceKey, now: Millis) {
        let Some(grace_ms) = self.grace_ms(key) else { return };
        let Some(slot) = self.slots.get(&key) else { return };
        let live = slot.instance.run().and_then(|run| self.runs.get(&run.id));
        if self.gather.is_durable(slot.commit) && live.is_some_and(|live| live.told_at + grace_ms <= now) {
            self.decide(key, instance::Input::Suspend, now).expect("a suspension is never refused");
        }
    }

    fn set_timer(&mut self, key: InstanceKey) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let again_at = slot.stuck.and_then(|stuck| stuck.again_at);
        let own = slot.instance.next_due().into_iter().chain(slot.instance.expires_at());
        let timer = own.chain(slot.grace_at).chain(again_at).min();
        if timer != slot.timer {
            self.horizon.clear(key, slot.timer);
            slot.timer = timer;
            self.horizon.set(key, timer);
        }
    }

    pub(super) fn queue_if_ready(&mut self, key: InstanceKey) {
        let Some(slot) = self.slots.get(&key) else { return };
        if slot.wants_to_queue() && (slot.instance.next_seq() > 1 || self.gather.is_durable(slot.commit)) {
            // A new incarnation stands in line only once it exists; any other may at once.
            let line = slot.line(self.deployment_for(&slot.instance));
            self.scheduler.enqueue(key, line);
            self.slots.get_mut(&key).expect("it was just there").queued = true;
        }
    }

    /// Another deployment of a workflow may make the calls that the last one did not: those that got stuck run again.
    pub(super) fn try_stuck_again(&mut self, workflow: WorkflowId) {
        let is_other = |slot: &Slot| slot.stuck.is_some_and(|stuck| stuck.code != self.deployment_for(&slot.instance));
        let slots = self.slots.iter().filter(|(_, slot)| slot.instance.workflow == workflow && is_other(slot));
        let mut keys: Vec<InstanceKey> = slots.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        for key in keys {
            self.unstick(key);
            self.queue_if_ready(key);
        }
    }

    /// An instance that got stuck may run again.
    pub(super) fn unstick(&mut self, key: InstanceKey) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.stuck = None;
        }
    }

    /// Whose code the next run of an instance executes: the newest, until its first run pins it.
    fn deployment_for(&self, instance: &Instance) -> DeploymentId {
        match self.workflows.get(&instance.workflow) {
            Some(settings) if settings.follows_newest || !instance.has_started() => settings.deployment,
            _ => instance.deployment,
        }
    }

    /// An instance has got what it stood in line for.
    pub(super) fn place(&mut self, placement: Placement, now: Millis, out: &mut Vec<Output>) {
        let Placement { key, workflow, session } = placement;
        match session {
            None => self.wake(key, workflow, now),
            Some(session) => {
                let Some(pool) = self.scheduler.pool_of(session) else { return };
                if self.may_start(key, pool) {
                    self.start(key, session, pool, now, out);
                } else {
                    self.scheduler.release_place(workflow);
                    self.scheduler.leave(session);
                    self.queue_if_ready(key);
                    self.evict_if_idle(key);
                }
            }
        }
    }

    fn wake(&mut self, key: InstanceKey, workflow: WorkflowId, now: Millis) {
        let wants = self.slots.get_mut(&key).is_some_and(|slot| {
            slot.awaits_place = false;
            slot.wants_place()
        });
        if wants {
            self.give_place(key, now);
        } else {
            self.scheduler.release_place(workflow);
        }
    }

    /// Whether an instance that leaves the line still wants to run there: it may have been paused, ended, deleted,
    /// restarted or sent to another deployment since it was put in line.
    fn may_start(&mut self, key: InstanceKey, pool: Pool) -> bool {
        let Some(slot) = self.slots.get_mut(&key) else { return false };
        slot.queued = false;
        let slot = &self.slots[&key];
        slot.wants_to_queue() && slot.line(self.deployment_for(&slot.instance)).pool == Some(pool)
    }

    /// Starts the run of an instance whose turn has come.
    fn start(&mut self, key: InstanceKey, session: SessionId, pool: Pool, now: Millis, out: &mut Vec<Output>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.has_place = true;
        slot.awake = true;
        let settled = self.gather.is_durable(slot.commit);
        let run = self.next_run;
        self.next_run = RunId(run.0 + 1);
        self.runs.insert(run, LiveRun { key, session, told_at: now, place: None });
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
            workflow: slot.instance.workflow,
            history_end_seq: if only_started { before } else { slot.instance.next_seq() },
            calls: slot.instance.call_count(),
            grants,
            careful: !pool.quarantine.is_free(),
            rolls_back: slot.instance.is_rolling_back(),
            fresh,
        }));
        if settled && only_started {
            out.push(start);
        } else {
            self.gather.then(Act::Emit(start));
        }
    }
}
