//! The shim in a real workerd, with the test in the place of the server.

mod server;
mod worker;

use serde_json::{Value, json};
use server::Server;
use worker::Worker;

const USER: &str = include_str!("user.js");

async fn start() -> (Worker, Server) {
    let worker = Worker::start(USER).await;
    let server = Server::connect(&worker).await;
    (worker, server)
}

/// A run from the top, then one from its record: the same output, and no callback runs again.
async fn check_replay(class: &str, params: Value, output: Value) {
    let (_worker, mut server) = start().await;
    assert_eq!(server.finish(class, params.clone()).await, output);
    server.seen.clear();
    assert_eq!(server.finish(class, params).await, output);
    let calls: Vec<_> = server.seen.iter().filter(|message| message.get("done").is_none()).collect();
    assert!(calls.is_empty(), "the replay began something: {calls:?}");
}

#[tokio::test]
async fn sequential_steps_run_and_replay() {
    let output = json!({"sum": 45, "id": "one", "name": "flow", "at": 1000, "greeting": "hello"});
    check_replay("Sequence", json!({"n": 10}), output).await;
}

#[tokio::test]
async fn branches_and_races_give_the_same_after_a_replay() {
    for order in [["a", "b"], ["b", "a"]] {
        let (_worker, mut server) = start().await;
        server.acknowledges = false;
        server.start("Branches", json!(null)).await;
        let mut results = vec![server.until("did").await, server.until("did").await];
        results.sort_by_key(|did| did["name"] != order[0]);
        for did in &results {
            server.acknowledge(did).await;
        }
        server.acknowledges = true;
        let first = server.end().await;
        let second = server.finish("Branches", json!(null)).await;
        assert_eq!(first, second, "settled in order {order:?}");
        // Each branch got its own result although the names collide.
        assert!(first["a"] == "aa" && first["b"] == "bb", "{first}");
    }
}

#[tokio::test]
async fn a_settlement_is_worked_off_before_the_next() {
    let (_worker, mut server) = start().await;
    server.acknowledges = false;
    server.start("TurnsApart", json!(null)).await;
    let (a, b) = (server.until("did").await, server.until("did").await);
    server.acknowledges = true;
    // Two frames that leave together.
    server.acknowledge(&b).await;
    server.acknowledge(&a).await;
    let apart = json!(["b settled", "b went on", "a settled", "a went on"]);
    assert_eq!(server.end().await, apart);
    assert_eq!(server.finish("TurnsApart", json!(null)).await, apart);
    // The same in one frame.
    server.instance = server::Instance::default();
    server.acknowledges = false;
    server.start("TurnsApart", json!(null)).await;
    let (a, b) = (server.until("did").await, server.until("did").await);
    let run = server.run;
    server.send(json!([{"held": {"run": run, "call": b["call"]}}, {"held": {"run": run, "call": a["call"]}}])).await;
    assert_eq!(server.end().await, apart);
}

#[tokio::test]
async fn an_uncaught_non_retryable_error_is_told_as_the_flags_say() {
    for (preserve, expected) in [
        (true, json!(["NonRetryableError", "for good"])),
        (
            false,
            json!([
                "WorkflowFatalError",
                "The execution of the Workflow instance was terminated, as a step threw an NonRetryableError and it was not handled"
            ]),
        ),
    ] {
        let (_worker, mut server) = start().await;
        server.settings["preserve_non_retryable"] = json!(preserve);
        assert_eq!(server.finish("Uncaught", json!(null)).await, expected);
    }
}

