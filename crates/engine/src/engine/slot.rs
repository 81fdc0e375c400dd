//! An instance in memory, with what only this process knows about it.

use super::io::Fresh;
use crate::instance::{Leaving, StepTarget, Tell};
use crate::limits::{STUCK_MS_MAX, STUCK_MS_MIN};
use crate::scheduler::{Line, Pool, Quarantine};
use crate::stream::OpenStream;
use crate::{CommitId, DeploymentId, Instance, Millis, Recorded, ReplyId, RunId, Summary};

/// Times that a run's worker may die around it before it is suspected.
const DEATHS_BEFORE_SUSPICION: u8 = 2;

/// An instance in memory.
#[derive(Debug)]
pub(super) struct Slot {
    pub instance: Instance,
    /// The row as last written; `None` where it was written before the instance was loaded.
    pub summary: Option<Summary>,
    /// The timer that stands for it.
    pub timer: Option<Millis>,
    /// When its run, which only waits, has had its grace.
    pub grace_at: Option<Millis>,
    /// Its run has timers of its own: it has its full grace.
    pub busy: bool,
    /// The last commit that concerns it.
    pub commit: CommitId,
    /// It stands in line.
    pub queued: bool,
    /// Its run has a place.
    pub has_place: bool,
    /// Its run has been told something that lets its code go on, and has said nothing since.
    pub awake: bool,
    /// What its run will be told once it has a place.
    pub held: Vec<Tell>,
    /// It stands in line for a place.
    pub awaits_place: bool,
    /// A run of an earlier incarnation that must be gone first.
    pub ghost: Option<RunId>,
    /// Whether it may have killed a worker.
    pub quarantine: Quarantine,
    /// Workers that died around it since its last good run.
    pub deaths: u8,
    /// Whether somebody outside has killed a worker in which it was alone, since its last good run.
    pub was_killed_outside: bool,
    /// Its last run got stuck.
    pub stuck: Option<Stuck>,
    /// For the first run.
    pub fresh: Option<Fresh>,
    /// What its attempts in flight are writing.
    pub streams: Vec<OpenStream>,
    /// Restarts from a step that wait for its history.
    pub planned: Option<PlannedRestart>,
}

/// It runs again when there is other code, when a user wants it to, or after a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stuck {
    /// The code that it got stuck in.
    pub code: DeploymentId,
    /// How long it is left alone.
    wait_ms: Millis,
    /// When it is tried again; `None` while it is.
    pub again_at: Option<Millis>,
}

/// Restarts from a step, until the history has been read.
#[derive(Debug, Default)]
pub(super) struct PlannedRestart {
    pub wanted: Vec<(ReplyId, StepTarget)>,
    /// What has been recorded since the history was asked for.
    pub since: Vec<Recorded>,
}

impl Slot {
    pub fn new(instance: Instance, summary: Option<Summary>, commit: CommitId) -> Self {
        Self {
            instance,
            summary,
            timer: None,
            grace_at: None,
            busy: false,
            commit,
            queued: false,
            has_place: false,
            awake: false,
            held: Vec::new(),
            awaits_place: false,
            ghost: None,
            quarantine: Quarantine::Free,
            deaths: 0,
            was_killed_outside: false,
            stuck: None,
            fresh: None,
            streams: Vec::new(),
            planned: None,
        }
    }

    /// Its run got stuck once more.
    pub fn note_stuck(&mut self, now: Millis) {
        let wait_ms = self.stuck.map_or(STUCK_MS_MIN, |stuck| (stuck.wait_ms * 2).min(STUCK_MS_MAX));
        self.stuck = Some(Stuck { code: self.instance.deployment, wait_ms, again_at: Some(now + wait_ms) });
    }

    /// It was left alone for long enough.
    pub fn try_again(&mut self, now: Millis) {
        if let Some(stuck) = &mut self.stuck {
            stuck.again_at = stuck.again_at.filter(|at| *at > now);
        }
    }

    /// Where it stands in line when it runs `deployment`.
    pub fn line(&self, deployment: DeploymentId) -> Line {
        Line { workflow: self.instance.workflow, pool: Some(Pool { deployment, quarantine: self.quarantine }) }
    }

    /// The code of its run may be executing.
    pub fn is_active(&self) -> bool {
        self.instance.run().is_some() && (self.awake || !self.instance.only_waits())
    }

    /// Its run must have a place before it goes on. One that is to go needs none any more.
    pub fn wants_place(&self) -> bool {
        let lasting = self.instance.run().is_some_and(|run| run.leaving != Leaving::Told) && !self.instance.is_final();
        !self.has_place && lasting && (self.is_active() || !self.held.is_empty())
    }

    /// It should stand in line and does not.
    pub fn wants_to_queue(&self) -> bool {
        !self.queued
            && self.ghost.is_none()
            && self.stuck.is_none_or(|stuck| stuck.again_at.is_none())
            && self.instance.wants_run()
    }

    /// Nothing in this process needs it.
    pub fn is_idle(&self) -> bool {
        let is_still = !self.queued && self.ghost.is_none() && self.planned.is_none();
        is_still && self.instance.run().is_none() && !self.instance.wants_run()
    }

    /// Its worker died while it was active. `at_work`: it hung, and this one had been going on just then.
    pub fn note_death(&mut self, at_work: bool) {
        self.deaths = self.deaths.saturating_add(1);
        self.quarantine = match self.quarantine {
            Quarantine::Free if at_work || self.deaths >= DEATHS_BEFORE_SUSPICION => Quarantine::Few,
            Quarantine::Free => Quarantine::Free,
            Quarantine::Few | Quarantine::Alone => Quarantine::Alone,
        };
    }

    /// Somebody outside killed the worker in which it was alone; says whether it is to blame. Once is an operator's whim.
    /// Again is a pattern: the kernel that ends what takes all memory looks just the same, and code that takes it would
    /// otherwise be tried for ever.
    pub fn note_outside_kill(&mut self) -> bool {
        std::mem::replace(&mut self.was_killed_outside, true)
    }

    /// Its run ended in order.
    pub fn clear_suspicion(&mut self) {
        self.was_killed_outside = false;
        self.quarantine = Quarantine::Free;
        self.deaths = 0;
    }
}
