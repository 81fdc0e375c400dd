//! The store among processes: one owner at a time, and nothing acknowledged is lost when a process is killed.
//!
//! Has no harness, because it starts itself as the other process.

mod store {
    #[expect(dead_code, reason = "the other tests use the rest")]
    pub mod support;
}

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use stepwell_store::{OpenError, Options, Store};
use store::support::*;

const KILLS: u64 = 5;
const BATCHES_BEFORE_KILL: u64 = 200;

fn main() {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("commit-for-ever") {
        return commit_for_ever(Path::new(&args.next().expect("a directory")));
    }
    a_second_process_is_refused_and_told_who_has_the_directory();
    println!("a second process is refused and told who has the directory: ok");
    a_killed_process_loses_nothing_it_acknowledged();
    println!("a killed process loses nothing it acknowledged: ok");
}

/// Says the number of each batch that was acknowledged, until killed.
fn commit_for_ever(dir: &Path) {
    let store = Store::open(dir, Options::default()).expect("a store");
    let first = wait(store.max_key()).expect("a key").0 + 1;
    for key in first.. {
        let mut batch = creations(vec![creation(key, &key.to_string(), 1)]);
        batch.writes = vec![write(key, 1, vec![did(0, "1"), did(1, "2")], None)];
        commit(&store, batch);
        println!("{key}");
        std::io::stdout().flush().expect("somebody listens");
    }
}

fn committer(dir: &Path) -> (Child, impl Iterator<Item = u64>) {
    let exe = std::env::current_exe().expect("this program");
    let mut child = Command::new(exe)
        .args(["commit-for-ever".as_ref(), dir.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    (child, lines.map_while(Result::ok).filter_map(|line| line.parse().ok()))
}

fn a_second_process_is_refused_and_told_who_has_the_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut child, mut acknowledged) = committer(dir.path());
    acknowledged.next().expect("a commit");
    let error = Store::open(dir.path(), Options::default()).expect_err("a refusal");
    assert!(matches!(error, OpenError::InUse { pid: Some(pid), .. } if pid == child.id()), "{error:?}");
    child.kill().expect("a kill");
    child.wait().expect("an end");
    Store::open(dir.path(), Options::default()).expect("the directory is free after a kill");
}

fn a_killed_process_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    for _ in 0..KILLS {
        let (mut child, mut acknowledged) = committer(dir.path());
        let early = acknowledged.by_ref().take(BATCHES_BEFORE_KILL as usize).last().expect("commits");
        child.kill().expect("a kill");
        let last = acknowledged.last().unwrap_or(early);
        child.wait().expect("an end");
        let store = Store::open(dir.path(), Options::default()).expect("a store");
        for key in 1..=last {
            assert_eq!(history(&store, key).len(), 3, "instance {key} of {last}");
        }
        let kept = wait(store.max_key()).expect("a key").0;
        let counted = wait(store.counters(WORKFLOW)).expect("counters").iter().sum::<u64>();
        assert_eq!(counted, kept, "counters and instances are of one moment");
    }
}
