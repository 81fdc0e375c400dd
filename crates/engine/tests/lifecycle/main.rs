//! Single situations in the life of an instance.

mod host;
mod laws;

use stepwell_engine::engine::{Chaos, Command, Due, Fault, WorkflowSettings};
use stepwell_engine::instance::{BeginKind, Rejection, Report, Settlement, Severity, Tell};
use stepwell_engine::scheduler::{Pool, Quarantine};
use stepwell_engine::{
    CallId, DeploymentId, Engine, Entry, ErrorRecord, Input, Instance, InstanceKey, Output, Payload, Recorded, ReplyId,
    Retention, RetryLimit, RunId, SessionId, Source, Status, StepConfig,
};

use host::{HOUR_MS, Host, KEY, POOL, RETENTION, SESSION, WORKFLOW, config};

/// Each command in each state: what it answers.
fn check(arrange: fn(&mut Host), expected: [Result<Status, Rejection>; 5]) {
    let commands =
        [Command::Pause, Command::Resume, Command::Terminate(Source::Api), Command::Restart, Command::Delete];
    for (command, expected) in commands.into_iter().zip(expected) {
        let mut host = Host::started();
        arrange(&mut host);
        assert_eq!(host.command(command.clone()), expected, "{command:?}");
    }
}

#[test]
fn commands_on_a_running_instance() {
    check(
        |host| host.begin(1, 0, BeginKind::Do(config(1)), true),
        [
            Ok(Status::WaitingForPause),
            Ok(Status::Running),
            Ok(Status::Terminated),
            Ok(Status::Queued),
            Ok(Status::Running),
        ],
    );
}

#[test]
fn commands_on_a_waiting_instance() {
    check(
        |host| host.sleep(1, 0, HOUR_MS),
        [Ok(Status::Paused), Ok(Status::Waiting), Ok(Status::Terminated), Ok(Status::Queued), Ok(Status::Waiting)],
    );
}

#[test]
fn commands_on_an_instance_that_waits_for_its_pause() {
    check(
        |host| {
            host.begin(1, 0, BeginKind::Do(config(1)), true);
            host.command(Command::Pause).expect("a pause");
        },
        [
            Ok(Status::WaitingForPause),
            Ok(Status::Running),
            Ok(Status::Terminated),
            Ok(Status::Queued),
            Ok(Status::WaitingForPause),
        ],
    );
}

#[test]
fn commands_on_a_paused_instance() {
    check(
        |host| {
            host.sleep(1, 0, HOUR_MS);
            host.command(Command::Pause).expect("a pause");
        },
        [Ok(Status::Paused), Ok(Status::Waiting), Ok(Status::Terminated), Ok(Status::Queued), Ok(Status::Paused)],
    );
}

#[test]
fn commands_on_an_instance_that_has_ended_before_its_run_is_gone() {
    let ended = Ok(Status::Terminated);
    check(
        |host| {
            host.sleep(1, 0, HOUR_MS);
            host.command(Command::Terminate(Source::Api)).expect("an end");
        },
        [ended.clone(), ended.clone(), Err(Rejection::CannotTerminate), Ok(Status::Queued), ended],
    );
}

#[test]
fn an_event_wakes_a_suspended_instance_of_which_another_branch_sleeps_on() {
    let mut host = Host::started();
    host.sleep(1, 0, HOUR_MS);
    host.wait(1, 1);
    host.suspend(1);
    let payload = Payload::from_json("1");
    let command = Command::SendEvent { event_type: "paid".to_owned(), payload };
    host.input(Input::Command { reply: ReplyId(9), key: KEY, command });
    assert_eq!(host.out.last(), Some(&Output::Load(KEY)));
    host.out.clear();
    let instance = host.replayed();
    host.input(Input::Loaded(KEY, Some(Box::new(instance))));
    assert_eq!(host.starts(), [(2, vec![])]);
}

