//! The host around the real engine, as the driver is: it makes batches durable, carries out what comes of them, and crashes.

use stepwell_engine::engine::Start;
use stepwell_engine::instance::{Report, Settlement, Tell};
use stepwell_engine::{Batch, CommitId, Engine, Input, InstanceKey, Millis, Output, Payload, RunId, SessionId};

use super::mutant::Mutant;
use super::run::Beginning;
use super::worker::Word;
use super::world::{Event, FAULTS_MS, World};

/// Runs on the whole server.
const RUNS_MAX: usize = 6;
/// Batches on their way to the store.
const COMMITS_MAX: usize = 3;

/// A batch between the engine and the store's answer.
#[derive(Debug)]
pub struct Commit {
    pub id: CommitId,
    pub batch: Batch,
    pub refused: Option<Vec<InstanceKey>>,
}

impl World {
    pub fn schedule_flush(&mut self) {
        if !self.flushing && self.commits.len() < COMMITS_MAX {
            self.flushing = true;
            let ms = self.rng.between(0, 2);
            self.after(ms, Event::Flush);
        }
    }

    pub fn flush(&mut self) {
        self.flushing = false;
        let wall = self.wall();
        let Some(engine) = &mut self.engine else { return };
        let mut out = Vec::new();
        let closed = engine.flush(wall, &mut out);
        self.perform_now(out);
        let Some((id, batch)) = closed else { return };
        self.note(|| format!("batch {id}: {batch:?}"));
        self.commits.push_back(Commit { id, batch, refused: None });
        let slow = self.now < FAULTS_MS && self.rng.chance(5);
        let ms = if slow { self.rng.between(100, 8_000) } else { self.rng.between(0, 4) };
        // A batch that follows a slow one is not durable before it.
        let last = self.client.durable_until.max(self.now + ms);
        self.client.durable_until = last;
        self.at(last, Event::Durable(id));
        if self.mutant == Some(Mutant::AckBeforeCommit) {
            self.input(Input::Committed(id, Vec::new()));
        }
    }

    pub fn durable(&mut self, id: CommitId) {
        let Some(place) = self.commits.iter().position(|commit| commit.id == id) else { return };
        let batch = self.commits[place].batch.clone();
        match self.apply(&batch) {
            Ok(refused) => self.commits[place].refused = Some(refused),
            Err(fence) => return self.checker.fail(format!("the store refuses batch {id}: {fence}")),
        }
        let ms = self.rng.between(0, 3);
        let last = self.client.replied_until.max(self.now + ms);
        self.client.replied_until = last;
        self.at(last, Event::Committed(id));
    }

    /// Makes a batch durable, and looks at what becomes of incarnations that are replaced.
    fn apply(&mut self, batch: &Batch) -> Result<Vec<InstanceKey>, String> {
        self.check_keeping(batch);
        let replaced: Vec<_> =
            batch.restarts.iter().map(|again| (again, self.store.rows.get(&again.old).cloned())).collect();
        let refused = self.store.apply(batch)?;
        for (again, before) in replaced {
            if let (Some(before), Some(after)) = (before, self.store.rows.get(&again.new)) {
                self.checker.replaced((again.old, &before), (again.new, after));
            }
        }
        Ok(refused)
    }

    pub fn committed(&mut self, id: CommitId) {
        let Some(commit) = self.commits.pop_front() else { return };
        assert_eq!(commit.id, id, "answers come in order");
        if self.mutant != Some(Mutant::AckBeforeCommit) {
            self.input(Input::Committed(id, commit.refused.unwrap_or_default()));
        }
        self.schedule_flush();
    }

    pub fn perform(&mut self, out: Vec<Output>) {
        self.perform_now(out);
        self.schedule_flush();
    }

    fn perform_now(&mut self, out: Vec<Output>) {
        for output in out {
            if !matches!(output, Output::ReadDue { .. }) {
                self.note(|| format!("out {output:?}"));
            }
            self.perform_one(output);
        }
    }

    fn perform_one(&mut self, output: Output) {
        match output {
            Output::Load(key) => {
                let ms = self.rng.between(0, 20);
                let early = self.rng.chance(50);
                let event =
                    if early { Event::Loaded(key, self.store.load(key).map(Box::new)) } else { Event::Load(key) };
                self.after(ms, event);
            }
            Output::ReadHistory(key) => self.read_history(key),
            Output::ReadDue { after, until } => self.read_due(after, until),
            Output::WantSession(pool) => {
                if !self.wanted.contains(&pool) {
                    self.wanted.push(pool);
                    let ms = self.rng.between(5, 200);
                    self.after(ms, Event::SessionUp(pool));
                }
            }
            Output::Fault(session, reason) => {
                self.checker.fail(format!("session {session}, which keeps to the protocol, is blamed: {reason}"));
            }
            Output::Start(start) => self.start_run(*start),
            Output::Tell(session, run, tell) => self.tell(session, run, tell),
            Output::Reply(reply, answer) => self.answered(reply, answer),
            Output::Ended(..) => {}
        }
    }

