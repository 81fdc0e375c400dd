//! How messages travel, workers live and die, and what goes wrong by itself.

use stepwell_engine::engine::Fault;
use stepwell_engine::instance::Report;
use stepwell_engine::scheduler::Pool;
use stepwell_engine::{Input, RunId, SessionId};

use super::mutant::Mutant;
use super::run::Run;
use super::store::Row;
use super::streams::Writer;
use super::turn::Poison;
use super::worker::{Health, Session, Word};
use super::world::{Event, FAULTS_MS, World};

/// Silence after which the host kills a worker.
const SILENCE_MS: i64 = 4_000;
/// How long a draining session may keep its runs.
const DRAIN_MS: i64 = 15_000;

/// On the wire, that a step has a handler is said in one message with its beginning.
fn is_part_of_the_last(report: &Report) -> bool {
    matches!(report, Report::RollbackRegistered { .. })
}

impl World {
    pub fn send(&mut self, id: SessionId, word: Word) {
        let ms = self.latency();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.inbox.push_back(word);
        session.inbox_until = session.inbox_until.max(self.now + ms);
        let at = session.inbox_until;
        self.at(at, Event::ToWorker(id));
    }

    fn latency(&mut self) -> i64 {
        if self.now < FAULTS_MS && self.rng.chance(3) { self.rng.between(50, 1_500) } else { self.rng.between(0, 3) }
    }