#[test]
fn what_was_settled_while_a_run_was_asked_to_go_starts_another() {
    let mut host = Host::started();
    host.sleep(1, 0, HOUR_MS);
    host.wait(1, 1);
    host.pass(6_000);
    host.send().expect("an event");
    host.report(1, Report::Forgotten);
    assert_eq!(host.starts(), [(2, vec![])]);
}

#[test]
fn a_lost_run_that_only_waited_is_run_again_because_it_may_have_been_doing_something_else() {
    let mut host = Host::started();
    host.sleep(1, 0, HOUR_MS);
    host.input(Input::SessionUp(SessionId(2), POOL));
    host.out.clear();
    host.input(Input::SessionDown(SESSION, Fault::None));
    assert_eq!(host.starts(), [(2, vec![])]);
}

#[test]
fn a_pause_whose_run_is_forgotten_before_it_quiesces_is_a_pause() {
    let mut host = Host::started();
    host.begin(1, 0, BeginKind::Do(config(1)), true);
    host.command(Command::Pause).expect("a pause");
    host.report(1, Report::Forgotten);
    host.input(Input::Command { reply: ReplyId(1), key: KEY, command: Command::Pause });
    assert!(host.out.contains(&Output::Load(KEY)), "it is paused and has left memory");
}

#[test]
fn a_callback_that_outlives_its_attempt_does_not_hold_up_a_pause() {
    let mut host = Host::started();
    host.begin(1, 0, BeginKind::Do(config(0)), false);
    host.command(Command::Pause).expect("a pause");
    host.pass(600_000);
    assert_eq!(host.status(), Status::Paused);
    assert_eq!(host.told(1).last(), Some(&Tell::Forget { force: true }));
}

#[test]
fn an_answer_to_a_pause_that_was_taken_back_is_none_to_the_next() {
    let mut host = Host::started();
    host.command(Command::Pause).expect("a pause");
    assert_eq!(host.told(1), [Tell::Stop(1)]);
    host.command(Command::Resume).expect("a resumption");
    host.begin(1, 0, BeginKind::Do(config(0)), false);
    host.command(Command::Pause).expect("a pause");
    assert_eq!(host.told(1), [Tell::Stop(2)]);
    host.report(1, Report::Quiesced(1));
    assert_eq!(host.status(), Status::WaitingForPause);
    assert_eq!(host.told(1), [], "its attempt goes on");
    host.report(1, Report::Succeeded { call: CallId(0), attempt: 1, value: Payload::UNDEFINED });
    host.report(1, Report::Quiesced(2));
    assert_eq!(host.status(), Status::Paused);
}

#[test]
fn a_step_without_retries_that_was_begun_during_a_pause_is_granted_afterwards() {
    let mut host = Host::started();
    host.begin(1, 0, BeginKind::Do(config(1)), true);
    host.command(Command::Pause).expect("a pause");
    host.begin(1, 1, BeginKind::Do(config(0)), false);
    host.report(1, Report::Quiesced(1));
    host.command(Command::Resume).expect("a resumption");
    host.report(1, Report::Forgotten);
    assert_eq!(host.starts(), [(2, vec![(CallId(0), 1), (CallId(1), 1)])]);
}

#[test]
fn a_step_without_retries_that_was_lost_is_not_granted_again() {
    let mut host = Host::started();
    host.begin(1, 0, BeginKind::Do(config(0)), false);
    host.input(Input::SessionUp(SessionId(2), POOL));
    host.out.clear();
    host.input(Input::SessionDown(SESSION, Fault::None));
    assert_eq!(host.starts(), [(2, vec![])]);
}

