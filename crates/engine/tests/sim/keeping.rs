//! What the server does by itself: schedules that fire, ended instances that go, deployments that instances stay on or
//! leave. The rules that hold for them, and the configuration of the simulated workflows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stepwell_engine::engine::{Start, WorkflowSettings};
use stepwell_engine::{
    Batch, Cron, DeploymentId, Entry, Firing, Input, InstanceKey, Millis, Retention, Schedule, WorkflowId,
};

use super::mutant::Mutant;
use super::store::Row;
use super::world::{Event, LIMITS, World};

/// The schedule of each workflow, if it has one.
const CRONS: [Option<&str>; 3] = [None, Some("* * * * *"), Some("*/2 * * * *")];
/// How long ended instances of each workflow are kept.
const RETENTIONS: [Retention; 3] = [
    Retention { success_ms: None, error_ms: None },
    Retention { success_ms: Some(5_000), error_ms: None },
    Retention { success_ms: Some(90_000), error_ms: Some(2_000) },
];
/// The workflow whose instances move on to the newest deployment; those of all others stay.
const MOVES_ON: usize = 2;
/// By then schedules have fired whatever faults there were; after that they are removed, so that an end can come.
pub const SCHEDULES_END_MS: i64 = 100_000;
/// A start may wait for batches that are slow, so long after it was decided.
const DECIDED_MS: i64 = 40_000;
/// A firing may be so late.
const LATE_MS: i64 = 20_000;

/// What is remembered to check it.
#[derive(Debug, Default)]
pub struct Keeping {
    considered: BTreeMap<(WorkflowId, Arc<str>), Millis>,
    fired: BTreeSet<(WorkflowId, Arc<str>, Millis)>,
    /// Instances that went when their time was over.
    pub expired: BTreeSet<(WorkflowId, Arc<str>)>,
    deployment: u32,
    deployed_at: i64,
}

impl World {
    /// What a server that starts knows of its workflows.
    pub fn workflows(&mut self) -> Vec<Input> {
        self.keeping.deployment = self.keeping.deployment.max(1);
        let mut inputs: Vec<Input> = (0..LIMITS.len()).map(|index| self.workflow(index)).collect();
        inputs.extend((0..LIMITS.len()).map(|index| self.schedules(index)));
        inputs
    }

    fn workflow(&self, index: usize) -> Input {
        let moves_on = index == MOVES_ON && self.mutant != Some(Mutant::LeftBehind);
        let follows_newest = moves_on || self.mutant == Some(Mutant::MovedWhilePinned);
        let deployment = DeploymentId(self.keeping.deployment);
        let (concurrency, retention) = (LIMITS[index], RETENTIONS[index]);
        Input::Workflow(
            WorkflowId(index as u32),
            WorkflowSettings { deployment, follows_newest, concurrency, retention },
        )
    }

    fn schedules(&self, index: usize) -> Input {
        let workflow = WorkflowId(index as u32);
        let forgotten_ms = if self.mutant == Some(Mutant::DoubleFiring) { 240_000 } else { 0 };
        let rows = self.keeping.considered.iter().filter(|((of, _), _)| *of == workflow);
        let schedules = rows.map(|((_, text), considered_at)| Schedule {
            cron: Cron::parse(text).expect("a cron expression"),
            considered_at: considered_at - forgotten_ms,
        });
        let lost = self.mutant == Some(Mutant::MissedFiring);
        Input::Schedules(workflow, if lost { Vec::new() } else { schedules.collect() })
    }

    /// Makes the schedules of all workflows durable. Those that are new have been looked at up to now.
    pub fn put_schedules(&mut self, wanted: impl Fn(usize) -> bool) {
        let at = self.wall_max.max(self.wall());
        for (index, cron) in CRONS.iter().enumerate() {
            let place = cron.map(|cron| (WorkflowId(index as u32), Arc::from(cron)));
            match place {
                Some(place) if wanted(index) => drop(self.keeping.considered.entry(place).or_insert(at)),
                Some(place) => drop(self.keeping.considered.remove(&place)),
                None => {}
            }
        }
    }