#[tokio::test]
async fn an_attempt_that_is_not_retried_is_told_in_other_words_at_old_dates_and_caught_as_it_was_thrown() {
    let (_worker, mut server) = start().await;
    server.settings["preserve_non_retryable"] = json!(false);
    let caught = [
        "NonRetryableError: for good",
        "NonRetryableError: only the name",
        "Error: NonRetryableError: in words",
        "Own: m",
    ];
    assert_eq!(server.finish("Caught", json!(null)).await, json!(caught));
    let told: Vec<_> = server.seen.iter().filter_map(|message| message.get("ended")).collect();
    let texts = ["for good", "only the name", "in words", "m"];
    for (ended, text) in told.iter().zip(texts) {
        let message = format!("Step threw a NonRetryableError with message \"NonRetryableError: {text}\"");
        assert_eq!(
            (&ended["error"]["name"], &ended["error"]["message"]),
            (&json!("WorkflowFatalError"), &json!(message))
        );
    }
    assert_eq!(server.finish("Caught", json!(null)).await, json!(caught), "after a replay");
}

#[tokio::test]
async fn the_step_limit_is_a_bound_of_the_run() {
    let (_worker, mut server) = start().await;
    server.settings["steps_max"] = json!(3);
    let text = "The limit of 3 steps has been reached. This limit can be changed in your worker configuration.";
    assert_eq!(server.finish("Many", json!(null)).await, json!(["WorkflowFatalError", text]));
    assert_eq!(server.instance.calls.len(), 3);
}

#[tokio::test]
async fn a_race_is_won_by_what_was_recorded_first() {
    let (_worker, mut server) = start().await;
    server.finish("Branches", json!(null)).await;
    let position = server.instance.settled.iter().position(|settled| settled["value"]["v"] == "x").unwrap();
    server.instance.settled.swap(position, position + 1);
    assert_eq!(server.finish("Branches", json!(null)).await["winner"], "y");
}

#[tokio::test]
async fn nested_steps_know_their_parent_and_are_skipped_on_replay() {
    check_replay("Nested", json!(null), json!(13)).await;
    let (_worker, mut server) = start().await;
    server.finish("Nested", json!(null)).await;
    let parents: Vec<_> = server.instance.calls.values().map(|call| call.get("parent").cloned()).collect();
    assert_eq!(parents, [None, Some(json!(0)), Some(json!(0)), None, None]);
}

#[tokio::test]
async fn a_nested_step_of_an_open_step_is_not_repeated() {
    let (_worker, mut server) = start().await;
    server.start("Nested", json!(null)).await;
    let inner = server.until("did").await;
    assert_eq!(inner["name"], "inner");
    assert!(server.forget(true).await);
    server.seen.clear();
    assert_eq!(server.finish("Nested", json!(null)).await, json!(13));
    let of_inner = |message: &&Value| message.as_object().unwrap().values().any(|body| body["call"] == inner["call"]);
    assert_eq!(server.seen.iter().find(of_inner), None);
}

#[tokio::test]
async fn failing_steps_reject_with_the_users_error_after_their_attempts() {
    let (_worker, mut server) = start().await;
    let output = server.finish("Failing", json!(null)).await;
    insta::assert_json_snapshot!(output);
    let replayed = server.finish("Failing", json!(null)).await;
    assert_eq!(replayed["caught"], output["caught"]);
}

#[tokio::test]
async fn a_delay_function_is_asked_after_a_failed_attempt() {
    let (_worker, mut server) = start().await;
    let output = server.finish("Delays", json!(null)).await;
    let failed = server.seen.iter().find(|message| message["ended"]["error"]["message"] == "first").unwrap();
    assert_eq!(failed["ended"]["error"]["delay_ms"], 60_000);
    insta::assert_json_snapshot!(output);
}

#[tokio::test]
async fn an_event_settles_a_wait() {
    let (_worker, mut server) = start().await;
    server.start("Event", json!(null)).await;
    let begun = server.until("begin").await;
    assert_eq!(begun["kind"], json!({"wait": {"event": "approved", "timeout_ms": 3_600_000}}));
    server
        .settle(json!({"call": begun["call"], "event": {"type": "approved", "at": 9, "payload": {"v": {"ok": true}}}}))
        .await;
    let output = json!([{"ok": true}, 9, "approved"]);
    assert_eq!(server.end().await, output);
    server.instance.settled[0]["event"].as_object_mut().unwrap().remove("payload");
    server.start("Event", json!(null)).await;
    assert_eq!(server.until("want").await["call"], 0);
    let run = server.run;
    server.send(json!([{"value": {"run": run, "call": 0, "value": {"v": {"ok": true}}}}])).await;
    assert_eq!(server.end().await, output);
}