#[test]
fn an_attempt_that_nobody_granted_ends_the_session() {
    let mut host = Host::started();
    host.begin(1, 0, BeginKind::Do(config(2)), true);
    let error = ErrorRecord::new("Error", "no");
    let severity = Severity::Ordinary;
    host.report(1, Report::Failed { call: CallId(0), attempt: 1, error, severity, delay_ms: None });
    host.report(1, Report::Started { call: CallId(0), attempt: 2 });
    assert!(matches!(host.out[..], [Output::Fault(SESSION, _)]), "{:?}", host.out);
}

#[test]
fn a_woken_run_over_the_limit_hears_nothing_until_it_has_a_place() {
    let mut host = Host::new(Some(1));
    host.create("a");
    host.sleep(1, 0, 2_000);
    host.create("b");
    host.begin(2, 0, BeginKind::Do(config(1)), true);
    host.pass(2_500);
    assert_eq!(host.told(1), []);
    host.report(2, Report::Completed(Payload::UNDEFINED));
    assert_eq!(host.told(1), [Tell::Settle(CallId(0), Settlement::Slept)]);
    assert_eq!(host.engine.places_taken(WORKFLOW), 1);
}

#[test]
fn a_restart_waits_for_the_run_that_it_replaces() {
    let mut host = Host::started();
    host.begin(1, 0, BeginKind::Do(config(1)), true);
    host.command(Command::Restart).expect("a restart");
    assert_eq!(host.starts(), []);
    host.report(1, Report::Completed(Payload::UNDEFINED));
    assert_eq!(host.starts(), [(2, vec![])]);
}

#[test]
fn the_suspect_of_a_hang_runs_again_in_quarantine() {
    let mut host = Host::started();
    host.begin(1, 0, BeginKind::Do(config(1)), true);
    host.out.clear();
    host.input(Input::SessionDown(SESSION, Fault::Hung { alive_at: host.now }));
    assert_eq!(host.out, [Output::WantSession(Pool { quarantine: Quarantine::Few, ..POOL })]);
}

#[test]
fn a_kill_among_a_few_suspects_is_charged_to_none_and_alone_to_the_one() {
    let few = Pool { quarantine: Quarantine::Few, ..POOL };
    let alone = Pool { quarantine: Quarantine::Alone, ..POOL };
    let mut host = Host::started();
    host.create("b");
    let hung = |host: &mut Host, session| host.input(Input::SessionDown(session, Fault::Hung { alive_at: host.now }));
    hung(&mut host, SESSION);
    host.input(Input::SessionUp(SessionId(2), few));
    assert_eq!(host.engine.run_count(), 2, "suspects run together");
    host.out.clear();
    hung(&mut host, SessionId(2));
    assert_eq!(host.out, [Output::WantSession(alone)]);
    let kills = |host: &Host, key| host.engine.instance(InstanceKey(key)).map(Instance::kills);
    assert_eq!([kills(&host, 1), kills(&host, 2)], [Some(0), Some(0)]);
    host.input(Input::SessionUp(SessionId(3), alone));
    assert_eq!(host.engine.run_count(), 1);
    hung(&mut host, SessionId(3));
    assert_eq!([kills(&host, 1), kills(&host, 2)], [Some(1), Some(0)]);
}

#[test]
fn a_kill_from_outside_is_charged_only_when_it_happens_again() {
    let alone = Pool { quarantine: Quarantine::Alone, ..POOL };
    let mut host = Host::started();
    let kills = |host: &Host| host.engine.instance(InstanceKey(1)).map(Instance::kills);
    host.input(Input::SessionDown(SESSION, Fault::Hung { alive_at: host.now }));
    host.input(Input::SessionUp(SessionId(2), Pool { quarantine: Quarantine::Few, ..POOL }));
    host.input(Input::SessionDown(SessionId(2), Fault::Hung { alive_at: host.now }));
    let before = kills(&host);
    for (session, charged) in [(3, 0), (4, 1)] {
        host.input(Input::SessionUp(SessionId(session), alone));
        assert_eq!(host.engine.run_count(), 1);
        host.input(Input::SessionDown(SessionId(session), Fault::Killed { alive_at: host.now }));
        assert_eq!(kills(&host), before.map(|before| before + charged), "session {session}");
    }
}

