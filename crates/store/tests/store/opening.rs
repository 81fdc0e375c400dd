//! What opening finds, and how it says what is wrong.

use std::path::Path;

use rusqlite::Connection;
use stepwell_engine::InstanceKey;
use stepwell_store::sqlite::FORMAT;
use stepwell_store::{CommitError, Durability, OpenError, Options, ScopedName, SecretChange, Store};

use crate::support::*;

fn open(dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, Options::default())
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path()).expect("a store");
    commit(&store, creations(vec![creation(1, "a", 1), creation(8, "b", 1)]));
    commit(&store, writes(vec![write(1, 1, vec![begun(0), did(1, "1")], None)]));
    commit(&store, deletions(&[8]));
    let before = history(&store, 1);
    drop(store);
    let store = open(dir.path()).expect("a store");
    assert_eq!(history(&store, 1), before);
    assert_eq!(before.len(), 3);
    assert_eq!(wait(store.max_key()), Ok(InstanceKey(8)));
    assert_eq!(wait(store.counters(WORKFLOW)).unwrap().iter().sum::<u64>(), 1);
}

#[test]
fn a_store_that_may_lose_commits_on_power_loss_keeps_them_otherwise() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { durability: Durability::MayLoseLastCommitsOnPowerLoss };
    commit(&Store::open(dir.path(), options).expect("a store"), creations(vec![creation(1, "a", 1)]));
    assert_eq!(history(&Store::open(dir.path(), options).expect("a store"), 1).len(), 1);
}

#[test]
fn a_closed_store_is_one_file_without_a_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path()).expect("a store");
    commit(&store, creations(vec![creation(1, "a", 1)]));
    drop(store);
    assert!(!dir.path().join("stepwell.db-wal").exists());
}

#[test]
fn nothing_is_confirmed_once_the_database_is_not_at_its_path() {
    let parent = tempfile::tempdir().expect("a directory");
    let (dir, away) = (parent.path().join("data"), parent.path().join("away"));
    let gone = Err(CommitError::Gone(dir.join("stepwell.db")));
    let store = open(&dir).expect("a store");
    commit(&store, creations(vec![creation(1, "a", 1)]));
    assert_eq!(store.check_in_place(), Ok(()));
    std::fs::rename(&dir, &away).expect("moved");
    assert_eq!(store.check_in_place(), gone);
    assert_eq!(wait(store.commit(creations(vec![creation(2, "b", 1)]))).map(|_| ()), gone);
    drop(open(&dir).expect("another store"));
    assert_eq!(store.check_in_place(), gone, "another database stands there");
    std::fs::remove_dir_all(&dir).expect("removed");
    std::fs::rename(&away, &dir).expect("moved back");
    assert_eq!(wait(store.commit(creations(vec![creation(3, "c", 1)]))).map(|_| ()), gone, "it stays so");
    drop(store);
    assert_eq!(history(&open(&dir).expect("a store"), 1).len(), 1);
}

#[test]
fn what_deletions_left_is_removed_when_the_writer_is_idle() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path()).expect("a store");
    commit(&store, creations(vec![creation(1, "a", 1), creation(2, "b", 1)]));
    commit(&store, writes(vec![write(1, 1, (0..2_500).map(|call| did(call, "1")).collect(), None)]));
    commit(&store, deletions(&[1]));
    let db = Connection::open(dir.path().join("stepwell.db")).expect("a database");
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, u64>(0)).expect("a count");
    while count("SELECT count(*) FROM garbage") > 0 {
        std::thread::yield_now();
    }
    assert_eq!(count("SELECT count(*) FROM entries"), 1);
}

#[test]
fn a_second_owner_in_the_same_process_is_refused_by_number() {
    let dir = tempfile::tempdir().expect("a directory");
    let _store = open(dir.path()).expect("a store");
    let error = open(dir.path()).expect_err("a refusal");
    assert!(matches!(&error, OpenError::InUse { pid: Some(pid), .. } if *pid == std::process::id()), "{error:?}");
}

#[test]
fn an_owner_that_was_superseded_against_all_locks_is_fenced() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path()).expect("a store");
    let other = Connection::open(dir.path().join("stepwell.db")).expect("a database");
    other.execute("UPDATE meta SET value = value + 1 WHERE name = 'epoch'", []).expect("a take-over");
    let answer = wait(store.commit(creations(vec![creation(1, "a", 1)])));
    assert!(matches!(answer, Err(CommitError::Fenced(_))), "{answer:?}");
}

