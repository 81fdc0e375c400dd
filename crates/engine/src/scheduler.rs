//! Who runs next, and where.
//!
//! Ready instances stand in one queue for each (workflow, deployment); the queues take turns, so that a workflow with a
//! million ready instances does not keep another waiting. A run needs a place (concurrency limits of the workflow and
//! of the server) and room in a session of its deployment; a live run that waited, and has been woken, needs a place only
//! and stands in a queue for that. Suspects of having killed a worker stand in queues of their
//! own and run a few at a time, then alone.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::limits::{QUARANTINE_RUNS_MAX, SESSION_RUNS_MAX};
use crate::{DeploymentId, InstanceKey, SessionId, WorkflowId};

/// Whose code runs, and how closely it is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pool {
    /// Whose code.
    pub deployment: DeploymentId,
    /// How closely.
    pub quarantine: Quarantine,
}

/// How closely the runs of a pool are watched, to find out who kills workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quarantine {
    /// Not at all.
    #[default]
    Free,
    /// A few suspects at a time: many are cleared soon.
    Few,
    /// One at a time: who is there when the worker dies is to blame.
    Alone,
}

impl Quarantine {
    /// Nobody is suspected.
    #[must_use]
    pub fn is_free(self) -> bool {
        self == Self::Free
    }

    fn runs_max(self) -> usize {
        match self {
            Self::Free => SESSION_RUNS_MAX,
            Self::Few => QUARANTINE_RUNS_MAX,
            Self::Alone => 1,
        }
    }
}

/// Where an instance stands in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// Its workflow.
    pub workflow: WorkflowId,
    /// The pool in which its run is to start; `None` where its run is live and only needs a place.
    pub pool: Option<Pool>,
}

/// The next instance to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Which.
    pub key: InstanceKey,
    /// Its workflow, a place of which it has taken.
    pub workflow: WorkflowId,
    /// Where its run is to start; `None` where it is live.
    pub session: Option<SessionId>,
}

#[derive(Debug, Default)]
struct Places {
    limit: Option<usize>,
    taken: usize,
}

impl Places {
    fn has_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.taken < limit)
    }
}

#[derive(Debug)]
struct SessionLoad {
    pool: Pool,
    runs: usize,
    open: bool,
}

/// Ready queues, places and sessions.
#[derive(Debug, Default)]
pub struct Scheduler {
    lines: BTreeMap<Line, VecDeque<InstanceKey>>,
    turns: VecDeque<Line>,
    places: HashMap<WorkflowId, Places>,
    server: Places,
    sessions: BTreeMap<SessionId, SessionLoad>,
    /// Pools that are missing a session: whether that has been told.
    wanted: BTreeMap<Pool, bool>,
}

impl Scheduler {
    /// A scheduler that lets at most `runs_max` instances run at once, waiting ones apart.
    #[must_use]
    pub fn new(runs_max: usize) -> Self {
        Self { server: Places { limit: Some(runs_max), taken: 0 }, ..Self::default() }
    }

    /// Sets how many instances of a workflow may run at once.
    pub fn set_limit(&mut self, workflow: WorkflowId, limit: Option<usize>) {
        self.places.entry(workflow).or_default().limit = limit;
    }

    /// A session takes runs.
    pub fn add_session(&mut self, session: SessionId, pool: Pool) {
        self.wanted.remove(&pool);
        self.sessions.insert(session, SessionLoad { pool, runs: 0, open: true });
    }

    /// A session takes no further runs.
    pub fn close_session(&mut self, session: SessionId) {
        if let Some(load) = self.sessions.get_mut(&session) {
            load.open = false;
        }
    }