#[test]
fn an_incarnation_that_is_deleted_is_not_read_again_before_that_is_durable() {
    let mut host = Host::started();
    host.sleep(1, 0, HOUR_MS);
    let mut out = Vec::new();
    for reply in [1, 2] {
        let delete = Input::Command { reply: ReplyId(reply), key: KEY, command: Command::Delete };
        host.engine.handle(delete, host.now, &mut out);
    }
    assert_eq!(out, []);
    let (commit, _) = host.engine.flush(host.now, &mut out).expect("a deletion");
    host.engine.handle(Input::Committed(commit, Vec::new()), host.now, &mut out);
    assert!(out.contains(&Output::Reply(ReplyId(2), Err(Rejection::NotFound))), "{out:?}");
}

#[test]
fn with_chaos_a_run_is_replaced_after_a_step_unless_an_attempt_is_in_flight() {
    let mut host = Host::new(None);
    host.engine = std::mem::replace(&mut host.engine, Engine::new(KEY, 1)).with_chaos(Chaos::Replay);
    host.create("a");
    host.begin(1, 0, BeginKind::Do(StepConfig::DEFAULT), true);
    host.begin(1, 1, BeginKind::Do(StepConfig::DEFAULT), true);
    host.report(1, Report::Succeeded { call: CallId(0), attempt: 1, value: Payload::UNDEFINED });
    assert_eq!(host.told(1), [Tell::Held(CallId(0))]);
    host.report(1, Report::Succeeded { call: CallId(1), attempt: 1, value: Payload::UNDEFINED });
    assert_eq!(host.told(1), [Tell::Forget { force: true }]);
    let once = StepConfig { limit: RetryLimit::Times(0), ..StepConfig::DEFAULT };
    host.begin(1, 2, BeginKind::Do(once), false);
    assert_eq!(host.told(1), [], "a run that goes is granted nothing");
    host.report(1, Report::Forgotten);
    let Some(Output::Start(start)) = host.out.iter().find(|output| matches!(output, Output::Start(_))) else {
        panic!("no run follows: {:?}", host.out)
    };
    assert_eq!((start.run, &*start.grants), (RunId(2), &[(CallId(2), 1)][..]));
}

/// One whose only run has got stuck in its code, and another that waits for its place.
fn stuck(follows_newest: bool) -> Host {
    let mut host = Host::new(Some(1));
    host.set_workflow(1, follows_newest);
    host.create("a");
    host.create("b");
    assert_eq!(host.starts().len(), 1);
    let message = "it waits".to_owned();
    host.report(1, Report::Diverged { message, stuck: true });
    assert_eq!(host.told(1), [Tell::Forget { force: true }]);
    host.report(1, Report::Forgotten);
    host
}

#[test]
fn an_instance_that_is_stuck_in_its_code_gives_its_place_to_another() {
    let mut host = stuck(false);
    assert_eq!(host.starts(), [(2, Vec::new())], "the other one");
    host.report(2, Report::Completed(Payload::UNDEFINED));
    host.pass(50_000);
    assert_eq!((host.starts(), host.engine.run_count()), (Vec::new(), 0));
    assert_eq!((host.status(), host.engine.places_taken(WORKFLOW)), (Status::Running, 0));
}

#[test]
fn an_instance_that_is_stuck_is_tried_again_less_and_less_often_until_it_goes_on() {
    let mut host = stuck(false);
    host.report(2, Report::Completed(Payload::UNDEFINED));
    let get_stuck = |host: &mut Host, run| {
        host.report(run, Report::Diverged { message: "it waits".to_owned(), stuck: true });
        host.report(run, Report::Forgotten);
    };
    for (run, minutes) in [(3, 1), (4, 2), (5, 4), (6, 8)] {
        host.pass(minutes * 60_000 - 1);
        assert_eq!(host.starts(), [], "run {run}");
        host.pass(1);
        assert_eq!(host.starts(), [(run, Vec::new())]);
        get_stuck(&mut host, run);
    }
    host.pass(16 * 60_000);
    host.sleep(7, 0, 1_000);
    get_stuck(&mut host, 7);
    host.pass(60_000);
    assert_eq!(host.starts().len(), 1, "it has gone on meanwhile");
}

