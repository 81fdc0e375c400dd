//! What holds for every backend.

use stepwell_engine::{
    Batch, Carried, DeploymentId, Entry, Firing, InstanceKey, Payload, Recorded, Restart, Retention, Source, Status,
    Summary, WorkflowId,
};
use stepwell_store::backend::HistoryPage;
use stepwell_store::limits::{LOG_LINES_MAX, RELEASES_MAX};
use stepwell_store::{
    AccountId, ChangeError, CommitError, ListQuery, LogLine, Module, NewDeployment, NewRelease, NewWorkflow, Options,
    Order, Secret, SecretChange, Store, Token,
};

use crate::support::*;

macro_rules! every_backend {
    ($($(#[$attribute:meta])* fn $name:ident($store:ident: &Store) $body:block)*) => {
        mod memory {
            use super::*;
            $(#[test] fn $name() { super::$name(&Store::in_memory()); })*
        }
        mod sqlite {
            use super::*;
            $(#[test] fn $name() {
                let dir = tempfile::tempdir().expect("a directory");
                super::$name(&Store::open(dir.path(), Options::default()).expect("a store"));
            })*
        }
        $($(#[$attribute])* fn $name($store: &Store) $body)*
    };
}

pub(crate) use every_backend;

every_backend! {
    fn a_created_instance_is_found_by_id_and_key(store: &Store) {
        let made = creation(5, "a", 10);
        assert_eq!(commit(store, creations(vec![made.clone()])), []);
        assert_eq!(wait(store.resolve(WORKFLOW, "a")), Ok(Some(InstanceKey(5))));
        assert_eq!(wait(store.resolve(WorkflowId(2), "a")), Ok(None));
        let row = wait(store.instance(InstanceKey(5))).unwrap().unwrap();
        assert_eq!((row.created_at, row.summary, row.entry_count), (10, made.summary, 1));
        assert_eq!(history(store, 5), [made.created]);
    }

    fn a_taken_id_is_refused_alone(store: &Store) {
        commit(store, creations(vec![creation(1, "a", 1)]));
        let mut batch = creations(vec![creation(2, "b", 2), creation(3, "a", 2), creation(4, "b", 2)]);
        batch.writes = vec![write(2, 1, vec![did(0, "1")], None), write(3, 1, vec![did(0, "1")], None)];
        assert_eq!(commit(store, batch), [InstanceKey(3), InstanceKey(4)]);
        assert_eq!(wait(store.resolve(WORKFLOW, "a")), Ok(Some(InstanceKey(1))));
        assert_eq!(history(store, 2).len(), 2);
        assert_eq!(history(store, 3), []);
    }

    fn entries_that_do_not_follow_are_fenced_with_their_whole_batch(store: &Store) {
        commit(store, creations(vec![creation(1, "a", 1), creation(2, "b", 1)]));
        for seq in [0, 2] {
            let done = Some(summary(Status::Complete, None));
            let mut batch = writes(vec![write(1, 1, vec![did(0, "1")], done), write(2, seq, vec![did(0, "1")], done)]);
            batch.creations = vec![creation(3, "c", 1)];
            assert!(matches!(wait(store.commit(batch)), Err(CommitError::Fenced(_))));
        }
        assert_eq!(history(store, 1).len(), 1);
        assert_eq!(wait(store.resolve(WORKFLOW, "c")), Ok(None));
        assert_eq!(wait(store.counters(WORKFLOW)), Ok([2, 0, 0, 0, 0, 0, 0, 0, 0]));
        let both = vec![write(1, 1, vec![did(0, "1")], None), write(2, 1, vec![did(0, "1")], None)];
        assert_eq!(commit(store, writes(both)), []);
    }

    fn a_fenced_batch_leaves_its_neighbours_alone(store: &Store) {
        commit(store, creations(vec![creation(1, "a", 1)]));
        let one = |(key, seq)| store.commit(writes(vec![write(key, seq, vec![did(0, "1")], None)]));
        for (fenced, first_key, order) in [(1, 1_000, [(1, 1), (9, 1), (1, 2)]), (0, 2_000, [(9, 1), (1, 3), (1, 4)])] {
            // While many are created, the others come together into one group.
            let made = (first_key..first_key + 1_000).map(|key| creation(key, &key.to_string(), 1)).collect();
            let busy = store.commit(creations(made));
            let answers: Vec<_> = order.map(one).into_iter().map(wait).collect();
            assert!(wait(busy).is_ok());
            for (index, answer) in answers.iter().enumerate() {
                assert_eq!(matches!(answer, Err(CommitError::Fenced(_))), index == fenced, "{answers:?}");
            }
        }
        assert_eq!(history(store, 1).len(), 5);
        assert_eq!(wait(store.counters(WORKFLOW)).unwrap().iter().sum::<u64>(), 1 + 2 * 1_000);
    }

    fn a_deleted_instance_is_gone_and_its_key_stays_used(store: &Store) {
        commit(store, creations(vec![creation(1, "a", 1), creation(2, "b", 1)]));
        commit(store, writes(vec![write(2, 1, vec![did(0, "1")], None)]));
        commit(store, deletions(&[2, 77]));
        assert_eq!(wait(store.instance(InstanceKey(2))), Ok(None));
        assert_eq!(wait(store.load(InstanceKey(2))), Ok(None));
        assert_eq!(history(store, 2), []);
        assert_eq!(wait(store.due((0, InstanceKey(0)), 9, 9)).unwrap().len(), 1);
        assert_eq!(wait(store.max_key()), Ok(InstanceKey(2)));
        assert!(matches!(wait(store.commit(writes(vec![write(2, 2, vec![did(1, "1")], None)]))), Err(CommitError::Fenced(_))));
        assert_eq!(commit(store, creations(vec![creation(3, "b", 2)])), []);
        assert_eq!(wait(store.counters(WORKFLOW)).unwrap().iter().sum::<u64>(), 2);
    }

    fn a_restart_keeps_row_id_and_first_entry_under_a_new_key(store: &Store) {
        let made = creation(1, "a", 1);
        commit(store, creations(vec![made.clone()]));
        commit(store, writes(vec![write(1, 1, vec![did(0, "1")], Some(summary(Status::Complete, None)))]));
        let again = |old, new| Restart {
            old: InstanceKey(old),
            new: InstanceKey(new),
            deployment: DeploymentId(2),
            summary: Summary { deployment: DeploymentId(2), ..summary(Status::Queued, Some(50)) },
            history: vec![Carried::CREATION],
        };
        let batch = Batch { restarts: vec![again(1, 2), again(9, 3)], ..Batch::default() };
        assert_eq!(commit(store, batch), [InstanceKey(3)]);
        let row = wait(store.instance(InstanceKey(2))).unwrap().unwrap();
        assert_eq!((&*row.id, row.created_at, row.entry_count), ("a", 1, 1));
        assert_eq!(row.summary, again(1, 2).summary);
        assert_eq!(history(store, 2), [made.created]);
        assert_eq!(wait(store.instance(InstanceKey(1))), Ok(None));
        assert_eq!(wait(store.counters(WORKFLOW)), Ok([1, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(wait(store.resolve(WORKFLOW, "a")), Ok(Some(InstanceKey(2))));
    }

    fn a_restart_copies_and_writes_what_its_history_says(store: &Store) {
        let made = creation(1, "a", 1);
        commit(store, creations(vec![made.clone()]));
        let first = write(1, 1, vec![Entry::Paused, did(0, "[0]"), did(1, "[1]"), sleep(2, 30)], None);
        commit(store, writes(vec![first.clone()]));
        let history = |from_seq| {
            let written = Recorded { seq: 3, at: 7, entry: sleep(2, 90) };
            vec![Carried::CREATION, Carried::Copied { from_seq, count: 2 }, Carried::Written(written)]
        };
        let again = |from_seq| Restart {
            old: InstanceKey(1),
            new: InstanceKey(2),
            deployment: DeploymentId(1),
            summary: summary(Status::Queued, Some(50)),
            history: history(from_seq),
        };
        let restart = |from_seq| Batch { restarts: vec![again(from_seq)], ..Batch::default() };
        assert!(matches!(wait(store.commit(restart(4))), Err(CommitError::Fenced(_))), "there is no entry 5");
        let more = Batch { writes: vec![write(2, 4, vec![did(3, "3")], None)], ..restart(2) };
        assert_eq!(commit(store, more), []);
        let entries: Vec<_> = crate::support::history(store, 2).into_iter().map(|one| (one.seq, one.entry)).collect();
        let expected = [made.created.entry, did(0, "[0]"), did(1, "[1]"), sleep(2, 90), did(3, "3")];
        assert_eq!(entries, (0..).zip(expected).collect::<Vec<_>>());
        assert_eq!(wait(store.instance(InstanceKey(2))).unwrap().unwrap().entry_count, 5);
        assert_eq!(wait(store.load(InstanceKey(1))), Ok(None));
    }

    fn a_load_leaves_the_texts_out_and_a_history_does_not(store: &Store) {
        let exact = Payload { json: Some("\"view\"".into()), exact: Some("\"exact\"".into()), value_bytes: 99 };
        let entries = vec![did(0, "[1,2]"), Entry::EventReceived { event_type: "e".to_owned(), payload: exact.clone() }];
        commit(store, creations(vec![creation(1, "a", 1)]));
        let more = write(1, 1, entries, None);
        commit(store, writes(vec![more.clone()]));
        assert_eq!(history(store, 1)[1..], more.entries);
        assert_eq!(wait(store.entry(InstanceKey(1), 2)), Ok(Some(more.entries[1].clone())));
        assert_eq!(wait(store.entry(InstanceKey(1), 3)), Ok(None));
        let (row, loaded) = wait(store.load(InstanceKey(1))).unwrap().unwrap();
        assert_eq!(row.entry_count, 3);
        let Entry::EventReceived { payload, .. } = &loaded[2].entry else { panic!("{loaded:?}") };
        assert_eq!(*payload, Payload { json: None, exact: None, value_bytes: 99 });
        assert_eq!(loaded[1].at, more.entries[0].at);
    }

    fn a_history_comes_in_pages_of_rows_and_bytes(store: &Store) {
        commit(store, creations(vec![creation(1, "a", 1)]));
        let big = format!("\"{}\"", "x".repeat(998));
        commit(store, writes(vec![write(1, 1, (0..9).map(|call| did(call, &big)).collect(), None)]));
        let page = |from_seq, until_seq, rows_max, bytes_max| {
            let page = HistoryPage { from_seq, until_seq, rows_max, bytes_max };
            wait(store.history(InstanceKey(1), page)).unwrap().iter().map(|entry| entry.seq).collect::<Vec<_>>()
        };
        assert_eq!(page(3, 5, 100, usize::MAX), [3, 4]);
        assert_eq!(page(3, u64::MAX, 2, usize::MAX), [3, 4]);
        assert_eq!(page(3, u64::MAX, 100, 3_000), [3, 4, 5]);
        assert_eq!(page(3, u64::MAX, 100, 1), [3]);
    }

    fn due_instances_come_by_time_then_key_in_pages(store: &Store) {
        commit(store, creations([(1, 30), (2, 10), (3, 10), (4, 20)].map(|(key, at)| creation(key, &key.to_string(), at)).into()));
        commit(store, writes(vec![write(4, 1, vec![sleep(0, 10)], Some(summary(Status::Waiting, None)))]));
        let page = |after, until, limit| {
            wait(store.due(after, until, limit)).unwrap().iter().map(|due| due.key.0).collect::<Vec<_>>()
        };
        let start = (i64::MIN, InstanceKey(0));
        assert_eq!(page(start, 30, 9), [2, 3, 1]);
        assert_eq!(page(start, 29, 9), [2, 3]);
        assert_eq!(page(start, 30, 1), [2]);
        assert_eq!(page((10, InstanceKey(2)), 30, 9), [3, 1]);
        let first = wait(store.due(start, 30, 1)).unwrap()[0];
        assert_eq!((first.wake_at, first.workflow, first.deployment), (10, WORKFLOW, DEPLOYMENT));
    }

    fn lists_are_filtered_ordered_and_paged(store: &Store) {
        commit(store, creations((1..=6).map(|key| creation(key, &key.to_string(), 10 * (key as i64 / 2))).collect()));
        commit(store, writes([2, 5].map(|key| write(key, 1, vec![Entry::Paused], Some(summary(Status::Paused, None)))).into()));
        let keys = |query| wait(store.list_instances(query)).unwrap().iter().map(|row| row.key.0).collect::<Vec<_>>();
        let newest = ListQuery::newest(WORKFLOW, 9);
        let oldest = ListQuery { order: Order::OldestFirst, ..newest.clone() };
        assert_eq!(keys(newest.clone()), [6, 5, 4, 3, 2, 1]);
        assert_eq!(keys(ListQuery { limit: 2, ..oldest.clone() }), [1, 2]);
        assert_eq!(keys(ListQuery { after: Some((10, InstanceKey(2))), ..oldest.clone() }), [3, 4, 5, 6]);
        assert_eq!(keys(ListQuery { after: Some((20, InstanceKey(4))), ..newest.clone() }), [3, 2, 1]);
        assert_eq!(keys(ListQuery { status: Some(Status::Paused), ..newest.clone() }), [5, 2]);
        assert_eq!(keys(ListQuery { created_from: Some(10), created_until: Some(20), ..oldest }), [2, 3, 4, 5]);
        assert_eq!(keys(ListQuery { workflow: WorkflowId(2), ..newest }), [] as [u64; 0]);
    }

    fn deployments_are_numbered_shared_and_kept_while_needed(store: &Store) {
        let module = |name: &str, hash: &str| Module { name: name.to_owned(), kind: "esm".to_owned(), hash: hash.to_owned(), body: hash.as_bytes().into() };
        let upload = |content: &str, at| NewDeployment {
            script: named("s"),
            content_id: content.to_owned(),
            settings: "{}".to_owned(),
            modules: vec![module("main.js", content), module("lib.js", "lib")],
            created_at: at,
            secrets: vec![],
        };
        let first = wait(store.put_deployment(upload("one", 1))).unwrap();
        let second = wait(store.put_deployment(upload("two", 2))).unwrap();
        assert_eq!((first.id, second.id, second.is_current), (DeploymentId(1), DeploymentId(2), true));
        assert_eq!(wait(store.delete_deployment(second.id)), Err(ChangeError::DeploymentCurrent(second.id)));
        assert_eq!(wait(store.put_deployment(upload("one", 3))).unwrap().id, first.id);
        assert_eq!(wait(store.put_deployment(upload("two", 4))).unwrap().id, second.id);
        assert_eq!(wait(store.current_deployment(&named("s"))).unwrap().unwrap().id, second.id);
        commit(store, creations(vec![creation(1, "a", 1)]));
        let needed = ChangeError::DeploymentNeeded { deployment: first.id, instances: 1 };
        assert_eq!(wait(store.delete_deployment(first.id)), Err(needed));
        assert_eq!(wait(store.deployments(&named("s"))).unwrap().iter().map(|row| row.live_instances).collect::<Vec<_>>(), [0, 1]);
        commit(store, writes(vec![write(1, 1, vec![Entry::Terminated { source: Source::Api }], Some(summary(Status::Terminated, None)))]));
        assert_eq!(wait(store.delete_deployment(first.id)), Ok(true));
        assert_eq!(wait(store.delete_deployment(first.id)), Ok(false));
        let kept = wait(store.deployment(second.id)).unwrap().unwrap();
        assert_eq!(kept.modules, upload("two", 2).modules);
        assert_eq!(wait(store.put_deployment(upload("one", 5))).unwrap().id, DeploymentId(3));
    }

    fn a_version_is_released_or_only_kept(store: &Store) {
        let upload = |content: &str| NewDeployment { script: named("s"), content_id: content.to_owned(), settings: "{}".to_owned(), modules: vec![], created_at: 1, secrets: vec![] };
        let release = |deployment, at| NewRelease { script: named("s"), deployment, at, note: format!("{{\"at\":{at}}}"), secrets: vec![] };
        assert_eq!(wait(store.put_version(upload("one"))), Ok(None), "there is no script yet");
        let one = wait(store.put_deployment(upload("one"))).unwrap();
        let two = wait(store.put_version(upload("two"))).unwrap().expect("a version");
        assert_eq!((two.is_current, wait(store.put_version(upload("two"))).unwrap().map(|row| row.id)), (false, Some(two.id)));
        assert_eq!(wait(store.release(release(two.id, 5))), Ok(true));
        assert_eq!(wait(store.release(NewRelease { script: named("other"), ..release(two.id, 6) })), Ok(false));
        assert_eq!(wait(store.release(release(DeploymentId(9), 6))), Ok(false));
        assert_eq!(wait(store.current_deployment(&named("s"))).unwrap().unwrap().id, two.id);
        let releases = wait(store.releases(&named("s"))).unwrap();
        let seen: Vec<_> = releases.iter().map(|row| (row.deployment, row.at, &*row.note)).collect();
        assert_eq!(seen, [(two.id, 5, "{\"at\":5}"), (one.id, 1, "{}")]);
        assert_eq!(wait(store.put_script_settings(&named("s"), "{\"tags\":[]}".to_owned())), Ok(true));
        assert_eq!(wait(store.put_script_settings(&named("other"), String::new())), Ok(false));
        let row = wait(store.script(&named("s"))).unwrap().expect("a script");
        assert_eq!((row.settings.as_str(), row.current, row.modified_at), ("{\"tags\":[]}", two.id, 5));
        for at in 0..i64::from(RELEASES_MAX) + 5 {
            wait(store.release(release(one.id, at))).unwrap();
        }
        assert_eq!(wait(store.releases(&named("s"))).unwrap().len(), RELEASES_MAX as usize);
        assert_eq!(wait(store.delete_deployment(two.id)), Ok(true));
        assert_eq!(wait(store.releases(&named("other"))), Ok(vec![]));
    }

    fn secrets_change_with_what_becomes_current_and_not_before(store: &Store) {
        let upload = |content: &str, value| NewDeployment { script: named("s"), content_id: content.to_owned(), settings: "{}".to_owned(), modules: vec![], created_at: 1, secrets: vec![set("KEY", value)] };
        let secrets = || wait(store.secrets(&named("s"))).unwrap().into_iter().map(|secret| secret.value).collect::<Vec<_>>();
        wait(store.put_deployment(upload("one", 1))).unwrap();
        let two = wait(store.put_version(upload("two", 2))).unwrap().expect("a version");
        assert_eq!(secrets(), [[1]]);
        let release = |deployment, value| NewRelease { script: named("s"), deployment, at: 5, note: "{}".to_owned(), secrets: vec![set("KEY", value)] };
        assert_eq!(wait(store.release(release(DeploymentId(9), 3))), Ok(false));
        assert_eq!(secrets(), [[1]]);
        assert_eq!(wait(store.release(release(two.id, 4))), Ok(true));
        assert_eq!(secrets(), [[4]]);
    }

    fn a_script_goes_with_its_deployments_and_secrets_when_nothing_needs_it(store: &Store) {
        let upload = NewDeployment { script: named("s"), content_id: "c".to_owned(), settings: String::new(), modules: vec![], created_at: 1, secrets: vec![set("KEY", 1)] };
        let flow = NewWorkflow { name: named("w"), script: named("s"), class_name: "W".to_owned(), settings: "{}".to_owned(), at: 1 };
        wait(store.put_deployment(upload)).unwrap();
        wait(store.put_workflow(flow)).unwrap();
        assert_eq!(wait(store.secrets(&named("s"))), Ok(vec![Secret { name: "KEY".to_owned(), value: vec![1] }]));
        assert_eq!(wait(store.scripts()).unwrap()[0].name, named("s"));
        assert!(matches!(wait(store.delete_script(&named("s"))), Err(ChangeError::ScriptNeeded { .. })));
        wait(store.delete_workflow(&named("w"))).unwrap();
        assert_eq!(wait(store.delete_script(&named("s"))), Ok(true));
        assert_eq!(wait(store.scripts()), Ok(vec![]));
        assert_eq!(wait(store.secrets(&named("s"))), Ok(vec![]));
        assert_eq!(wait(store.deployments(&named("s"))), Ok(vec![]));
        assert_eq!(wait(store.delete_script(&named("s"))), Ok(false));
    }

    fn a_workflow_keeps_its_number_and_goes_only_when_empty(store: &Store) {
        let flow = |class: &str, at| NewWorkflow { name: named("w"), script: named("s"), class_name: class.to_owned(), settings: "{}".to_owned(), at };
        let made = wait(store.put_workflow(flow("A", 1))).unwrap();
        let changed = wait(store.put_workflow(flow("B", 2))).unwrap();
        assert_eq!((changed.id, changed.created_at, changed.modified_at), (made.id, 1, 2));
        assert_eq!(wait(store.workflow(&named("w"))), Ok(Some(changed.clone())));
        assert_eq!(wait(store.workflows()), Ok(vec![changed]));
        commit(store, creations(vec![creation(1, "a", 1)]));
        let refusal = ChangeError::WorkflowNotEmpty { name: "w".to_owned(), instances: 1 };
        assert_eq!(wait(store.delete_workflow(&named("w"))), Err(refusal));
        commit(store, deletions(&[1]));
        assert_eq!(wait(store.delete_workflow(&named("w"))), Ok(true));
        assert_eq!(wait(store.delete_workflow(&named("w"))), Ok(false));
        assert_eq!(wait(store.put_workflow(flow("A", 3))).unwrap().id, WorkflowId(2));
    }

    fn an_ended_instance_expires_and_any_other_does_not(store: &Store) {
        commit(store, creations(vec![creation(1, "a", 1), creation(2, "b", 1)]));
        let ended_at = Some(50);
        let ended = Some(Summary { ended_at, ..summary(Status::Complete, Some(60)) });
        commit(store, writes(vec![write(1, 1, vec![Entry::Completed { output: Payload::UNDEFINED }], ended)]));
        let due = wait(store.due((1, InstanceKey(2)), 60, 9)).unwrap();
        assert_eq!(due.iter().map(|due| (due.key, due.ended_at)).collect::<Vec<_>>(), [(InstanceKey(1), ended_at)]);
        let expirations = [1, 2, 9].map(InstanceKey).to_vec();
        commit(store, Batch { expirations: expirations.clone(), ..Batch::default() });
        assert_eq!(wait(store.instance(InstanceKey(1))), Ok(None));
        assert_eq!(history(store, 1), []);
        assert!(wait(store.instance(InstanceKey(2))).unwrap().is_some());
        assert_eq!(wait(store.counters(WORKFLOW)), Ok([1, 0, 0, 0, 0, 0, 0, 0, 0]));
        commit(store, Batch { expirations, ..Batch::default() });
        assert_eq!(commit(store, creations(vec![creation(3, "a", 2)])), []);
    }

    fn the_retention_of_an_instance_is_kept_with_its_creation(store: &Store) {
        let mut made = creation(1, "a", 1);
        let Entry::Created { retention, .. } = &mut made.created.entry else { unreachable!("a creation") };
        *retention = Retention { success_ms: Some(5), error_ms: None };
        commit(store, creations(vec![made.clone()]));
        assert_eq!(history(store, 1), [made.created]);
    }

    fn schedules_know_up_to_when_they_were_looked_at(store: &Store) {
        let flow = NewWorkflow { name: named("w"), script: named("s"), class_name: "W".to_owned(), settings: "{}".to_owned(), at: 1 };
        let workflow = wait(store.put_workflow(flow)).unwrap().id;
        let put = |crons: &[&str], at| {
            let crons = crons.iter().map(|cron| (*cron).to_owned()).collect();
            let rows = wait(store.put_schedules(workflow, crons, at)).unwrap();
            assert_eq!(wait(store.schedules()), Ok(rows.clone()));
            rows.into_iter().map(|row| (row.cron, row.considered_at)).collect::<Vec<_>>()
        };
        let row = |cron: &str, at| (cron.to_owned(), at);
        assert_eq!(put(&["a", "b"], 10), [row("a", 10), row("b", 10)]);
        let firing = |cron: &str, at| Firing { workflow, cron: cron.into(), at };
        commit(store, Batch { firings: vec![firing("a", 60), firing("b", 5), firing("gone", 60)], ..Batch::default() });
        assert_eq!(put(&["a", "b", "c"], 70), [row("a", 60), row("b", 10), row("c", 70)]);
        assert_eq!(put(&["c"], 80), [row("c", 70)]);
        assert_eq!(put(&["a", "c"], 90), [row("a", 90), row("c", 70)]);
        assert_eq!(wait(store.delete_workflow(&named("w"))), Ok(true));
        assert_eq!(wait(store.schedules()), Ok(vec![]));
    }

    fn the_instances_that_need_a_deployment_are_told(store: &Store) {
        let flow = NewWorkflow { name: named("w"), script: named("s"), class_name: "W".to_owned(), settings: "{}".to_owned(), at: 1 };
        assert_eq!(wait(store.put_workflow(flow)).unwrap().id, WORKFLOW);
        commit(store, creations(vec![creation(1, "a", 1), creation(2, "b", 1), creation(3, "c", 1)]));
        commit(store, writes(vec![write(2, 1, vec![Entry::Terminated { source: Source::Api }], Some(summary(Status::Terminated, None)))]));
        let pinned = |deployment, count| {
            let rows = wait(store.pinned_instances(DeploymentId(deployment), count)).unwrap();
            rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(pinned(1, 9), ["a", "c"]);
        assert_eq!(pinned(1, 1), ["a"]);
        assert_eq!(pinned(2, 9), [] as [&str; 0]);
    }

    fn secrets_and_tokens_are_set_replaced_and_deleted(store: &Store) {
        let secret = |name: &str, value| Secret { name: name.to_owned(), value: vec![value] };
        let gone = |name: &str| SecretChange { name: name.to_owned(), value: None };
        wait(store.change_secrets(&named("s"), vec![set("KEY", 1), set("OLD", 1)])).unwrap();
        wait(store.change_secrets(&named("s"), vec![gone("OLD"), set("KEY", 2), gone("NONE")])).unwrap();
        assert_eq!(wait(store.secrets(&named("s"))), Ok(vec![secret("KEY", 2)]));
        assert_eq!(wait(store.secrets(&named("other"))), Ok(vec![]));
        let token = Token {
            id: "t".to_owned(),
            hash: "h".to_owned(),
            account: Some(AccountId(3)),
            label: "l".to_owned(),
            scopes: "all".to_owned(),
            created_at: 1,
            expires_at: Some(2),
        };
        wait(store.put_token(token.clone())).unwrap();
        let renamed = Token { label: "m".to_owned(), account: None, ..token };
        wait(store.put_token(renamed.clone())).unwrap();
        assert_eq!(wait(store.tokens()), Ok(vec![renamed]));
        assert_eq!(wait(store.delete_token("t")), Ok(true));
        assert_eq!(wait(store.delete_token("t")), Ok(false));
    }

    fn logs_are_paged_bounded_and_go_with_their_instance(store: &Store) {
        commit(store, creations(vec![creation(1, "a", 1)]));
        let line = |key, at| LogLine { key: InstanceKey(key), at, call: Some(1), level: "log".to_owned(), text: format!("{at}") };
        store.append_logs((1..=LOG_LINES_MAX as i64 + 5).map(|at| line(1, at)).chain([line(9, 1)]).collect());
        // Writes are done in order, so that the lines are there when this is.
        wait(store.delete_token("none")).unwrap();
        let rows = wait(store.logs(InstanceKey(1), 0, 2)).unwrap();
        assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [6, 7]);
        assert_eq!(rows[0].line, line(1, 6));
        assert_eq!(wait(store.logs(InstanceKey(1), LOG_LINES_MAX + 4, 9)).unwrap().len(), 1);
        assert_eq!(wait(store.logs(InstanceKey(9), 0, 9)), Ok(vec![]));
        commit(store, deletions(&[1]));
        assert_eq!(wait(store.logs(InstanceKey(1), 0, 9)), Ok(vec![]));
    }
}
