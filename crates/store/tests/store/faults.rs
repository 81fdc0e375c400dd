//! What the writer makes of the faults of a backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use stepwell_engine::{Batch, DeploymentId, InstanceKey, Millis, StreamId, WorkflowId};
use stepwell_store::backend::{Backend, CatalogWriter, DatabaseWriter, Fault, Reader, StreamWriter};
use stepwell_store::memory::Memory;
use stepwell_store::{
    AccountId, AccountRow, ChangeError, CommitError, DatabaseKey, DatabaseRow, DeploymentRow, LogLine, NewAccount,
    NewDatabase, NewDeployment, NewRelease, NewWorkflow, OpenError, ScheduleRow, ScopedName, SecretChange, Stall,
    Store, StreamChunk, Token, WorkflowRow,
};

use crate::support::*;

/// Memory whose transactions fail, once each time one is due, in `begin`: before anything was changed.
struct Faulty {
    memory: Memory,
    faults: Vec<Fault>,
    begun: Arc<AtomicU32>,
}

impl Backend for Faulty {
    fn reader(&self) -> Result<Box<dyn Reader>, OpenError> {
        self.memory.reader()
    }

    fn begin(&mut self) -> Result<(), Fault> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.faults.pop().map_or(Ok(()), Err)
    }

    fn apply(&mut self, batch: &Batch) -> Result<Vec<InstanceKey>, Fault> {
        self.memory.apply(batch)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        self.memory.commit()
    }

    fn rollback(&mut self) {}

    fn collect_garbage(&mut self) -> Result<bool, Fault> {
        Ok(false)
    }

    fn tidy(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn limit_pages(&mut self, pages: u32) -> Result<(), Fault> {
        self.memory.limit_pages(pages)
    }
}

impl StreamWriter for Faulty {
    fn begin_stream(&mut self, key: InstanceKey) -> Result<StreamId, Fault> {
        self.memory.begin_stream(key)
    }

    fn append_stream(&mut self, chunk: &StreamChunk) -> Result<(), Fault> {
        self.memory.append_stream(chunk)
    }
}

impl DatabaseWriter for Faulty {
    fn put_database(&mut self, new: &NewDatabase) -> Result<DatabaseRow, Fault> {
        self.memory.put_database(new)
    }

    fn delete_database(&mut self, key: &DatabaseKey, at: Millis) -> Result<bool, Fault> {
        self.memory.delete_database(key, at)
    }
}

macro_rules! delegate {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl CatalogWriter for Faulty {
            $(fn $name(&mut self, $($arg: $type),*) -> Result<$answer, Fault> { self.memory.$name($($arg),*) })*
        }
    };
}

delegate! {
    put_deployment(new: &NewDeployment) -> DeploymentRow;
    put_version(new: &NewDeployment) -> Option<DeploymentRow>;
    release(new: &NewRelease) -> bool;
    put_script_settings(script: &ScopedName, settings: &str) -> bool;
    delete_deployment(id: DeploymentId) -> bool;
    delete_script(name: &ScopedName) -> bool;
    put_workflow(new: &NewWorkflow) -> WorkflowRow;
    delete_workflow(name: &ScopedName) -> bool;
    change_secrets(script: &ScopedName, changes: &[SecretChange]) -> ();
    put_token(token: &Token) -> ();
    delete_token(id: &str) -> bool;
    put_account(new: &NewAccount) -> AccountRow;
    delete_account(id: AccountId) -> bool;
    put_schedules(workflow: WorkflowId, crons: &[String], at: Millis) -> Vec<ScheduleRow>;
    append_logs(lines: &[LogLine]) -> ();
}

fn store(faults: Vec<Fault>) -> (Store, Arc<AtomicU32>) {
    let begun = Arc::new(AtomicU32::new(0));
    let backend = Faulty { memory: Memory::new(), faults, begun: Arc::clone(&begun) };
    (Store::start(Box::new(backend)).expect("a store"), begun)
}

#[test]
fn a_failed_sync_is_final_for_all_later_commits() {
    let fault = Fault::SyncFailed("EIO".to_owned());
    let (store, begun) = store(vec![fault]);
    let failed = Err(CommitError::SyncFailed("EIO".to_owned()));
    assert_eq!(wait(store.commit(creations(vec![creation(1, "a", 1)]))), failed);
    assert_eq!(wait(store.commit(creations(vec![creation(2, "b", 1)]))), failed);
    assert_eq!(begun.load(Ordering::Relaxed), 1, "nothing is tried after a failed sync");
    assert_eq!(wait(store.instance(InstanceKey(1))), Ok(None));
}

#[test]
fn a_lack_of_room_is_tried_again_until_it_works() {
    let (store, begun) = store(vec![Fault::Stalled(Stall::NoRoom, "full".to_owned()); 2]);
    assert_eq!(commit(&store, creations(vec![creation(1, "a", 1)])), []);
    assert_eq!(begun.load(Ordering::Relaxed), 3);
    assert!(store.stall().is_none());
}

#[test]
fn a_change_that_somebody_waits_for_is_refused_where_there_is_no_room_and_a_batch_is_not() {
    let (store, begun) = store(vec![Fault::Stalled(Stall::NoRoom, "full".to_owned()); 3]);
    let refused = Err(ChangeError::Stalled(Stall::NoRoom));
    assert_eq!(wait(store.change_secrets(&named("app"), vec![set("KEY", 1)])), refused);
    assert!(store.stall().is_none(), "what would have waited has not been tried");
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    assert_eq!(commit(&store, creations(vec![creation(1, "a", 1)])), []);
    assert_eq!(begun.load(Ordering::Relaxed), 4);
    assert_eq!(wait(store.change_secrets(&named("app"), vec![set("KEY", 1)])), Ok(()));
}

#[test]
fn another_failure_is_of_its_group_alone() {
    let (store, _) = store(vec![Fault::Failed("odd".to_owned())]);
    let failed = Err(CommitError::Failed("odd".to_owned()));
    assert_eq!(wait(store.commit(creations(vec![creation(1, "a", 1)]))), failed);
    assert_eq!(commit(&store, creations(vec![creation(1, "a", 1)])), []);
}
