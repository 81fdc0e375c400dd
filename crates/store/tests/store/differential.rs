//! Memory and SQLite are asked the same and answer the same.

use proptest::prelude::*;
use stepwell_engine::{
    Batch, Carried, DeploymentId, Entry, Firing, InstanceKey, Recorded, Restart, Status, Summary, WorkflowId,
};
use stepwell_store::backend::HistoryPage;
use stepwell_store::{ListQuery, NewWorkflow, Options, Order, Store};

use crate::support::*;

/// Keys and ids are few, so that operations meet.
const KEYS: std::ops::Range<u64> = 1..12;

prop_compose! {
    fn summaries()(status in 0..8_usize, wake_at in prop::option::of(0..40_i64), deployment in 1..4_u32) -> Summary {
        Summary { deployment: DeploymentId(deployment), ..summary(Status::ALL[status], wake_at) }
    }
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = prop_oneof![
        (0..5_u32, "[a-z\"ü]{0,9}").prop_map(|(call, text)| did(call, &format!("{text:?}"))),
        (0..5_u32, 0..40_i64).prop_map(|(call, until)| sleep(call, until)),
        (0..5_u32).prop_map(begun),
        Just(Entry::Paused),
    ];
    prop::collection::vec(entry, 0..4)
}

prop_compose! {
    fn creation_of()(key in KEYS, id in "[a-e]", at in 0..40_i64, summary in summaries()) -> stepwell_engine::Creation {
        stepwell_engine::Creation { summary, ..creation(key, &id, at) }
    }
}

prop_compose! {
    fn write_of()(key in KEYS, seq in 1..5_u64, entries in entries(), summary in prop::option::of(summaries()))
        -> stepwell_engine::InstanceWrite { write(key, seq, entries, summary) }
}

prop_compose! {
    fn restart_of()(old in KEYS, new in KEYS, summary in summaries(), more in 0..3_u64, written in any::<bool>()) -> Restart {
        let mut history = vec![Carried::CREATION];
        if more > 0 {
            history.push(Carried::Copied { from_seq: more, count: more });
        }
        if written {
            history.push(Carried::Written(Recorded { seq: 1 + more, at: 5, entry: begun(0) }));
        }
        Restart { old: InstanceKey(old), new: InstanceKey(new), deployment: summary.deployment, summary, history }
    }
}

prop_compose! {
    fn firing_of()(workflow in 1..3_u32, cron in "[a-c]", at in 0..40_i64) -> Firing {
        Firing { workflow: WorkflowId(workflow), cron: cron.into(), at }
    }
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let creations = prop::collection::vec(creation_of(), 0..3);
    let restarts = prop::collection::vec(restart_of(), 0..2);
    let writes = prop::collection::vec(write_of(), 0..3);
    let deletions = prop::collection::vec(KEYS.prop_map(InstanceKey), 0..2);
    let expirations = prop::collection::vec(KEYS.prop_map(InstanceKey), 0..2);
    let firings = prop::collection::vec(firing_of(), 0..2);
    let batch = (creations, restarts, writes, deletions, expirations, firings).prop_map(
        |(creations, restarts, writes, deletions, expirations, firings)| Batch {
            creations,
            restarts,
            writes,
            deletions,
            expirations,
            firings,
            dropped_streams: Vec::new(),
        },
    );
    prop::collection::vec(batch, 1..24)
}

fn look(store: &Store) -> String {
    let mut seen = Vec::new();
    for key in KEYS.map(InstanceKey) {
        seen.push(format!("{:?}", wait(store.load(key))));
        seen.push(format!("{:?}", wait(store.history(key, WHOLE))));
        let page = HistoryPage { from_seq: 1, until_seq: 4, rows_max: 2, bytes_max: 12 };
        seen.push(format!("{:?}", wait(store.history(key, page))));
    }
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for status in [None, Some(Status::Queued), Some(Status::Waiting)] {
            let after = Some((20, InstanceKey(5)));
            let query = ListQuery { order, status, after, ..ListQuery::newest(WORKFLOW, 4) };
            seen.push(format!("{:?}", wait(store.list_instances(query))));
        }
    }
    seen.push(format!("{:?}", wait(store.due((10, InstanceKey(3)), 35, 5))));
    seen.push(format!("{:?}", wait(store.schedules())));
    seen.push(format!("{:?}", wait(store.pinned_instances(DEPLOYMENT, 20)).map(|rows| rows.len())));
    seen.push(format!("{:?} {:?}", wait(store.counters(WORKFLOW)), wait(store.max_key())));
    seen.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, rng_seed: prop::test_runner::RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_backends_tell_the_same_story(batches in batches()) {
        let dir = tempfile::tempdir().expect("a directory");
        let stores = [Store::in_memory(), Store::open(dir.path(), Options::default()).expect("a store")];
        for store in &stores {
            let settings = "{}".to_owned();
            let (name, script, class_name) = (named("w"), named("s"), "W".to_owned());
            wait(store.put_workflow(NewWorkflow { name, script, class_name, settings, at: 1 })).expect("a workflow");
            wait(store.put_schedules(WORKFLOW, vec!["a".to_owned(), "b".to_owned()], 10)).expect("schedules");
        }
        let mut used = 0;
        for batch in batches {
            // Engines never use a key twice; the same batches with new keys for what is new.
            let batch = fresh(batch, &mut used);
            let [memory, sqlite] = stores.each_ref().map(|store| {
                wait(store.commit(batch.clone())).map_err(|error| std::mem::discriminant(&error))
            });
            prop_assert_eq!(memory, sqlite, "{:?}", batch);
        }
        prop_assert_eq!(look(&stores[0]), look(&stores[1]));
    }
}

fn fresh(mut batch: Batch, used: &mut u64) -> Batch {
    for key in batch.creations.iter_mut().map(|it| &mut it.key).chain(batch.restarts.iter_mut().map(|it| &mut it.new)) {
        *used += 1;
        *key = InstanceKey(*used);
    }
    batch
}
