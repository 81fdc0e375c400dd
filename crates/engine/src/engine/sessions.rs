//! What sessions say, and what follows when one is gone.

use super::slot::Slot;
use super::{Engine, Fault, LiveRun, Output};
use crate::instance::{Input, Rejection, Report};
use crate::scheduler::Quarantine;
use crate::{InstanceKey, Millis, RunId, SessionId};

impl Engine {
    pub(super) fn report(
        &mut self,
        session: SessionId,
        run: RunId,
        report: Report,
        now: Millis,
        out: &mut Vec<Output>,
    ) {
        let Some(live) = self.runs.get(&run).copied() else { return };
        if live.session != session {
            return out.push(Output::Fault(session, "it speaks of a run that is not its own"));
        }
        let owns = |key: InstanceKey| {
            self.slots.get(&key).is_some_and(|slot| slot.instance.run().is_some_and(|own| own.id == run))
        };
        if !owns(live.key) {
            if matches!(report, Report::Forgotten | Report::Completed(_) | Report::Threw(_)) {
                self.end_run(run);
                self.lay_ghost(live.key, run, now);
            }
            return;
        }
        self.due(live.key, now);
        if let Some(slot) = self.slots.get_mut(&live.key) {
            slot.instance.touch(now);
            slot.awake = false;
            if matches!(report, Report::Undoing { .. } | Report::UndoReady) {
                slot.instance.mark_undoing();
            }
            slot.busy = matches!(report, Report::Busy);
            if slot.busy {
                slot.instance.mark_staying();
            }
            match report {
                Report::Ahead => slot.instance.mark_ahead(),
                Report::Diverged { stuck: true, .. } => slot.note_stuck(now),
                Report::Begin { .. } | Report::Did { .. } => slot.stuck = None,
                _ => {}
            }
            if matches!(report, Report::Forgotten | Report::Completed(_) | Report::Threw(_)) {
                slot.clear_suspicion();
            }
        }
        if let Report::Streamed { call, attempt, stream, .. } = &report
            && !self.knows_stream(live.key, *call, *attempt, stream.id)
        {
            return out.push(Output::Fault(session, "a result in a stream that it did not write"));
        }
        if let Err(Rejection::Protocol(reason)) = self.decide(live.key, Input::Report(report), now) {
            out.push(Output::Fault(session, reason));
        }
    }

    /// The run of an earlier incarnation is gone: the present one may start.
    pub(super) fn lay_ghost(&mut self, key: InstanceKey, run: RunId, now: Millis) {
        if let Some(slot) = self.slots.get_mut(&key)
            && slot.ghost == Some(run)
        {
            slot.ghost = None;
            self.follow_up(key, now);
        }
    }

    pub(super) fn session_down(&mut self, session: SessionId, fault: Fault, now: Millis) {
        let quarantine = self.scheduler.pool_of(session).map_or(Quarantine::Free, |pool| pool.quarantine);
        let mut lost: Vec<(RunId, LiveRun)> =
            self.runs.iter().filter(|(_, live)| live.session == session).map(|(run, live)| (*run, *live)).collect();
        lost.sort_by_key(|(run, _)| *run);
        let suspects = self.suspects(&lost, fault);
        // Where there was nobody else, there is no doubt.
        let certain = !quarantine.is_free() && lost.len() == 1;
        for (run, live) in lost {
            let suspected = suspects.contains(&live.key);
            let mut charged = suspected && certain;
            if let Some(slot) = self.slots.get_mut(&live.key)
                && fault != Fault::None
                && (suspected || slot.is_active())
            {
                // Before the loss, which puts it in line: among the suspects. In steady traffic others speak between
                // the culprit's last word and its end; that it is there every time gives it away.
                slot.note_death(suspected && matches!(fault, Fault::Hung { .. }));
                if charged && matches!(fault, Fault::Killed { .. }) {
                    charged = slot.note_outside_kill();
                }
            }
            self.lose(run, live, charged, now);
            self.follow_up(live.key, now);
        }
        self.scheduler.remove_session(session);
    }

    /// The runs that may have brought their worker down: those active since its last sign of life; if none, all that
    /// did not only wait; if it hung and none of them did more, all.
    fn suspects(&self, lost: &[(RunId, LiveRun)], fault: Fault) -> Vec<InstanceKey> {
        let (Fault::Crashed { alive_at } | Fault::Killed { alive_at } | Fault::Hung { alive_at }) = fault else {
            return Vec::new();
        };
        let own: Vec<(&LiveRun, &Slot)> = lost
            .iter()
            .filter_map(|(run, live)| {
                let slot: &Slot = self.slots.get(&live.key)?;
                slot.instance.run().is_some_and(|own| own.id == *run).then_some((live, slot))
            })
            .collect();
        let touched_at = |live: &LiveRun, slot: &Slot| slot.instance.run().map(|run| run.touched_at.max(live.told_at));
        let keys = |chosen: &dyn Fn(&LiveRun, &Slot) -> bool| -> Vec<InstanceKey> {
            own.iter().filter(|(live, slot)| chosen(live, slot)).map(|(live, _)| live.key).collect()
        };
        let recent = keys(&|live, slot| slot.is_active() && touched_at(live, slot) >= Some(alive_at));
        if !recent.is_empty() {
            return recent;
        }
        let active = keys(&|_, slot| slot.is_active());
        if active.is_empty() && matches!(fault, Fault::Hung { .. }) { keys(&|_, _| true) } else { active }
    }

    fn lose(&mut self, run: RunId, live: LiveRun, charged: bool, now: Millis) {
        self.end_run(run);
        let own = self.slots.get(&live.key).is_some_and(|slot| slot.instance.run().is_some_and(|own| own.id == run));
        if own {
            self.decide(live.key, Input::Lost { charged }, now).expect("a loss is never refused");
        } else {
            self.lay_ghost(live.key, run, now);
        }
    }
}