    /// A new upload, which may bring or take a schedule.
    pub fn deploy(&mut self) {
        self.keeping.deployment += 1;
        self.keeping.deployed_at = self.now;
        let without = if self.rng.chance(30) { MOVES_ON } else { LIMITS.len() };
        self.put_schedules(|index| index != without);
        for input in self.workflows() {
            self.input(input);
        }
    }

    /// Every schedule has fired as often as it should by now. From here on there is none.
    pub fn end_schedules(&mut self) {
        if self.engine.is_none() {
            return self.after(1_000, Event::EndSchedules);
        }
        let until = self.wall() - LATE_MS;
        for ((workflow, text), considered_at) in &self.keeping.considered {
            let cron = Cron::parse(text).expect("a cron expression");
            let missed = cron.latest(*considered_at, until);
            self.checker.require(missed.is_none(), || format!("workflow {workflow} missed {text} at {missed:?}"));
        }
        self.put_schedules(|_| false);
        for input in self.workflows() {
            self.input(input);
        }
    }

    /// Looks at what a batch that becomes durable says about schedules and expired instances.
    pub fn check_keeping(&mut self, batch: &Batch) {
        for firing in &batch.firings {
            self.check_firing(firing);
        }
        for key in &batch.expirations {
            let Some(row) = self.store.rows.get(key).cloned() else { continue };
            self.check_expiry(*key, &row);
            let program = self.client.program(row.workflow, &row.id);
            self.checker.history(*key, &row, program.is_rogue);
            self.keeping.expired.insert((row.workflow, row.id));
        }
    }

    fn check_firing(&mut self, firing: &Firing) {
        let Firing { workflow, cron, at } = firing.clone();
        let told = || format!("{cron} of workflow {workflow} at {at}");
        let times = Cron::parse(&cron).expect("a cron expression");
        self.checker.require(times.latest(at - 1, at) == Some(at), || format!("{} is no firing", told()));
        self.checker.require(at <= self.wall_max, || format!("{} is early", told()));
        let first = self.keeping.fired.insert((workflow, Arc::clone(&cron), at));
        self.checker.require(first, || format!("{} happens twice", told()));
        if let Some(considered_at) = self.keeping.considered.get_mut(&(workflow, cron)) {
            *considered_at = (*considered_at).max(at);
        }
    }

    fn check_expiry(&mut self, key: InstanceKey, row: &Row) {
        let Entry::Created { retention, .. } = &row.entries[0].entry else {
            return self.checker.fail(format!("{key} does not begin with its creation"));
        };
        let kept = retention.or(RETENTIONS[row.workflow.0 as usize]);
        let ended_at = row.summary.ended_at;
        let due = ended_at.and_then(|at| kept.expires_at(row.summary.status, at));
        self.checker.require(row.summary.status.is_final(), || format!("{key} expires and has not ended"));
        let over = due.is_some_and(|due| due <= self.wall_max);
        self.checker.require(over, || format!("{key}, which ended at {ended_at:?}, expires before {due:?}"));
    }

    /// A run starts on the code that its instance is to run.
    pub fn check_deployment(&mut self, start: &Start, row: &Row) {
        let Some(runs_on) = self.sessions.get(&start.session).map(|session| session.pool.deployment) else { return };
        let key = start.key;
        let began_on = row.entries.iter().find_map(|recorded| match recorded.entry {
            Entry::Started { deployment } => Some(deployment),
            _ => None,
        });
        if row.workflow.0 as usize != MOVES_ON {
            let stays = began_on.is_none_or(|began_on| began_on == runs_on);
            self.checker.require(stays, || format!("{key} began on {began_on:?} and is moved to {runs_on}"));
        } else if self.now - self.keeping.deployed_at > DECIDED_MS {
            let newest = DeploymentId(self.keeping.deployment);
            self.checker.require(runs_on == newest, || format!("{key} runs on {runs_on}, the newest is {newest}"));
        }
    }
}
