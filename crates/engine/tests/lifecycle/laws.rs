//! Laws that hold whatever happens to an instance in a live run.

use proptest::prelude::*;
use stepwell_engine::engine::Command;
use stepwell_engine::instance::{BeginKind, Decision, Report, Severity};
use stepwell_engine::{CallId, ErrorRecord, Instance, Payload, Source, Status};

use crate::host::{Host, KEY, WORKFLOW, config};

/// What may happen to an instance in a live run.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Step { limit: u32, started: bool },
    Sleep(u64),
    Wait,
    Succeed(u32, u32),
    Fail(u32, u32),
    Event,
    Pass(i64),
    Pause,
    Resume,
    Quiesced(u32),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0..3_u32, any::<bool>()).prop_map(|(limit, started)| Deed::Step { limit, started: started && limit > 0 }),
        (0..9_000_u64).prop_map(Deed::Sleep),
        Just(Deed::Wait),
        (0..6_u32, 1..3_u32).prop_map(|(call, attempt)| Deed::Succeed(call, attempt)),
        (0..6_u32, 1..3_u32).prop_map(|(call, attempt)| Deed::Fail(call, attempt)),
        Just(Deed::Event),
        (0..4_000_i64).prop_map(Deed::Pass),
        Just(Deed::Pause),
        Just(Deed::Resume),
        (1..3_u32).prop_map(Deed::Quiesced),
    ]
}

impl Host {
    fn act(&mut self, deed: Deed) {
        let calls = self.engine.instance(KEY).map_or(0, Instance::call_count);
        match deed {
            Deed::Step { limit, started } => self.begin(1, calls, BeginKind::Do(config(limit)), started),
            Deed::Sleep(ms) => self.sleep(1, calls, ms),
            Deed::Wait => self.wait(1, calls),
            Deed::Succeed(call, attempt) => {
                self.report(1, Report::Succeeded { call: CallId(call), attempt, value: Payload::UNDEFINED });
            }
            Deed::Fail(call, attempt) => {
                let (error, severity) = (ErrorRecord::new("Error", "no"), Severity::Ordinary);
                self.report(1, Report::Failed { call: CallId(call), attempt, error, severity, delay_ms: None });
            }
            Deed::Event => drop(self.send()),
            Deed::Pass(ms) => self.pass(ms),
            Deed::Pause => drop(self.command(Command::Pause)),
            Deed::Resume => drop(self.command(Command::Resume)),
            Deed::Quiesced(stop) => self.report(1, Report::Quiesced(stop)),
        }
    }

    /// What the history says, with the retry delays that have passed, which nobody records.
    fn folded(&self) -> Instance {
        let mut instance = self.replayed();
        let mut decision = Decision::default();
        if self.status() != Status::WaitingForPause {
            instance.decide(stepwell_engine::instance::Input::Due, self.now, &mut decision).expect("time passes");
        }
        decision.ready.into_iter().for_each(|call| instance.mark_ready(call));
        instance
    }
}

proptest! {
    #[test]
    fn a_live_instance_is_the_fold_of_its_history(deeds in prop::collection::vec(deed(), 1..40)) {
        let mut host = Host::started();
        // A retry whose delay had passed before a pause has it again if the server dies during the pause.
        let mut exact = true;
        for deed in deeds {
            exact &= !matches!(deed, Deed::Pause);
            host.act(deed);
            let Some(live) = host.engine.instance(KEY) else { break };
            let mut lost = live.clone();
            lost.detach();
            let summary = live.summary(host.now);
            prop_assert_eq!(summary.wake_at.is_none(), summary.status == Status::Paused || summary.status.is_final());
            prop_assert_eq!(live.next_seq(), host.history.len() as u64);
            if exact {
                prop_assert_eq!(lost, host.folded());
            } else {
                prop_assert_eq!(lost.call_count(), host.folded().call_count());
            }
        }
    }

    #[test]
    fn no_place_and_no_run_is_left_when_an_instance_has_ended(deeds in prop::collection::vec(deed(), 1..30)) {
        let mut host = Host::started();
        for deed in deeds {
            host.act(deed);
        }
        drop(host.command(Command::Terminate(Source::Api)));
        host.report(1, Report::Forgotten);
        prop_assert_eq!(host.engine.places_taken(WORKFLOW), 0);
        prop_assert_eq!((host.engine.run_count(), host.engine.loaded_count()), (0, 0));
    }
}
