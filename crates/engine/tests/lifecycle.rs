//! Single situations in the life of an instance, with a host that makes every batch durable at once.

use proptest::prelude::*;
use stepwell_engine::engine::{Chaos, Command, Fault, WorkflowSettings};
use stepwell_engine::instance::{BeginKind, Decision, Rejection, Report, Settlement, Severity, Tell};
use stepwell_engine::scheduler::{Pool, Quarantine};
use stepwell_engine::{
    Backoff, CallId, DeploymentId, Engine, ErrorRecord, Input, Instance, InstanceKey, Output, Payload, Recorded,
    ReplyId, Retention, RetryLimit, RunId, SessionId, Status, StepConfig, WorkflowId,
};

const WORKFLOW: WorkflowId = WorkflowId(1);
const SESSION: SessionId = SessionId(1);
const POOL: Pool = Pool { deployment: DeploymentId(1), quarantine: Quarantine::Free };
const HOUR_MS: u64 = 3_600_000;
/// For good.
const RETENTION: Retention = Retention { success_ms: None, error_ms: None };
const KEY: InstanceKey = InstanceKey(1);

/// An engine with one workflow and one session.
struct Host {
    engine: Engine,
    now: i64,
    out: Vec<Output>,
    /// Of the first instance.
    history: Vec<Recorded>,
}

impl Host {
    fn new(concurrency: Option<usize>) -> Self {
        let mut host = Self { engine: Engine::new(KEY, 100), now: 1_000_000, out: Vec::new(), history: Vec::new() };
        let settings =
            WorkflowSettings { deployment: POOL.deployment, follows_newest: false, concurrency, retention: RETENTION };
        host.input(Input::Workflow(WORKFLOW, settings));
        host.input(Input::DueRead { until: host.now + 20_000, due: Vec::new(), complete: true });
        host.input(Input::SessionUp(SESSION, POOL));
        host
    }

    /// With one instance, whose first run has started.
    fn started() -> Self {
        let mut host = Self::new(None);
        host.create("a");
        host
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(input, self.now, &mut self.out);
        while let Some((commit, batch)) = self.engine.flush(self.now, &mut self.out) {
            let created = batch.creations.into_iter().filter(|one| one.key == KEY).map(|one| one.created);
            self.history.extend(created);
            self.history
                .extend(batch.writes.into_iter().filter(|write| write.key == KEY).flat_map(|write| write.entries));
            self.engine.handle(Input::Committed(commit, Vec::new()), self.now, &mut self.out);
        }
    }

    fn create(&mut self, id: &str) {
        let (params, trigger, retention) = (Payload::UNDEFINED, "api".to_owned(), Retention::default());
        self.input(Input::Create { reply: ReplyId(0), workflow: WORKFLOW, id: id.into(), params, trigger, retention });
    }

    fn command(&mut self, command: Command) -> Result<Status, Rejection> {
        self.out.clear();
        self.input(Input::Command { reply: ReplyId(9), key: KEY, command });
        let answer = self.out.iter().find_map(|output| match output {
            Output::Reply(ReplyId(9), answer) => Some(answer.clone()),
            _ => None,
        });
        answer.expect("an answer at once").map(|answer| answer.status)
    }

    fn report(&mut self, run: u64, report: Report) {
        self.out.clear();
        self.input(Input::Report(SESSION, RunId(run), report));
    }

    fn begin(&mut self, run: u64, call: u32, kind: BeginKind, started: bool) {
        let name = format!("s{call}");
        self.report(run, Report::Begin { call: CallId(call), parent: None, name, count: 1, kind, started });
    }

    fn sleep(&mut self, run: u64, call: u32, ms: u64) {
        self.begin(run, call, BeginKind::Sleep { ms }, false);
    }

    fn wait(&mut self, run: u64, call: u32) {
        let kind = BeginKind::Wait { event_type: "paid".to_owned(), timeout_ms: HOUR_MS };
        self.begin(run, call, kind, false);
    }

    fn send(&mut self) -> Result<Status, Rejection> {
        let payload = Payload::from_json("1");
        self.command(Command::SendEvent { event_type: "paid".to_owned(), payload })
    }

    fn pass(&mut self, ms: i64) {
        self.out.clear();
        self.now += ms;
        self.input(Input::Tick);
    }

    /// The run has its grace and is forgotten.
    fn suspend(&mut self, run: u64) {
        self.pass(6_000);
        assert_eq!(self.told(run), [Tell::Forget { force: false }]);
        self.report(run, Report::Forgotten);
    }

    fn told(&self, run: u64) -> Vec<Tell> {
        let told = self.out.iter().filter_map(|output| match output {
            Output::Tell(_, to, tell) if *to == RunId(run) => Some(tell.clone()),
            _ => None,
        });
        told.collect()
    }

    fn starts(&self) -> Vec<(u64, Vec<(CallId, u32)>)> {
        let starts = self.out.iter().filter_map(|output| match output {
            Output::Start(start) => Some((start.run.0, start.grants.clone())),
            _ => None,
        });
        starts.collect()
    }

    fn replayed(&self) -> Instance {
        Instance::replay(KEY, WORKFLOW, POOL.deployment, &self.history).expect("a history")
    }

    fn status(&self) -> Status {
        self.engine.instance(KEY).expect("it is in memory").status()
    }
}

fn config(limit: u32) -> StepConfig {
    StepConfig {
        limit: RetryLimit::Times(limit),
        delay_ms: Some(1_000),
        backoff: Backoff::Constant,
        ..StepConfig::DEFAULT
    }
}

/// Each command in each state: what it answers.
fn check(arrange: fn(&mut Host), expected: [Result<Status, Rejection>; 5]) {
    let commands = [Command::Pause, Command::Resume, Command::Terminate, Command::Restart, Command::Delete];
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
            host.command(Command::Terminate).expect("an end");
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
        drop(host.command(Command::Terminate));
        host.report(1, Report::Forgotten);
        prop_assert_eq!(host.engine.places_taken(WORKFLOW), 0);
        prop_assert_eq!((host.engine.run_count(), host.engine.loaded_count()), (0, 0));
    }
}
