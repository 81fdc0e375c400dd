//! The catalogue of D1 databases: which there are, by id and by name within an account.
//!
//! What is in a database is absent: each is a file of its own, which the store never opens. A database that was deleted
//! leaves its id behind, so that nobody who still asks for it is given an empty one.

use stepwell_engine::Millis;

use crate::{AccountId, ChangeError, ReadError, Store};

/// Which database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseKey {
    /// Whose.
    pub account: AccountId,
    /// Any text; unique in the account, deleted databases included.
    pub id: String,
}

/// Where the id of a database comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseOrigin {
    /// This server made it up: it never means another database.
    Issued = 0,
    /// A user wrote it into a configuration, and may use it again for a new database.
    Named = 1,
}

/// A database to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDatabase {
    /// Which.
    pub key: DatabaseKey,
    /// Unique among the account's databases.
    pub name: String,
    /// Where its id comes from.
    pub origin: DatabaseOrigin,
    /// Now.
    pub at: Millis,
    /// JSON text that the store does not read.
    pub settings: String,
}

/// A database that there is or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRow {
    /// Which.
    pub key: DatabaseKey,
    /// Unique among the account's databases that are not deleted.
    pub name: String,
    /// Where its id comes from.
    pub origin: DatabaseOrigin,
    /// When it was made.
    pub created_at: Millis,
    /// When it was deleted.
    pub deleted_at: Option<Millis>,
    /// JSON text.
    pub settings: String,
}

/// A page of an account's databases, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseQuery {
    /// Whose.
    pub account: AccountId,
    /// Only those with this text in their name; empty for all.
    pub name_part: String,
    /// Rows to pass over.
    pub offset: usize,
    /// Rows at most.
    pub limit: usize,
}

/// Rows of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabasePage {
    /// The page.
    pub rows: Vec<DatabaseRow>,
    /// Rows of all pages.
    pub total_count: u64,
}

/// Databases.
#[allow(clippy::missing_errors_doc, reason = "reads fail with ReadError, writes are refused as ChangeError says")]
impl Store {
    /// Adds a database; the one of that id that was deleted is forgotten. Refused with
    /// [`ChangeError::DatabaseExists`] where the id or the name is taken.
    pub async fn put_database(&self, new: NewDatabase) -> Result<DatabaseRow, ChangeError> {
        self.change_now(0, move |backend| backend.put_database(&new)).await
    }

    /// Marks a database as deleted. Whether it was there.
    pub async fn delete_database(&self, key: &DatabaseKey, at: Millis) -> Result<bool, ChangeError> {
        let key = key.clone();
        self.change_now(0, move |backend| backend.delete_database(&key, at)).await
    }

    /// The database of that id, deleted or not.
    pub async fn database(&self, key: &DatabaseKey) -> Result<Option<DatabaseRow>, ReadError> {
        let key = key.clone();
        self.read(move |reader| reader.database(&key)).await
    }

    /// The database of that name which is not deleted.
    pub async fn database_named(&self, account: AccountId, name: &str) -> Result<Option<DatabaseRow>, ReadError> {
        let name = name.to_owned();
        self.read(move |reader| reader.database_named(account, &name)).await
    }

    /// A page of databases that are not deleted.
    pub async fn databases(&self, query: DatabaseQuery) -> Result<DatabasePage, ReadError> {
        self.read(move |reader| reader.databases(&query)).await
    }

    /// All databases that were deleted, by id: whatever is left of them can go.
    pub async fn deleted_databases(&self) -> Result<Vec<DatabaseKey>, ReadError> {
        self.read(|reader| reader.deleted_databases()).await
    }
}
