//! A store that forgets: for tests, simulators and as the other opinion in differential runs.
//!
//! Nothing can fail between `begin` and `commit`, so what is written is visible at once and there is nothing to take
//! back. It is synchronous; one thread may hold both the writer and a reader.

mod catalog;
mod databases;
mod instances;
mod streams;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use stepwell_engine::{Batch, InstanceKey};

use crate::OpenError;
use crate::backend::{Backend, Fault, Reader};

use catalog::Catalog;
use databases::Databases;
use instances::Instances;
use streams::Streams;

/// The writer.
#[derive(Default)]
pub struct Memory {
    tables: Arc<RwLock<Tables>>,
}

#[derive(Default)]
struct Tables {
    instances: Instances,
    catalog: Catalog,
    databases: Databases,
    streams: Streams,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        // Checks come before changes, so that a panic leaves no half of one.
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    fn reader(&self) -> Result<Box<dyn Reader>, OpenError> {
        Ok(Box::new(MemoryReader { tables: Arc::clone(&self.tables) }))
    }

    fn begin(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn apply(&mut self, batch: &Batch) -> Result<Vec<InstanceKey>, Fault> {
        let tables = &mut *self.write();
        let refused = tables.instances.check(batch)?;
        tables.instances.apply(batch, &refused);
        tables.streams.apply(batch, &refused);
        for again in batch.restarts.iter().filter(|again| !refused.contains(&again.new)) {
            tables.streams.carry(again.old, again.new, tables.instances.entries_of(again.new));
        }
        for key in &batch.expirations {
            if tables.instances.expire(*key) {
                tables.catalog.forget_logs(*key);
                tables.streams.forget(*key);
            }
        }
        batch.firings.iter().for_each(|firing| tables.catalog.fire(firing));
        for gone in batch.deletions.iter().chain(batch.restarts.iter().map(|again| &again.old)) {
            tables.catalog.forget_logs(*gone);
            tables.streams.forget(*gone);
        }
        Ok(refused)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn rollback(&mut self) {}

    fn collect_garbage(&mut self) -> Result<bool, Fault> {
        Ok(false)
    }

    fn tidy(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn limit_pages(&mut self, _pages: u32) -> Result<(), Fault> {
        Err(Fault::Failed("memory has no pages".to_owned()))
    }
}

/// A reader.
struct MemoryReader {
    tables: Arc<RwLock<Tables>>,
}

impl MemoryReader {
    fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }
}