    fn read_history(&mut self, key: InstanceKey) {
        let mut history = self.store.rows.get(&key).map_or_else(Vec::new, |row| row.entries.clone());
        if self.mutant == Some(Mutant::StaleHistory) {
            history.truncate(history.len().saturating_sub(2).max(1));
        }
        let ms = if self.rng.chance(20) { self.rng.between(0, 2_000) } else { self.rng.between(0, 20) };
        self.after(ms, Event::HistoryRead(key, history));
    }

    fn read_due(&mut self, after: (Millis, InstanceKey), until: Millis) {
        let (mut due, complete) = self.store.due(after, until, 4);
        if self.mutant == Some(Mutant::LostWakeUp) && self.rng.chance(30) {
            due.pop();
        }
        if self.mutant == Some(Mutant::LiveExpiry) && self.rng.chance(30) {
            due.iter_mut().for_each(|due| due.ended_at = Some(0));
        }
        let ms = if self.rng.chance(20) { self.rng.between(0, 6_000) } else { self.rng.between(0, 10) };
        self.after(ms, Event::DueRead { until, due, complete });
    }

    fn start_run(&mut self, start: Start) {
        let Some(row) = self.store.rows.get(&start.key) else {
            return self.checker.fail(format!("{} is started and does not exist", start.key));
        };
        let end = usize::try_from(start.history_end_seq).unwrap_or(usize::MAX);
        if row.entries.len() < end {
            return self.checker.fail(format!("{} is started with a history that is not durable", start.key));
        }
        let row = row.clone();
        self.check_deployment(&start, &row);
        self.check_readable(start.key, &row.entries[..end]);
        let program = self.client.program(row.workflow, &row.id);
        let beginning = Beginning {
            run: start.run,
            key: start.key,
            created_at: row.created_at(),
            program,
            calls: start.calls,
            grants: start.grants,
            careful: start.careful,
            rolls_back: start.rolls_back,
            mutant: self.mutant,
            history: row.entries[..end].to_vec(),
        };
        self.run_keys.insert(start.run, start.key);
        self.send(start.session, Word::Start(Box::new(beginning)));
    }

    fn tell(&mut self, session: SessionId, run: RunId, tell: Tell) {
        let Some(key) = self.run_keys.get(&run).copied() else { return };
        self.checker.told(&self.store, key, &tell, self.wall_max);
        let tell = match tell {
            Tell::Settle(call, Settlement::Event { seq, at, event_type, .. }) => {
                let json = self.store.rows.get(&key).and_then(|row| row.event(seq));
                let payload = Some(Payload { json, ..Payload::UNDEFINED });
                Tell::Settle(call, Settlement::Event { seq, at, event_type, payload })
            }
            Tell::Attempt(_, attempt) if self.mutant == Some(Mutant::ForgottenRetry) && attempt > 1 => return,
            other => other,
        };
        let forgets = matches!(tell, Tell::Forget { .. });
        if forgets && self.rng.chance(30) {
            let ms = self.rng.between(0, 5);
            self.after(ms, Event::Poke(key));
        }
        self.send(session, Word::Tell(run, tell));
        if forgets && self.mutant == Some(Mutant::DoubleRun) {
            self.input(Input::Report(session, run, Report::Forgotten));
        }
    }

    /// Gives a new server process the store.
    pub fn start_server(&mut self) {
        self.note(|| "the server starts".to_owned());
        let mut engine = Engine::new(InstanceKey(self.store.key_max + 1), RUNS_MAX).with_chaos(self.chaos);
        let wall = self.wall();
        let mut out = Vec::new();
        for input in self.workflows() {
            engine.handle(input, wall, &mut out);
        }
        self.engine = Some(engine);
        self.perform(out);
    }

    /// `kill -9`: some of the batches on their way are durable, as whole batches and in order; nobody hears of it.
    pub fn crash(&mut self) {
        let pending: Vec<Commit> = self.commits.drain(..).filter(|commit| commit.refused.is_none()).collect();
        let survive = self.rng.below(pending.len() as u64 + 1) as usize;
        self.note(|| format!("the server crashes; {survive} of {} batches survive", pending.len()));
        for commit in &pending[..survive] {
            if let Err(fence) = self.apply(&commit.batch) {
                self.checker.fail(format!("the store refuses batch {}: {fence}", commit.id));
            }
        }
        self.store.streams.reopen();
        self.streams_under_way = 0;
        self.life += 1;
        self.engine = None;
        self.sessions.clear();
        self.run_keys.clear();
        self.positions.clear();
        self.wanted.clear();
        self.flushing = false;
        self.client.forget_asked();
        let ms = self.rng.between(1, 15_000);
        self.after(ms, Event::Restart);
    }
}