#[test]
fn an_instance_that_is_stuck_runs_again_on_other_code_or_when_a_user_wants_it() {
    for follows_newest in [true, false] {
        let mut host = stuck(follows_newest);
        host.report(2, Report::Completed(Payload::UNDEFINED));
        host.input(Input::SessionUp(SessionId(2), Pool { deployment: DeploymentId(2), ..POOL }));
        host.out.clear();
        host.set_workflow(2, follows_newest);
        assert_eq!(host.starts().len(), usize::from(follows_newest));
    }
    let mut host = stuck(false);
    host.report(2, Report::Completed(Payload::UNDEFINED));
    assert_eq!(host.command(Command::Resume), Ok(Status::Running));
    assert_eq!(host.starts().len(), 1);
    assert_eq!(stuck(false).command(Command::Pause), Ok(Status::Paused));
    assert_eq!(stuck(false).command(Command::Terminate(Source::Api)), Ok(Status::Terminated));
}

#[test]
fn an_instance_that_ended_before_there_was_retention_is_kept_as_long_as_its_workflow_says() {
    let ended_at = 900_000;
    let entries = [
        Entry::Created { params: Payload::UNDEFINED, trigger: "api".to_owned(), retention: Retention::default() },
        Entry::Completed { output: Payload::UNDEFINED },
    ];
    let history: Vec<Recorded> = (0..).zip(entries).map(|(seq, entry)| Recorded { seq, at: ended_at, entry }).collect();
    for (success_ms, expected) in [(Some(HOUR_MS), Some(ended_at + 3_600_000)), (None, None)] {
        let mut host = Host::new(None);
        let retention = Retention { success_ms, error_ms: None };
        let (deployment, follows_newest, concurrency) = (POOL.deployment, false, None);
        host.input(Input::Workflow(WORKFLOW, WorkflowSettings { deployment, follows_newest, concurrency, retention }));
        host.pass(20_000);
        let due = vec![Due { at: ended_at, key: KEY, ended_at: Some(ended_at) }];
        host.input(Input::DueRead { until: host.now, due, complete: true });
        assert!(host.out.contains(&Output::Load(KEY)), "{:?}", host.out);
        let mut instance = Instance::replay(KEY, WORKFLOW, POOL.deployment, &history).expect("a history");
        instance.expire_at(Some(ended_at));
        host.input(Input::Loaded(KEY, Some(Box::new(instance))));
        assert_eq!(host.summary.map(|summary| (summary.status, summary.wake_at)), Some((Status::Complete, expected)));
        assert_eq!(host.engine.loaded_count(), 0);
    }
}

#[test]
fn a_queued_instance_starts_on_the_newest_deployment() {
    let mut host = Host::new(None);
    host.input(Input::SessionDown(SESSION, Fault::None));
    host.create("a");
    let settings = WorkflowSettings {
        deployment: DeploymentId(2),
        follows_newest: false,
        concurrency: None,
        retention: RETENTION,
    };
    host.out.clear();
    host.input(Input::Workflow(WORKFLOW, settings));
    host.input(Input::SessionUp(SessionId(2), POOL));
    host.input(Input::SessionUp(SessionId(3), Pool { deployment: DeploymentId(2), ..POOL }));
    let session = host.out.iter().find_map(|output| match output {
        Output::Start(start) => Some(start.session),
        _ => None,
    });
    assert_eq!(session, Some(SessionId(3)));
}
