//! The simulator on a few seeds, and proof that it sees: each planted bug is caught within a bounded number of seeds on
//! which the engine itself holds.

mod sim;

use sim::mutant::Mutant;

/// Enough for every planted bug.
const SEEDS: std::ops::Range<u64> = 1..101;

fn check(mutant: Mutant) {
    let caught = SEEDS.clone().find_map(|seed| sim::simulate(seed, Some(mutant)).err());
    let broken = caught.unwrap_or_else(|| panic!("{mutant:?} is not caught"));
    println!("{mutant:?}: seed {}: {}", broken.seed, broken.promise);
}

#[test]
fn the_engine_keeps_its_promises_on_the_seeds_that_catch_the_mutants() {
    for seed in SEEDS {
        if let Some(broken) = sim::simulate(seed, None).err().and_then(|_| sim::explain(seed, None)) {
            panic!("{}\nseed {}: {}", broken.trace, broken.seed, broken.promise);
        }
    }
}

#[test]
fn a_seed_always_takes_the_same_course() {
    for seed in [3, 14, 15] {
        assert_eq!(sim::simulate(seed, None).ok(), sim::simulate(seed, None).ok());
    }
}

#[test]
fn a_wake_up_that_is_lost_is_caught() {
    check(Mutant::LostWakeUp);
}

#[test]
fn an_answer_before_its_commit_is_caught() {
    check(Mutant::AckBeforeCommit);
}

#[test]
fn two_runs_of_one_instance_are_caught() {
    check(Mutant::DoubleRun);
}

#[test]
fn a_restart_that_rests_on_an_old_history_is_caught() {
    check(Mutant::StaleHistory);
}

#[test]
fn a_timer_that_fires_early_is_caught() {
    check(Mutant::EarlyTimer);
}

#[test]
fn an_event_that_is_lost_is_caught() {
    check(Mutant::LostEvent);
}

#[test]
fn a_retry_that_is_forgotten_is_caught() {
    check(Mutant::ForgottenRetry);
}

#[test]
fn a_handler_that_a_replay_loses_is_caught() {
    check(Mutant::LostHandler);
}

#[test]
fn a_handler_that_is_not_recorded_is_caught() {
    check(Mutant::UnrecordedHandler);
}

#[test]
fn a_rollback_in_the_wrong_order_is_caught() {
    check(Mutant::RollbackOrder);
}

#[test]
fn a_place_that_is_never_given_back_is_caught() {
    check(Mutant::PlaceLeak);
}

#[test]
fn a_schedule_that_fires_twice_is_caught() {
    check(Mutant::DoubleFiring);
}

#[test]
fn a_schedule_that_does_not_fire_is_caught() {
    check(Mutant::MissedFiring);
}

#[test]
fn an_instance_that_expires_before_its_end_is_caught() {
    check(Mutant::LiveExpiry);
}

#[test]
fn an_instance_that_is_moved_while_it_is_pinned_is_caught() {
    check(Mutant::MovedWhilePinned);
}

#[test]
fn an_instance_that_is_not_moved_to_the_newest_deployment_is_caught() {
    check(Mutant::LeftBehind);
}

#[test]
fn a_stream_of_which_the_engine_hears_nothing_is_caught() {
    check(Mutant::ForgottenStream);
}

#[test]
fn a_kill_from_outside_that_is_told_as_a_crash_is_caught() {
    check(Mutant::BlamedForKill);
}
