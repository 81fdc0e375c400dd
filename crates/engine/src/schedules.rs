//! Schedules of all workflows, and which of them is due.
//!
//! Each schedule knows up to when it has been looked at; that time is durable, and is made so in the transaction that
//! creates the instance. After a time in which nobody looked, at most the latest firing happens, and those before it are
//! passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cron::Cron;
use crate::{Millis, WorkflowId};

/// A schedule as the store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// When it fires.
    pub cron: Cron,
    /// Up to when it has been looked at: no firing until then happens any more.
    pub considered_at: Millis,
}

/// A firing: an instance is created, and the schedule has been looked at up to then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// The expression.
    pub cron: Arc<str>,
    /// When it was due.
    pub at: Millis,
}

/// Schedules, by when they fire next.
#[derive(Debug, Default)]
pub struct Schedules {
    by_workflow: BTreeMap<WorkflowId, Vec<Schedule>>,
    next: BTreeSet<(Millis, WorkflowId, Arc<str>)>,
}

impl Schedules {
    /// Replaces the schedules of a workflow. One that stays keeps what has been looked at here, which may not be
    /// durable yet.
    pub fn set(&mut self, workflow: WorkflowId, mut schedules: Vec<Schedule>) {
        let before = self.by_workflow.remove(&workflow).unwrap_or_default();
        self.next.retain(|(_, other, _)| *other != workflow);
        for schedule in &mut schedules {
            let known = before.iter().find(|known| known.cron == schedule.cron);
            let considered_at = known.map_or(schedule.considered_at, |known| known.considered_at);
            schedule.considered_at = schedule.considered_at.max(considered_at);
            self.next.extend(entry(workflow, schedule));
        }
        if !schedules.is_empty() {
            self.by_workflow.insert(workflow, schedules);
        }
    }

    /// When the next firing is due.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        self.next.first().map(|(at, ..)| *at)
    }

    /// Takes a firing that is due: of each schedule the latest.
    pub fn pop_due(&mut self, now: Millis) -> Option<Firing> {
        let (_, workflow, text) = self.next.first().filter(|(at, ..)| *at <= now).cloned()?;
        self.next.pop_first();
        let schedules = self.by_workflow.get_mut(&workflow)?;
        let schedule = schedules.iter_mut().find(|schedule| *schedule.cron.text() == text)?;
        let at = schedule.cron.latest(schedule.considered_at, now)?;
        schedule.considered_at = at;
        self.next.extend(entry(workflow, schedule));
        Some(Firing { workflow, cron: text, at })
    }
}

fn entry(workflow: WorkflowId, schedule: &Schedule) -> Option<(Millis, WorkflowId, Arc<str>)> {
    let at = schedule.cron.next_after(schedule.considered_at)?;
    Some((at, workflow, Arc::clone(schedule.cron.text())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;
    const WORKFLOW: WorkflowId = WorkflowId(1);

    fn schedule(cron: &str, considered_at: Millis) -> Schedule {
        Schedule { cron: Cron::parse(cron).expect(cron), considered_at }
    }

    fn fired(schedules: &mut Schedules, now: Millis) -> Vec<(String, Millis)> {
        let firings = std::iter::from_fn(|| schedules.pop_due(now));
        firings.map(|firing| (firing.cron.to_string(), firing.at)).collect()
    }

    #[test]
    fn each_firing_happens_once_and_not_early() {
        let mut schedules = Schedules::default();
        schedules.set(WORKFLOW, vec![schedule("* * * * *", 0), schedule("*/2 * * * *", 0)]);
        assert_eq!(schedules.next(), Some(MINUTE_MS));
        assert_eq!(fired(&mut schedules, MINUTE_MS - 1), []);
        assert_eq!(fired(&mut schedules, MINUTE_MS), [("* * * * *".to_owned(), MINUTE_MS)]);
        assert_eq!(fired(&mut schedules, MINUTE_MS), []);
        assert_eq!(fired(&mut schedules, 2 * MINUTE_MS + 5).len(), 2);
    }

    #[test]
    fn after_a_pause_only_the_latest_firing_happens() {
        let mut schedules = Schedules::default();
        schedules.set(WORKFLOW, vec![schedule("* * * * *", 0)]);
        assert_eq!(fired(&mut schedules, 90 * MINUTE_MS + 7), [("* * * * *".to_owned(), 90 * MINUTE_MS)]);
        assert_eq!(schedules.next(), Some(91 * MINUTE_MS));
    }

    #[test]
    fn a_schedule_that_stays_forgets_nothing_and_one_that_goes_is_gone() {
        let mut schedules = Schedules::default();
        schedules.set(WORKFLOW, vec![schedule("* * * * *", 0), schedule("*/2 * * * *", 0)]);
        fired(&mut schedules, 2 * MINUTE_MS);
        // The store has not heard of that firing yet.
        schedules.set(WORKFLOW, vec![schedule("* * * * *", 0)]);
        assert_eq!(fired(&mut schedules, 2 * MINUTE_MS), []);
        assert_eq!(schedules.next(), Some(3 * MINUTE_MS));
        schedules.set(WORKFLOW, Vec::new());
        assert_eq!(schedules.next(), None);
    }

    #[test]
    fn a_clock_that_was_set_back_repeats_nothing() {
        let mut schedules = Schedules::default();
        schedules.set(WORKFLOW, vec![schedule("* * * * *", 50 * MINUTE_MS)]);
        assert_eq!(fired(&mut schedules, 20 * MINUTE_MS), []);
        assert_eq!(schedules.next(), Some(51 * MINUTE_MS));
    }
}
