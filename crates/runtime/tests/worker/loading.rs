//! Workers that load although they need help, and those that are refused, by name.

use stepwell_runtime::{Refusal, SpawnError, WorkerSpec};
use tokio::time::Duration;

use crate::setup::{get, module, spec, start, start_error, workerd, workerd_path};

#[tokio::test]
async fn a_worker_without_a_default_export_answers_404() {
    let process = start(&spec("export class Anything {}")).await;
    assert_eq!(get(&process, "/").await.0, 404);
}

#[tokio::test]
async fn async_local_storage_is_there_with_and_without_the_flags_that_bring_it() {
    for flags in
        [&[][..], &["nodejs_als"], &["no_nodejs_als"], &["nodejs_compat"], &["nodejs_compat_v2"], &["no_nodejs_compat"]]
    {
        for date in ["2024-01-01", "2026-11-17"] {
            let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
            let spec = WorkerSpec {
                compatibility_flags: flags,
                compatibility_date: date.to_owned(),
                ..spec("export class A {}")
            };
            let process = start(&spec).await;
            assert_eq!(get(&process, "/").await.0, 404, "{:?} at {date}", spec.compatibility_flags);
        }
    }
}

#[tokio::test]
async fn user_code_that_replaces_globals_loads_after_the_shim() {
    let source = "globalThis.Map = globalThis.Promise = undefined; Object.defineProperty = null; export class A {}";
    start(&spec(source)).await;
}