#[tokio::test]
async fn a_large_value_is_asked_for() {
    let (_worker, mut server) = start().await;
    let output = server.finish("Sequence", json!({"n": 3})).await;
    server.instance.settled[1] = json!({"call": 1, "large": 99_999});
    server.start("Sequence", json!({"n": 3})).await;
    assert_eq!(server.until("want").await["call"], 1);
    let run = server.run;
    server.send(json!([{"value": {"run": run, "call": 1, "value": {"v": 1}}}])).await;
    assert_eq!(server.end().await, output);
}

#[tokio::test]
async fn rich_values_are_equal_after_a_replay() {
    let (_worker, mut server) = start().await;
    let first = server.finish("Rich", json!(null)).await;
    insta::assert_json_snapshot!(first);
    let view = &server.instance.settled[0]["value"]["v"];
    insta::assert_json_snapshot!("what_people_see_of_rich_values", view);
    server.seen.clear();
    assert_eq!(server.finish("Rich", json!(null)).await, first);
    assert!(server.seen.iter().all(|message| message.get("did").is_none()));
}

#[tokio::test]
async fn a_poisoned_value_is_the_error_of_its_own_step() {
    let (_worker, mut server) = start().await;
    let getter = server.finish("Poison", json!("getter")).await;
    assert_eq!(getter, json!([["Error", "from the getter"]]));
    server.instance = server::Instance::default();
    let large = server.finish("Poison", json!("large")).await;
    assert_eq!(
        large,
        json!([["WorkflowInternalError", "Step poison-1 output is too large. Maximum allowed size is 1MiB."]])
    );
    server.instance = server::Instance::default();
    server.start("Poison", json!("json")).await;
    let ended = server.until("ended").await;
    assert_eq!(ended["error"]["kind"], "fatal");
    assert_eq!(ended["error"]["message"], "Value returned from step \"poison\" is not serialisable");
}

/// How an attempt ends whose stream the server answers as `byte` says.
async fn streamed(byte: u8) -> Value {
    let (_worker, mut server) = start().await;
    server.start("Streams", json!(byte)).await;
    server.until("ended").await
}

#[tokio::test]
async fn a_stream_is_named_once_it_is_written() {
    let ended = streamed(b'a').await;
    assert_eq!(ended["value"], json!({"v": "a"}));
    assert_eq!(ended["stream"], json!({"id": 9, "chunks": 1, "bytes": 1}));
}

#[tokio::test]
async fn a_stream_without_room_ends_the_instance() {
    let error = &streamed(1).await["error"];
    let text = "The instance has exceeded the 1GiB storage limit";
    assert_eq!((&error["kind"], &error["message"], &error["ends_with"]), (&json!("fatal"), &json!(text), &json!(text)));
}

#[tokio::test]
async fn a_stream_that_could_not_be_kept_fails_its_attempt() {
    let error = &streamed(2).await["error"];
    assert_eq!((&error["name"], &error["kind"]), (&json!("WorkflowInternalError"), &Value::Null));
    assert_eq!(error["message"], "Storage failure for s-1 due to internal error.");
}

#[tokio::test]
async fn a_forgotten_run_runs_nothing_more() {
    let (_worker, mut server) = start().await;
    server.ends_sleeps = false;
    server.start("Waiting", json!("timer")).await;
    while server.until("begin").await["name"] != "long" {}
    assert!(!server.forget(false).await, "its timer keeps it");
    assert!(server.forget(true).await);
    assert_eq!(server.finish("Trace", json!(null)).await, json!(["first"]));
}