#[test]
fn a_database_that_another_program_holds_is_not_taken_for_damaged() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()).expect("a store"));
    let other = Connection::open(dir.path().join("stepwell.db")).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let error = open(dir.path()).expect_err("a refusal");
    assert!(matches!(error, OpenError::Held { .. }), "{error:?}");
    other.execute_batch("ROLLBACK").expect("no lock");
    open(dir.path()).expect("a store");
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()).expect("a store"));
    let db = Connection::open(dir.path().join("stepwell.db")).expect("a database");
    db.pragma_update(None, "user_version", FORMAT + 1).expect("a newer format");
    let error = open(dir.path()).expect_err("a refusal");
    assert!(matches!(error, OpenError::NewerFormat { found, known: FORMAT, .. } if found == FORMAT + 1), "{error:?}");
    assert!(error.to_string().contains("upgrade"), "{error}");
}

#[test]
fn files_of_others_are_refused_and_left_as_they_are() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("stepwell.db");
    std::fs::write(&path, "not a database at all, but long enough to be looked at").expect("a file");
    assert!(matches!(open(dir.path()), Err(OpenError::Damaged { .. })));
    std::fs::remove_file(&path).expect("a file");
    let db = Connection::open(&path).expect("a database");
    db.execute_batch("CREATE TABLE theirs (x)").expect("a table");
    assert!(matches!(open(dir.path()), Err(OpenError::Damaged { .. })));
    assert_eq!(db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)), Ok(1));
}

#[test]
fn a_file_in_the_place_of_a_directory_or_above_it_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    std::fs::write(&path, "").expect("a file");
    for wanted in [path.clone(), path.join("data")] {
        let error = open(&wanted).expect_err("a refusal");
        assert!(
            matches!(&error, OpenError::NotADirectory { dir, file } if *dir == wanted && *file == path),
            "{error:?}"
        );
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_not_writable() {
    let error = open(Path::new("/proc/data")).expect_err("a refusal");
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
}

fn look(dir: &Path) -> Result<Option<(u32, Vec<String>)>, OpenError> {
    let looked = stepwell_store::sqlite::look(dir)?;
    Ok(looked.map(|look| {
        (look.format, look.secrets.into_iter().map(|(of, secret)| format!("{of} {}", secret.name)).collect())
    }))
}

fn files(dir: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).expect("a directory").map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn a_look_sees_what_opening_would_find_and_leaves_it_as_it_is() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("100% of #1?");
    std::fs::create_dir(&dir).expect("a directory");
    assert_eq!(look(&dir).expect("nothing is wrong"), None);
    assert!(files(&dir).is_empty());
    let store = open(&dir).expect("a store");
    let secret = SecretChange { name: "KEY".to_owned(), value: Some(vec![1]) };
    wait(store.change_secrets(&ScopedName::in_default("shop"), vec![secret])).expect("kept");
    let seen = Some((FORMAT, vec!["shop KEY".to_owned()]));
    assert_eq!(look(&dir).expect("beside the server"), seen);
    drop(store);
    let before = (files(&dir), std::fs::read(dir.join("stepwell.db")).expect("a file"));
    assert_eq!(look(&dir).expect("nothing is wrong"), seen);
    assert_eq!((files(&dir), std::fs::read(dir.join("stepwell.db")).expect("a file")), before);
}

#[test]
fn a_look_refuses_what_opening_refuses_and_what_is_broken_within() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()).expect("a store"));
    let path = dir.path().join("stepwell.db");
    let whole = std::fs::read(&path).expect("a file");
    let mut broken = whole.clone();
    broken[4096..8192].fill(0xa5);
    std::fs::write(&path, broken).expect("a file");
    assert!(matches!(look(dir.path()), Err(OpenError::Damaged { .. })));
    std::fs::write(&path, [b"not a database at all, ".as_slice(), &whole[23..]].concat()).expect("a file");
    assert!(matches!(look(dir.path()), Err(OpenError::Damaged { .. })));
    std::fs::write(&path, whole).expect("a file");
    let db = Connection::open(&path).expect("a database");
    db.pragma_update(None, "user_version", FORMAT + 1).expect("a newer format");
    drop(db);
    assert!(matches!(look(dir.path()), Err(OpenError::NewerFormat { .. })));
}
