//! Which databases are open. Calls to one database run one after the other, each on a thread where
//! blocking is allowed; databases do not wait for each other.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use sha2::{Digest, Sha256};
use stepwell_store::{AccountId, DatabaseKey};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::catalogue::Catalogue;
use super::database::Database;
use super::error::D1Error;
use super::limits::{IDLE_MAX, OPEN_DATABASES_MAX};
use crate::locks::lock;

/// Ids up to this long are file names as they are.
const PLAIN_NAME_BYTES_MAX: usize = 64;

/// The databases of one directory.
pub struct Pool {
    directory: PathBuf,
    catalogue: Catalogue,
    slots: Mutex<HashMap<DatabaseKey, Slot>>,
}

/// `None` until the first call, and after one that left the database unfit for the next.
type SharedDatabase = Arc<AsyncMutex<Option<Database>>>;

struct Slot {
    database: SharedDatabase,
    used: Instant,
}

impl Slot {
    /// Nobody runs or waits: only the map holds the database.
    fn is_unused(&self) -> bool {
        Arc::strong_count(&self.database) == 1
    }
}

impl Pool {
    /// A pool with nothing open.
    pub fn new(directory: PathBuf, catalogue: Catalogue) -> Self {
        Self { directory, catalogue, slots: Mutex::default() }
    }

    /// Runs `work` on the database when its turn comes, opening the file if need be.
    pub async fn run<T: Send + 'static>(
        &self,
        key: &DatabaseKey,
        work: impl FnOnce(&mut Database) -> Result<T, D1Error> + Send + 'static,
    ) -> Result<T, D1Error> {
        let mut held = self.turn(key).await;
        if held.is_none() {
            self.catalogue.admit(key).await?;
        }
        let (path, database_id) = (self.path(key), key.id.clone());
        blocking(move || {
            let mut database = match held.take() {
                Some(database) => database,
                None => open(&path, &database_id)?,
            };
            let result = work(&mut database);
            // A database left inside a transaction, or by a panic, is closed, which rolls back.
            *held = database.is_settled().then_some(database);
            result
        })
        .await
    }

    /// Deletes a database when its turn comes: from the catalogue, then its files. Whether it was there.
    pub async fn delete(&self, key: &DatabaseKey) -> Result<bool, D1Error> {
        let mut held = self.turn(key).await;
        let was_there = self.catalogue.delete(key).await?;
        let path = self.path(key);
        blocking(move || {
            drop(held.take());
            remove_files(&path);
        })
        .await;
        Ok(was_there)
    }

    /// Removes what a server left that ended between the two steps of a deletion.
    pub async fn remove_deleted(&self) -> Result<(), D1Error> {
        let paths: Vec<_> = self.catalogue.deleted().await?.iter().map(|key| self.path(key)).collect();
        blocking(move || paths.iter().for_each(|path| remove_files(path))).await;
        Ok(())
    }

    /// Where a database has its file, once it was used.
    pub fn path(&self, key: &DatabaseKey) -> PathBuf {
        let directory = match key.account {
            AccountId::DEFAULT => self.directory.clone(),
            AccountId(account) => self.directory.join(format!("account-{account}")),
        };
        directory.join(file_name(&key.id))
    }

    /// Closes what has been unused for `IDLE_MAX`.
    pub async fn close_idle(&self) {
        let is_idle = |slot: &Slot| slot.is_unused() && slot.used.elapsed() >= IDLE_MAX;
        let idle: Vec<_> = self.slots().extract_if(|_, slot| is_idle(slot)).collect();
        blocking(move || drop(idle)).await;
    }

    /// Waits until the database is free.
    async fn turn(&self, key: &DatabaseKey) -> OwnedMutexGuard<Option<Database>> {
        let (database, evicted) = self.slot(key);
        if evicted.is_some() {
            blocking(move || drop(evicted)).await;
        }
        database.lock_owned().await
    }

    /// The slot of a database, and another that has to be closed because too many are open.
    fn slot(&self, key: &DatabaseKey) -> (SharedDatabase, Option<Slot>) {
        let mut slots = self.slots();
        let is_full = !slots.contains_key(key) && slots.len() >= OPEN_DATABASES_MAX;
        let evicted = if is_full { take_least_recent(&mut slots) } else { None };
        let slot = slots.entry(key.clone()).or_insert_with(|| Slot { database: Arc::default(), used: Instant::now() });
        slot.used = Instant::now();
        (Arc::clone(&slot.database), evicted)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<DatabaseKey, Slot>> {
        lock(&self.slots)
    }
}

/// Closing and opening sync files, and statements take their time: not on a thread that drives futures.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

fn take_least_recent(slots: &mut HashMap<DatabaseKey, Slot>) -> Option<Slot> {
    let unused = slots.iter().filter(|(_, slot)| slot.is_unused());
    let oldest = unused.min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone());
    slots.remove(&oldest?)
}

fn open(path: &Path, database_id: &str) -> Result<Database, D1Error> {
    let failed = |reason: String| D1Error::Open {
        database_id: database_id.to_owned(),
        path: path.display().to_string(),
        reason,
    };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(|error| failed(error.to_string()))?;
    }
    Database::open(path).map_err(|error| failed(error.to_string()))
}

/// A file that cannot be removed is tried again at the next start.
fn remove_files(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, file = %file.display(), "a file of a deleted D1 database cannot be removed");
            }
            _ => {}
        }
    }
}

/// The file of a database: the id itself where that is safe and cannot differ only by case, else its hash.
fn file_name(database_id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let is_plain = (1..=PLAIN_NAME_BYTES_MAX).contains(&database_id.len()) && database_id.bytes().all(plain);
    if is_plain { format!("{database_id}.sqlite") } else { format!("~{:x}.sqlite", Sha256::digest(database_id)) }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn an_id_that_is_a_safe_file_name_names_the_file() {
        assert_eq!(file_name("3f1c-a_b"), "3f1c-a_b.sqlite");
    }

    #[test]
    fn an_id_that_could_leave_the_directory_or_collide_is_hashed() {
        for id in ["../secrets", "A", "a/b", "", ".", &"x".repeat(65)] {
            let name = file_name(id);
            assert!(name.starts_with('~') && name.len() == 72 && !name.contains('/'), "{id:?} gave {name:?}");
        }
    }
}