#[tokio::test]
async fn a_waiting_run_without_timers_is_forgotten_gently() {
    let (_worker, mut server) = start().await;
    server.ends_sleeps = false;
    server.start("Waiting", json!(null)).await;
    while server.until("begin").await["name"] != "long" {}
    assert!(server.forget(false).await);
}

#[tokio::test]
async fn a_pause_holds_new_attempts_and_is_told_when_none_runs() {
    let (_worker, mut server) = start().await;
    server.start("Paused", json!(null)).await;
    server.send(json!([{"stop": {"run": 1, "stop": 1}}])).await;
    server.until("quiesced").await;
    let held = server.until("begin").await;
    assert_eq!((&held["name"], held.get("started")), (&json!("c"), None));
    server.send(json!([{"go": {"run": 1}}])).await;
    assert_eq!(server.end().await, "ac");
}

#[tokio::test]
async fn a_step_without_retries_begins_durably_before_it_runs() {
    let (_worker, mut server) = start().await;
    assert_eq!(server.finish("Slow", json!(null)).await, "abc");
    let of = |call: u64| -> Vec<String> {
        let about = |message: &Value| {
            let (kind, body) = message.as_object().unwrap().iter().next().unwrap();
            (body["call"] == call).then(|| kind.clone())
        };
        server.seen.iter().filter_map(about).collect()
    };
    assert_eq!(of(1), ["begin", "started", "ended"]);
    assert_eq!(of(0), ["begin", "ended"]);
    assert_eq!(of(2), ["did"]);
}

#[tokio::test]
async fn a_careful_run_asks_before_every_attempt() {
    let (_worker, mut server) = start().await;
    server.careful = true;
    assert_eq!(server.finish("Slow", json!(null)).await, "abc");
    let optimistic =
        server.seen.iter().any(|message| message.get("did").is_some() || message["begin"]["started"] == true);
    assert!(!optimistic);
}

#[tokio::test]
async fn one_run_cannot_end_the_session() {
    let (_worker, mut server) = start().await;
    assert_eq!(server.finish("Abort", json!("abort")).await, json!(["Error", "my own end"]));
    server.instance = server::Instance::default();
    let exit = json!(["Error", "process.exit() is not available in a Workflow"]);
    assert_eq!(server.finish("Abort", json!("exit")).await, exit);
    server.until_quiet().await;
}

#[tokio::test]
async fn console_lines_know_their_run_and_step() {
    let (_worker, mut server) = start().await;
    server.finish("Abort", json!("abort")).await;
    let lines: Vec<_> = server.seen.iter().filter_map(|message| message.get("log")).collect();
    assert_eq!(lines[0], &json!({"run": 1, "level": "log", "message": ["from run", {"a": 1}]}));
    let spoken = json!({"run": 1, "call": 0, "step": "speaks-1", "level": "warn", "message": ["from step"]});
    assert_eq!(lines[1], &spoken);
}

#[tokio::test]
async fn a_run_that_no_longer_fits_its_history_says_so() {
    let (_worker, mut server) = start().await;
    server.finish("Changed", json!("old")).await;
    server.seen.clear();
    server.start("Changed", json!("new")).await;
    let diverged = server.until("diverged").await;
    let message = "the code no longer makes the recorded do \"old\" (use 1); it made do \"new\" (use 1) and waits: deploy code that makes it again, or restart the instance";
    assert_eq!((&diverged["message"], &diverged["stuck"]), (&json!(message), &json!(true)));
    let told = |kind: &str| server.seen.iter().any(|message| message.get(kind).is_some());
    assert!(!told("begin") && !told("did"), "nothing of the new step has happened: {:?}", server.seen);
}

#[tokio::test]
async fn a_run_that_is_busy_outside_of_steps_has_not_diverged() {
    let (_worker, mut server) = start().await;
    assert_eq!(server.finish("Aside", json!(null)).await, "legal");
    server.seen.clear();
    assert_eq!(server.finish("Aside", json!(null)).await, "legal");
    assert_eq!(server.seen.len(), 1, "{:?}", server.seen);
}

