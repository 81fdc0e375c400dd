//! A disk without room: nothing is lost, reordered or answered until there is.

use std::time::{Duration, Instant};

use stepwell_store::{ChangeError, CommitError, Options, Stall, Store};

use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// A store that has no page left, and a batch that needs some.
fn full_store(dir: &std::path::Path) -> Store {
    let store = Store::open(dir, Options::default()).expect("a store");
    commit(&store, creations(vec![creation(1, "a", 1)]));
    // SQLite takes the present size where it is asked for less.
    wait(store.limit_pages(1)).expect("a bound");
    store
}

fn big_write(seq: u64) -> stepwell_engine::Batch {
    writes(vec![write(1, seq, vec![did(0, &format!("\"{}\"", "x".repeat(200_000)))], None)])
}

fn wait_until_stalled(store: &Store) {
    let began = Instant::now();
    while store.stall().is_none() {
        assert!(began.elapsed() < PATIENCE, "the store never said that it waits");
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_is_waited_out_and_what_waited_is_committed_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = full_store(dir.path());
    let waiting: Vec<_> = (1..=3).map(|seq| store.commit(big_write(seq))).collect();
    wait_until_stalled(&store);
    assert_eq!(history(&store, 1).len(), 1);
    let raised = rusqlite::Connection::open(dir.path().join("stepwell.db")).expect("a database");
    // Free pages of the file are room within the bound.
    raised
        .execute_batch("CREATE TABLE filler (x); INSERT INTO filler VALUES (zeroblob(2000000)); DROP TABLE filler")
        .expect("room");
    for answer in waiting {
        assert!(wait(answer).is_ok());
    }
    assert!(store.stall().is_none());
    assert_eq!(history(&store, 1).iter().map(|entry| entry.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn what_does_not_wait_is_refused_while_a_batch_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = full_store(dir.path());
    let _waiting = store.commit(big_write(1));
    wait_until_stalled(&store);
    assert_eq!(wait(store.delete_token("a")), Err(ChangeError::Stalled(Stall::NoRoom)));
}

#[test]
fn a_database_that_another_program_holds_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path(), Options::default()).expect("a store");
    let other = rusqlite::Connection::open(dir.path().join("stepwell.db")).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let waiting = store.commit(creations(vec![creation(1, "a", 1)]));
    wait_until_stalled(&store);
    assert_eq!(store.stall(), Some(Stall::Held));
    other.execute_batch("ROLLBACK").expect("no lock");
    assert!(wait(waiting).is_ok());
}

#[test]
fn a_store_that_closes_while_full_says_that_nothing_was_committed() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = full_store(dir.path());
    let waiting = store.commit(big_write(1));
    wait_until_stalled(&store);
    drop(store);
    assert_eq!(wait(waiting), Err(CommitError::Closed));
    let store = Store::open(dir.path(), Options::default()).expect("a store");
    assert_eq!(history(&store, 1).len(), 1);
}
