//! Users: they create, send events and give commands, and remember what was promised to them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use stepwell_engine::engine::{Answer, Command};
use stepwell_engine::instance::{Rejection, StepTarget, TargetKind};
use stepwell_engine::{Input, InstanceKey, Payload, ReplyId, Retention, Source, Status, WorkflowId};

use super::checker::Checker;
use super::mutant::Mutant;
use super::program::{Author, EVENT_TYPES, Program};
use super::rng::Rng;
use super::store::Store;
use super::world::{Event, FAULTS_MS, LIMITS, World};

type Place = (WorkflowId, Arc<str>);

/// What a user asks for.
#[derive(Debug, Clone)]
pub enum Ask {
    Create(Place),
    Event(InstanceKey, String),
    Command(InstanceKey, Command),
}

/// All users.
#[derive(Debug)]
pub struct Client {
    programs: BTreeMap<Place, Rc<Program>>,
    /// Of the instances that schedules create.
    scheduled: Rc<Program>,
    asked: BTreeMap<ReplyId, Ask>,
    next: u64,
    keys: BTreeSet<InstanceKey>,
    created: BTreeSet<Place>,
    deleted: BTreeSet<Place>,
    events: BTreeSet<(InstanceKey, String)>,
    replaced: BTreeMap<InstanceKey, InstanceKey>,
    pub durable_until: i64,
    pub replied_until: i64,
}

impl Client {
    pub fn new(rng: &mut Rng) -> Self {
        let to_create = rng.below(14) + 2;
        let mut programs = BTreeMap::new();
        for index in 0..to_create {
            let workflow = WorkflowId(rng.below(LIMITS.len() as u64) as u32);
            programs.insert((workflow, World::id(index)), Author::new(rng).program());
        }
        let mut scheduled = Author::new(rng).program();
        while scheduled.is_rogue {
            scheduled = Author::new(rng).program();
        }
        Self {
            programs,
            scheduled,
            asked: BTreeMap::new(),
            next: 1,
            keys: BTreeSet::new(),
            created: BTreeSet::new(),
            deleted: BTreeSet::new(),
            events: BTreeSet::new(),
            replaced: BTreeMap::new(),
            durable_until: 0,
            replied_until: 0,
        }
    }

    pub fn program(&self, workflow: WorkflowId, id: &Arc<str>) -> Rc<Program> {
        Rc::clone(self.programs.get(&(workflow, Arc::clone(id))).unwrap_or(&self.scheduled))
    }

    /// The incarnation that `key` is known to have replaced.
    pub fn predecessor(&self, key: InstanceKey) -> Option<InstanceKey> {
        self.replaced.get(&key).copied()
    }

    pub fn is_done(&self, now: i64) -> bool {
        now > FAULTS_MS && self.asked.is_empty()
    }

    /// The server has crashed: nobody will answer.
    pub fn forget_asked(&mut self) {
        self.durable_until = 0;
        self.replied_until = 0;
        self.asked.clear();
    }

    pub fn send(&mut self, ask: Ask, mutant: Option<Mutant>, rng: &mut Rng) -> Option<Input> {
        let reply = ReplyId(self.next);
        self.next += 1;
        let input = match ask.clone() {
            Ask::Create((workflow, id)) => {
                let success_ms = Some(*rng.pick(&[0, 3_000]));
                let own = rng.chance(20).then_some(Retention { success_ms, error_ms: Some(60_000) });
                let (params, trigger) = (Payload::from_json("{}"), "api".to_owned());
                Input::Create { reply, workflow, id, params, trigger, retention: own.unwrap_or_default() }
            }
            Ask::Event(key, payload) => {
                if mutant == Some(Mutant::LostEvent) && rng.chance(30) {
                    self.events.insert((key, payload));
                    return None;
                }
                let event_type = (*rng.pick(&EVENT_TYPES)).to_owned();
                let command = Command::SendEvent { event_type, payload: Payload::from_json(payload) };
                Input::Command { reply, key, command }
            }
            Ask::Command(key, command) => Input::Command { reply, key, command },
        };
        self.asked.insert(reply, ask);
        Some(input)
    }

    /// Marks what may be deleted from now on.
    pub fn note_deletion(&mut self, place: Place) {
        self.deleted.insert(place);
    }