#[tokio::test]
async fn a_run_may_take_as_long_on_its_way_to_a_call_as_it_took_the_first_time() {
    let (_worker, mut server) = start().await;
    assert_eq!(server.finish("Requests", json!(null)).await, 2);
    server.instance.calls.values_mut().for_each(|call| call["took_ms"] = json!(120));
    server.seen.clear();
    assert_eq!(server.finish("Requests", json!(null)).await, 2);
    assert_eq!(server.seen.len(), 1, "{:?}", server.seen);
}

#[tokio::test]
async fn a_replay_for_handlers_waits_as_long_for_their_steps_as_the_code_took_the_first_time() {
    let (_worker, mut server) = start().await;
    server.finish("Requests", json!(null)).await;
    for call in server.instance.calls.values_mut() {
        (call["took_ms"], call["attempts"]) = (json!(120), json!(1));
    }
    server.rolls_back = true;
    // The second step was open: nobody but its handler wants it to be made.
    server.instance.settled.truncate(1);
    server.start("Requests", json!(null)).await;
    server.until("undo_ready").await;
    for call in [1, 0] {
        let error = json!({"name": "Error", "message": "e"});
        server.send(json!([{"undo": {"run": server.run, "call": call, "attempt": 1, "error": error}}])).await;
        assert_eq!(server.until("undone").await.get("error"), None);
    }
}

#[tokio::test]
async fn the_result_of_an_attempt_that_was_given_up_is_dropped() {
    let (_worker, mut server) = start().await;
    server.start("Late", json!(null)).await;
    server.until("begin").await;
    server.send(json!([{"attempt": {"run": 1, "call": 0, "attempt": 2}}])).await;
    assert_eq!(server.end().await, "attempt 2");
    let ended: Vec<_> = server.seen.iter().filter_map(|message| message.get("ended")).collect();
    assert_eq!(ended.len(), 1, "{ended:?}");
}

#[tokio::test]
async fn a_worker_that_overwrites_globals_still_runs() {
    let vandal = "
        for (const name of ['Map', 'Set', 'Promise', 'JSON', 'Object', 'Array', 'Error', 'Date', 'structuredClone', 'queueMicrotask', 'Reflect'])
            globalThis[name] = undefined;
        Function.prototype.call = Function.prototype.apply = Function.prototype.bind = undefined;";
    let prototypes = "
        Map.prototype.get = Map.prototype.set = Map.prototype.has = () => { throw 'spoiled'; };
        Promise.prototype.then = () => { throw 'spoiled'; };
        Array.prototype.push = Array.prototype.join = () => { throw 'spoiled'; };
        String.prototype.toWellFormed = () => { throw 'spoiled'; };
        RegExp.prototype.exec = () => { throw 'spoiled'; };";
    for spoil in [vandal, prototypes] {
        let user = format!(
            "import {{ WorkflowEntrypoint }} from 'cloudflare:workers';
             export class Spoiled extends WorkflowEntrypoint {{
               async run(event, step) {{
                 const a = await step.do('a', {{ timeout: '5 minutes' }}, async () => ({{ n: [1] }}));
                 await step.sleep('s', '1 second');
                 return a.n[0] + await step.do('b', async () => 2);
               }}
             }}
             {spoil}"
        );
        let worker = Worker::start(&user).await;
        let mut server = Server::connect(&worker).await;
        assert_eq!(server.finish("Spoiled", json!(null)).await, 3);
        assert_eq!(server.finish("Spoiled", json!(null)).await, 3);
    }
}

#[tokio::test]
async fn a_session_wants_its_token_and_ends_with_bye() {
    let worker = Worker::start(USER).await;
    assert!(worker.connect("another").await.is_err());
    let (sender, mut receiver) = worker.connect(worker::TOKEN).await.unwrap();
    assert!(receiver.recv().await.unwrap().contains("hello"));
    sender.close().await;
    assert_eq!(receiver.recv().await, None);
}