    /// A session is gone. Its runs must have been [`Scheduler::leave`]d.
    pub fn remove_session(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// The pool of a session.
    #[must_use]
    pub fn pool_of(&self, session: SessionId) -> Option<Pool> {
        self.sessions.get(&session).map(|load| load.pool)
    }

    /// Runs in a session, those that wait included.
    #[must_use]
    pub fn runs_in(&self, session: SessionId) -> usize {
        self.sessions.get(&session).map_or(0, |load| load.runs)
    }

    /// Ready instances.
    #[must_use]
    pub fn ready_count(&self) -> usize {
        self.lines.values().map(VecDeque::len).sum()
    }

    /// Puts an instance at the end of its line.
    pub fn enqueue(&mut self, key: InstanceKey, line: Line) {
        let queue = self.lines.entry(line).or_insert_with(|| {
            self.turns.push_back(line);
            VecDeque::new()
        });
        queue.push_back(key);
    }

    /// Takes the next instance that can run, with its place and its room in a session. Pools that are missing a session
    /// are noted for [`Scheduler::take_wanted`].
    pub fn place_next(&mut self) -> Option<Placement> {
        if !self.server.has_room() {
            return None;
        }
        for _ in 0..self.turns.len() {
            let line = self.turns.pop_front()?;
            if let Some(placement) = self.place_from(line) {
                return Some(placement);
            }
        }
        None
    }

    fn place_from(&mut self, line: Line) -> Option<Placement> {
        let queue = self.lines.get_mut(&line)?;
        if queue.is_empty() {
            self.lines.remove(&line);
            return None;
        }
        self.turns.push_back(line);
        if !self.places.entry(line.workflow).or_default().has_room() {
            return None;
        }
        let session = match line.pool.map(|pool| (pool, roomiest(&self.sessions, pool))) {
            Some((pool, None)) => {
                self.want(pool);
                return None;
            }
            Some((_, session)) => session,
            None => None,
        };
        let key = queue.pop_front()?;
        self.take_place(line.workflow);
        if let Some(load) = session.and_then(|session| self.sessions.get_mut(&session)) {
            load.runs += 1;
        }
        Some(Placement { key, workflow: line.workflow, session })
    }

    fn want(&mut self, pool: Pool) {
        let has_session = self.sessions.values().any(|load| load.pool == pool && load.open);
        if !has_session {
            self.wanted.entry(pool).or_insert(false);
        }
    }

    /// Pools that have ready instances and no session: each once until it gets one.
    pub fn take_wanted(&mut self) -> Vec<Pool> {
        let untold = self.wanted.iter_mut().filter(|(_, told)| !**told);
        untold
            .map(|(pool, told)| {
                *told = true;
                *pool
            })
            .collect()
    }

    /// Places that runs of this workflow have taken.
    #[must_use]
    pub fn taken(&self, workflow: WorkflowId) -> usize {
        self.places.get(&workflow).map_or(0, |places| places.taken)
    }

    /// Places taken on the whole server.
    #[must_use]
    pub fn taken_in_all(&self) -> usize {
        self.server.taken
    }

    /// Whether an instance of this workflow could take a place now.
    #[must_use]
    pub fn has_place(&self, workflow: WorkflowId) -> bool {
        self.server.has_room() && self.places.get(&workflow).is_none_or(Places::has_room)
    }

    /// Takes a place for a run that waited.
    pub fn take_place(&mut self, workflow: WorkflowId) {
        self.places.entry(workflow).or_default().taken += 1;
        self.server.taken += 1;
    }

    /// Gives up a place, because the run waits or has ended.
    pub fn release_place(&mut self, workflow: WorkflowId) {
        let places = self.places.entry(workflow).or_default();
        debug_assert!(places.taken > 0 && self.server.taken > 0, "a place is released once");
        places.taken = places.taken.saturating_sub(1);
        self.server.taken = self.server.taken.saturating_sub(1);
    }

    /// A run has left its session.
    pub fn leave(&mut self, session: SessionId) {
        if let Some(load) = self.sessions.get_mut(&session) {
            debug_assert!(load.runs > 0, "a run leaves its session once");
            load.runs = load.runs.saturating_sub(1);
        }
    }
}

fn roomiest(sessions: &BTreeMap<SessionId, SessionLoad>, pool: Pool) -> Option<SessionId> {
    let runs_max = pool.quarantine.runs_max();
    sessions
        .iter()
        .filter(|(_, load)| load.pool == pool && load.open && load.runs < runs_max)
        .min_by_key(|(_, load)| load.runs)
        .map(|(session, _)| *session)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: Pool = Pool { deployment: DeploymentId(1), quarantine: Quarantine::Free };

    fn line(workflow: u32) -> Line {
        Line { workflow: WorkflowId(workflow), pool: Some(POOL) }
    }

    fn placed(scheduler: &mut Scheduler) -> Vec<u64> {
        std::iter::from_fn(|| scheduler.place_next()).map(|placement| placement.key.0).collect()
    }

    #[test]
    fn workflows_take_turns_and_each_is_first_in_first_out() {
        let mut scheduler = Scheduler::new(100);
        scheduler.add_session(SessionId(1), POOL);
        for key in [1, 2, 3] {
            scheduler.enqueue(InstanceKey(key), line(1));
        }
        scheduler.enqueue(InstanceKey(10), line(2));
        assert_eq!(placed(&mut scheduler), [1, 10, 2, 3]);
    }

    #[test]
    fn a_workflow_at_its_limit_waits_and_lets_others_pass() {
        let mut scheduler = Scheduler::new(100);
        scheduler.add_session(SessionId(1), POOL);
        scheduler.set_limit(WorkflowId(1), Some(1));
        for key in [1, 2] {
            scheduler.enqueue(InstanceKey(key), line(1));
        }
        scheduler.enqueue(InstanceKey(10), line(2));
        assert_eq!(placed(&mut scheduler), [1, 10]);
        scheduler.release_place(WorkflowId(1));
        assert_eq!(placed(&mut scheduler), [2]);
    }

    #[test]
    fn the_servers_limit_bounds_all() {
        let mut scheduler = Scheduler::new(2);
        scheduler.add_session(SessionId(1), POOL);
        (1..=3).for_each(|key| scheduler.enqueue(InstanceKey(key), line(1)));
        assert_eq!(placed(&mut scheduler), [1, 2]);
    }

    #[test]
    fn a_pool_without_a_session_is_wanted_once() {
        let mut scheduler = Scheduler::new(100);
        scheduler.enqueue(InstanceKey(1), line(1));
        scheduler.enqueue(InstanceKey(2), line(1));
        assert_eq!(placed(&mut scheduler), [0; 0]);
        assert_eq!(scheduler.take_wanted(), [POOL]);
        assert_eq!(scheduler.take_wanted(), []);
    }

    #[test]
    fn runs_spread_over_the_sessions_of_a_deployment() {
        let mut scheduler = Scheduler::new(100);
        scheduler.add_session(SessionId(1), POOL);
        scheduler.add_session(SessionId(2), POOL);
        (1..=4).for_each(|key| scheduler.enqueue(InstanceKey(key), line(1)));
        placed(&mut scheduler);
        assert_eq!([SessionId(1), SessionId(2)].map(|session| scheduler.runs_in(session)), [2, 2]);
    }

    #[test]
    fn the_last_suspects_run_one_at_a_time() {
        let mut scheduler = Scheduler::new(100);
        let pool = Pool { quarantine: Quarantine::Alone, ..POOL };
        scheduler.add_session(SessionId(1), pool);
        (1..=2).for_each(|key| scheduler.enqueue(InstanceKey(key), Line { pool: Some(pool), ..line(1) }));
        assert_eq!(placed(&mut scheduler), [1]);
        scheduler.leave(SessionId(1));
        assert_eq!(placed(&mut scheduler), [2]);
    }

    #[test]
    fn a_woken_run_needs_a_place_but_no_session() {
        let mut scheduler = Scheduler::new(1);
        scheduler.enqueue(InstanceKey(1), line(1));
        scheduler.enqueue(InstanceKey(2), Line { pool: None, ..line(1) });
        assert_eq!(placed(&mut scheduler), [2]);
        scheduler.release_place(WorkflowId(1));
        scheduler.add_session(SessionId(1), POOL);
        assert_eq!(placed(&mut scheduler), [1]);
        assert_eq!((scheduler.taken(WorkflowId(1)), scheduler.taken_in_all()), (1, 1));
    }
}