    fn draw(&mut self, rng: &mut Rng) -> Option<Ask> {
        let keys: Vec<InstanceKey> = self.keys.iter().copied().collect();
        if keys.is_empty() || (self.created.len() < self.programs.len() && rng.chance(30)) {
            let places: Vec<Place> = self.programs.keys().cloned().collect();
            return Some(Ask::Create(rng.pick(&places).clone()));
        }
        let key = *rng.pick(&keys);
        Some(match rng.below(23) {
            0..=10 => Ask::Event(key, format!("\"e{}\"", self.next)),
            11 | 12 => Ask::Command(key, Command::Pause),
            13..=15 => Ask::Command(key, Command::Resume),
            16 => Ask::Command(key, Command::Terminate(Source::Api)),
            17 => Ask::Command(key, Command::Restart),
            18 => Ask::Command(key, Command::Delete),
            19 => Ask::Command(key, Command::RollBack(Source::Binding)),
            20..=22 if rng.chance(70) => {
                let name = format!("s{}", rng.between(1, 8));
                Ask::Command(key, Command::RestartFrom(StepTarget { kind: TargetKind::Do, name, count: 1 }))
            }
            _ => return None,
        })
    }

    fn answered(&mut self, reply: ReplyId, answer: Result<Answer, Rejection>, store: &Store, checker: &mut Checker) {
        let Some(ask) = self.asked.remove(&reply) else {
            return checker.fail(format!("reply {reply} was given twice"));
        };
        match (ask, answer) {
            (Ask::Create(place), Ok(Answer { key, .. })) => {
                let there = store.rows.contains_key(&key);
                checker.require(there, || format!("{key} was acknowledged and is not durable"));
                self.keys.insert(key);
                self.created.insert(place);
            }
            (Ask::Event(key, payload), Ok(_)) => {
                let there = store.rows.get(&key).is_none_or(|row| row.has_event(&payload));
                checker.require(there, || format!("event {payload} of {key} was acknowledged and is not durable"));
                self.events.insert((key, payload));
            }
            (Ask::Command(old, Command::Restart | Command::RestartFrom(_)), Ok(Answer { key, .. })) => {
                let there = store.rows.contains_key(&key) && !store.rows.contains_key(&old);
                checker.require(there, || format!("the restart of {old} as {key} was acknowledged and is not durable"));
                self.replaced.insert(key, old);
                self.keys.insert(key);
            }
            (Ask::Command(key, Command::Delete), Ok(_)) => {
                checker.require(!store.rows.contains_key(&key), || format!("{key} was deleted and is still there"));
            }
            (Ask::Command(key, Command::Terminate(_)), Ok(_)) => {
                let ended = store.rows.get(&key).is_none_or(|row| row.summary.status == Status::Terminated);
                checker.require(ended, || format!("{key} was terminated and is not"));
            }
            (Ask::Command(key, Command::RollBack(_)), Ok(_)) => {
                let begun = store
                    .rows
                    .get(&key)
                    .is_none_or(|row| row.summary.status.is_final() || row.summary.status == Status::RollingBack);
                checker.require(begun, || format!("the rollback of {key} was acknowledged and is not durable"));
            }
            _ => {}
        }
    }

    pub fn check_end(&self, store: &Store, expired: &BTreeSet<Place>, checker: &mut Checker) {
        for (workflow, id) in self.created.difference(&self.deleted).filter(|place| !expired.contains(place)) {
            let there = store.rows.values().any(|row| row.workflow == *workflow && row.id == *id);
            checker.require(there, || format!("instance {id} of workflow {workflow} is lost"));
        }
        for (key, payload) in &self.events {
            let there = store.rows.get(key).is_none_or(|row| row.has_event(payload));
            checker.require(there, || format!("event {payload} of {key} is lost"));
        }
    }
}

impl World {
    pub fn answered(&mut self, reply: ReplyId, answer: Result<Answer, Rejection>) {
        self.client.answered(reply, answer, &self.store, &mut self.checker);
    }

    /// An event while the run is on its way out.
    pub fn poke(&mut self, key: InstanceKey) {
        let payload = format!("\"e{}\"", self.client.next);
        if self.now <= FAULTS_MS {
            self.ask(Ask::Event(key, payload));
        }
    }

    /// Users act at random while there are faults; afterwards they only see to it that everything can end.
    pub fn client_acts(&mut self) {
        if self.now <= FAULTS_MS {
            let ms = self.rng.between(1, 1_500);
            self.after(ms, Event::Client);
            if let Some(ask) = self.client.draw(&mut self.rng) {
                if let Ask::Command(key, Command::Delete) = &ask
                    && let Some(row) = self.store.rows.get(key)
                {
                    let place = (row.workflow, Arc::clone(&row.id));
                    self.client.note_deletion(place);
                }
                self.ask(ask);
            }
            return;
        }
        self.after(20_000, Event::Client);
        let paused = self.store.rows.iter().filter(|(_, row)| row.summary.status == Status::Paused);
        let keys: Vec<InstanceKey> = paused.map(|(key, _)| *key).collect();
        for key in keys {
            self.ask(Ask::Command(key, Command::Resume));
        }
    }
}