    pub fn worker_hears(&mut self, id: SessionId) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.health == Health::Well) else { return };
        let Some(word) = session.inbox.pop_front() else { return };
        let run = match word {
            Word::Stream(writer, stream) => {
                if let Some(live) = session.runs.get_mut(&writer.run) {
                    live.hear_of_stream(now, writer.call, writer.attempt, stream);
                }
                writer.run
            }
            Word::Start(beginning) => {
                let (run, key) = (beginning.run, beginning.key);
                session.runs.insert(run, Run::new(*beginning, now));
                self.check_alone(key, run);
                run
            }
            Word::Tell(run, tell) => {
                let Some(live) = session.runs.get_mut(&run) else {
                    if matches!(tell, stepwell_engine::instance::Tell::Forget { .. }) {
                        self.say(id, run, Report::Forgotten);
                    }
                    return;
                };
                if live.hear(tell) {
                    session.runs.remove(&run);
                    return self.say(id, run, Report::Forgotten);
                }
                run
            }
        };
        self.run_turn(id, run);
    }

    /// No other run of the incarnation, or of the one before it, is live.
    fn check_alone(&mut self, key: stepwell_engine::InstanceKey, run: RunId) {
        let wells = self.sessions.values().filter(|session| session.health.is_alive());
        let others: Vec<RunId> = wells
            .flat_map(|session| &session.runs)
            .filter(|(id, live)| **id != run && live.key == key)
            .map(|(id, _)| *id)
            .collect();
        self.checker.require(others.is_empty(), || format!("run {run} of {key} starts while {others:?} are live"));
        if let Some(old) = self.client.predecessor(key) {
            let ghost = self
                .sessions
                .values()
                .filter(|session| session.health.is_alive())
                .any(|session| session.runs.values().any(|live| live.key == old));
            self.checker.require(!ghost, || format!("{key} runs while a run of {old}, which it replaced, is live"));
        }
    }

    pub fn run_turn(&mut self, id: SessionId, run: RunId) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.health == Health::Well) else { return };
        let Some(live) = session.runs.get_mut(&run) else { return };
        let key = live.key;
        let turn = live.turn(now);
        if turn.ended {
            session.runs.remove(&run);
        }
        self.note(|| format!("run {run} of {key}: {turn:?}"));
        self.saw(run, key, &turn.seen);
        for report in turn.reports {
            self.say(id, run, report);
        }
        for (call, attempt) in turn.streams {
            let ms = self.latency();
            self.after(ms, Event::StreamAsked(Writer { session: id, run, call, attempt, at: now }));
        }
        match turn.poison {
            Some(Poison::Kill) => {
                // The kernel that ends what takes all memory looks like somebody outside.
                let health = if self.rng.chance(50) { Health::Killed } else { Health::Dead };
                self.die(id, health);
            }
            Some(Poison::Hang) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.health = Health::Hung { since: now };
                }
                self.after(SILENCE_MS, Event::SessionLost(id));
            }
            None => {}
        }
        self.check_executing();
        if let Some(at) = turn.wake_at.filter(|_| turn.poison.is_none()) {
            self.at(at.max(now), Event::RunTurn(id, run));
        }
    }

    /// Runs that execute callbacks are no more than allowed. One with parallel branches may start a step on one branch
    /// just after it has given up its place on another; it is not counted. After a jump of the clock attempts may have timed out early.
    fn check_executing(&mut self) {
        let now = self.now;
        if self.jumped {
            return;
        }
        for (index, limit) in super::world::LIMITS.iter().enumerate() {
            let Some(limit) = limit else { continue };
            let lasting = |live: &&Run| {
                let row = self.store.rows.get(&live.key);
                let is_own = |row: &&Row| row.workflow.0 == index as u32 && !row.summary.status.is_final();
                live.is_sequential() && row.filter(is_own).is_some_and(|row| live.is_executing(now, row))
            };
            let wells = self.sessions.values().filter(|session| session.health == Health::Well);
            let executing = wells.flat_map(|session| session.runs.values()).filter(lasting).count();
            self.checker.require(executing <= *limit, || {
                format!("{executing} runs of workflow {index} execute callbacks; its limit is {limit}")
            });
        }
    }

    fn say(&mut self, id: SessionId, run: RunId, report: Report) {
        let ms = self.latency();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.outbox.push_back((run, report));
        session.outbox_until = session.outbox_until.max(self.now + ms);
        let at = session.outbox_until;
        self.at(at, Event::ToServer(id));
    }

    pub fn server_hears(&mut self, id: SessionId) {
        let wall = self.wall();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some((run, report)) = session.outbox.pop_front() else { return };
        session.alive_at = wall;
        let registered = session.outbox.pop_front_if(|(_, next)| is_part_of_the_last(next));
        self.input(Input::Report(id, run, report));
        if let Some((run, report)) = registered {
            self.input(Input::Report(id, run, report));
        }
    }

    /// The process is gone; what it has sent last may still arrive.
    fn die(&mut self, id: SessionId, health: Health) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.health == Health::Well) else { return };
        session.health = health;
        let mut keep = self.rng.below(session.outbox.len() as u64 + 1) as usize;
        keep += usize::from(session.outbox.get(keep).is_some_and(|(_, next)| is_part_of_the_last(next)));
        session.outbox.truncate(keep);
        let at = session.outbox_until.max(self.now) + self.rng.between(0, 50);
        self.note(|| format!("the worker of session {id} dies"));
        self.at(at, Event::SessionLost(id));
    }

    pub fn session_lost(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else { return };
        let alive_at = session.alive_at;
        let fault = match session.health {
            Health::Hung { since } => {
                // The last answered ping lies up to a second before it hung.
                let pong_at = self.wall() - (self.now - since) - self.rng.between(0, 1_000);
                Fault::Hung { alive_at: alive_at.max(pong_at) }
            }
            Health::Killed if self.mutant != Some(Mutant::BlamedForKill) => Fault::Killed { alive_at },
            Health::Dead | Health::Killed => Fault::Crashed { alive_at },
            Health::Well => Fault::None,
        };
        self.down(id, fault);
        for (run, report) in session.outbox {
            let ms = self.rng.between(0, 200);
            self.after(ms, Event::Stale(id, run, Box::new(report)));
        }
    }

    /// Something may go wrong.
    pub fn nature(&mut self) {
        let ms = self.rng.between(50, 4_000);
        self.after(ms, Event::Nature);
        self.close_drained();
        if self.now > FAULTS_MS || self.engine.is_none() {
            return;
        }
        match self.rng.below(20) {
            0 | 1 => self.crash(),
            fate @ (2 | 3) => {
                let health = if fate == 2 { Health::Dead } else { Health::Killed };
                if let Some(id) = self.any_session() {
                    self.die(id, health);
                }
            }
            4 => {
                if let Some(id) = self.any_session() {
                    self.drain(id);
                }
            }
            5 => self.jump_clock(),
            6 => self.deploy(),
            7..=9 => self.kill_suspects(),
            _ => {}
        }
    }

    /// A session that does not look for a culprit: there, only the culprit may do harm.
    fn any_session(&mut self) -> Option<SessionId> {
        let fit = |pool: Pool| pool.quarantine.is_free();
        let ids: Vec<SessionId> =
            self.sessions.iter().filter(|(_, session)| fit(session.pool)).map(|(id, _)| *id).collect();
        (!ids.is_empty()).then(|| *self.rng.pick(&ids))
    }

    /// Somebody outside kills a worker that looks for a culprit. Once for each run there: again would be a pattern.
    fn kill_suspects(&mut self) {
        let fit = |session: &Session| !session.pool.quarantine.is_free() && !session.runs.is_empty();
        let first = self.sessions.iter().find(|(_, session)| fit(session));
        let Some((id, keys)) =
            first.map(|(id, session)| (*id, session.runs.values().map(|run| run.key).collect::<Vec<_>>()))
        else {
            return;
        };
        if keys.iter().all(|key| self.killed_outside.insert(*key)) {
            self.die(id, Health::Killed);
        }
    }

    fn drain(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.draining) {
            session.draining = true;
            self.input(Input::SessionDraining(id));
            self.after(DRAIN_MS, Event::SessionLost(id));
        }
    }

    fn close_drained(&mut self) {
        let over = |session: &&Session| {
            session.draining && session.runs.is_empty() && session.inbox.is_empty() && session.outbox.is_empty()
        };
        let ids: Vec<SessionId> =
            self.sessions.iter().filter(|(_, session)| over(session)).map(|(id, _)| *id).collect();
        for id in ids {
            self.session_lost(id);
        }
    }
}