async fn load_message(source: &str) -> String {
    match start_error(&spec(source)).await {
        SpawnError::Load { script, message } if script == "shop" => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_failure_to_load_is_told_in_workerds_words_with_the_users_lines() {
    insta::assert_snapshot!(load_message("export default {};\nlet x = ;").await, @r#"
    Uncaught SyntaxError: Unexpected token ';'
      at index.js:2:8
"#);
    insta::assert_snapshot!(load_message("import './absent.js'; export default {};").await, @r#"
    Uncaught Error: No such module "absent.js".
      imported from "index.js"
"#);
    insta::assert_snapshot!(load_message("import { absent } from 'cloudflare:workers'; export default {};").await, @r#"
    Uncaught SyntaxError: The requested module 'cloudflare:workers' does not provide an export named 'absent'
      at index.js:1:9
"#);
    insta::assert_snapshot!(load_message("console.error('before');\nthrow new TypeError('boom\\nsecond line');").await, @r#"
    Uncaught TypeError: boom
    second line
      at index.js:2:7
"#);
}

#[tokio::test]
async fn a_class_that_is_not_exported_is_named_beside_those_that_are() {
    let source = "import { WorkflowEntrypoint } from 'cloudflare:workers';
        export class Orders extends WorkflowEntrypoint {} export class Helper {} export default {};";
    let spec = WorkerSpec { classes: vec!["Orders".to_owned(), "Order".to_owned()], ..spec(source) };
    match start_error(&spec).await {
        SpawnError::ClassNotExported { class, exported, .. } => {
            assert_eq!((class.as_str(), exported), ("Order", vec!["Orders".to_owned()]));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_class_that_cannot_run_is_refused_where_classes_are_checked() {
    let source = "import { WorkflowEntrypoint } from 'cloudflare:workers';
        export class Extends extends WorkflowEntrypoint { run = async () => 1; }
        export class Runs { async run() {} } export class Wrapped { async run() {} }
        export const Traced = new Proxy(Wrapped, {}); export class Helper {} export default {};";
    let of =
        |class: &str, checks_classes| WorkerSpec { classes: vec![class.to_owned()], checks_classes, ..spec(source) };
    for class in ["Extends", "Runs", "Traced"] {
        start(&of(class, true)).await;
    }
    start(&of("Helper", false)).await;
    match start_error(&of("Helper", true)).await {
        SpawnError::NotAWorkflow { class, exported, .. } => {
            assert_eq!((class.as_str(), exported), ("Helper", vec!["Extends".to_owned()]));
        }
        other => panic!("{other:?}"),
    }
}

async fn check_refused(spec: WorkerSpec, expected: Refusal) {
    match start_error(&spec).await {
        SpawnError::Refused(refusal) => assert_eq!(refusal, expected),
        other => panic!("{other:?}, not {expected:?}"),
    }
}

#[tokio::test]
async fn service_worker_syntax_is_refused() {
    let source = "addEventListener('fetch', (event) => event.respondWith(new Response('x')));";
    check_refused(spec(source), Refusal::NothingExported { name: "index.js".to_owned() }).await;
}

#[tokio::test]
async fn flags_that_cannot_be_used_are_refused_by_name() {
    let with = |flags: &[&str]| {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        WorkerSpec { compatibility_flags: flags, ..spec("export default {};") }
    };
    let flag = |name: &str| name.to_owned();
    check_refused(with(&["no_such_flag"]), Refusal::UnknownFlag { flag: flag("no_such_flag") }).await;
    check_refused(with(&["unsafe_module"]), Refusal::ExperimentalFlag { flag: flag("unsafe_module") }).await;
    let reason = "with it D1 is called by RPC, and the databases of this server answer over HTTP";
    check_refused(with(&["d1_binding_jsrpc"]), Refusal::UnsupportedFlag { flag: flag("d1_binding_jsrpc"), reason })
        .await;
    check_refused(with(&["nodejs_als", "nodejs_als"]), Refusal::RepeatedFlag { flag: flag("nodejs_als") }).await;
    match start_error(&with(&["rpc", "no_rpc"])).await {
        SpawnError::Refused(Refusal::UnfitFlags { message }) => assert!(message.contains("rpc"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn dates_beyond_workerd_and_no_dates_are_refused() {
    let at = |date: &str| WorkerSpec { compatibility_date: date.to_owned(), ..spec("export default {};") };
    check_refused(at("2026-11-18"), Refusal::DateBeyondWorkerd { date: "2026-11-18".to_owned() }).await;
    for date in ["", "2026-13-01", "2026-1-01", "yesterday!"] {
        check_refused(at(date), Refusal::InvalidDate { date: date.to_owned() }).await;
    }
}

#[tokio::test]
async fn modules_that_collide_are_refused() {
    let mut repeated = spec("export default {};");
    repeated.modules.push(module("index.js", ""));
    check_refused(repeated, Refusal::RepeatedModule { name: "index.js".to_owned() }).await;
    let mut reserved = spec("export default {};");
    reserved.modules.push(module("__stepwell__/shim.js", ""));
    check_refused(reserved, Refusal::ReservedModule { name: "__stepwell__/shim.js".to_owned() }).await;
    let absent = WorkerSpec { main_module: "other.js".to_owned(), ..spec("") };
    check_refused(absent, Refusal::MissingMainModule { name: "other.js".to_owned() }).await;
}

#[tokio::test]
async fn top_level_code_that_never_ends_is_killed_and_told() {
    let workerd = workerd().await.with_load_timeout(Duration::from_millis(500));
    let error =
        stepwell_runtime::WorkerProcess::spawn(&workerd, &spec("for (;;) {} export default {};")).await.unwrap_err();
    assert!(matches!(error, SpawnError::NotReady { waited_ms: 500, .. }), "{error:?}");
}

#[tokio::test]
async fn a_missing_workerd_and_another_version_are_told_apart() {
    let missing = stepwell_runtime::Workerd::open("/nonexistent/workerd").await.unwrap_err();
    assert!(matches!(missing, SpawnError::WorkerdMissing { .. }), "{missing:?}");
    let other = stepwell_runtime::Workerd::open("/bin/echo").await.unwrap_err();
    assert!(matches!(&other, SpawnError::WorkerdVersion { found, .. } if !found.contains("2026-11-17")), "{other:?}");
    assert!(workerd().await.path() == workerd_path());
}
