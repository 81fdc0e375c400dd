//! The catalogue of databases.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use stepwell_engine::Millis;

use super::{Memory, MemoryReader};
use crate::backend::{DatabaseReader, DatabaseWriter, Fault};
use crate::{AccountId, ChangeError, DatabaseKey, DatabasePage, DatabaseQuery, DatabaseRow, NewDatabase, ReadError};

#[derive(Default)]
pub(super) struct Databases {
    rows: BTreeMap<DatabaseKey, DatabaseRow>,
}

impl Databases {
    fn live(&self, account: AccountId) -> impl Iterator<Item = &DatabaseRow> {
        self.rows.values().filter(move |row| row.key.account == account && row.deleted_at.is_none())
    }

    /// The name of a database of an account, where it has one.
    pub fn any_of(&self, account: AccountId) -> Option<&str> {
        self.live(account).next().map(|row| row.name.as_str())
    }
}

impl DatabaseWriter for Memory {
    fn put_database(&mut self, new: &NewDatabase) -> Result<DatabaseRow, Fault> {
        let databases = &mut self.write().databases;
        let NewDatabase { key, name, origin, at, settings } = new.clone();
        if databases.live(key.account).any(|row| row.key == key || row.name == name) {
            return Err(Fault::Refused(ChangeError::DatabaseExists { name }));
        }
        let row = DatabaseRow { key: key.clone(), name, origin, created_at: at, deleted_at: None, settings };
        databases.rows.insert(key, row.clone());
        Ok(row)
    }

    fn delete_database(&mut self, key: &DatabaseKey, at: Millis) -> Result<bool, Fault> {
        let databases = &mut self.write().databases;
        let Some(row) = databases.rows.get_mut(key).filter(|row| row.deleted_at.is_none()) else { return Ok(false) };
        row.deleted_at = Some(at);
        Ok(true)
    }
}

impl DatabaseReader for MemoryReader {
    fn database(&mut self, key: &DatabaseKey) -> Result<Option<DatabaseRow>, ReadError> {
        Ok(self.tables().databases.rows.get(key).cloned())
    }

    fn database_named(&mut self, account: AccountId, name: &str) -> Result<Option<DatabaseRow>, ReadError> {
        Ok(self.tables().databases.live(account).find(|row| row.name == name).cloned())
    }

    fn databases(&mut self, query: &DatabaseQuery) -> Result<DatabasePage, ReadError> {
        let tables = self.tables();
        let mut rows: Vec<_> =
            tables.databases.live(query.account).filter(|row| row.name.contains(&query.name_part)).collect();
        rows.sort_by_key(|row| (Reverse(row.created_at), &row.key.id));
        let total_count = rows.len() as u64;
        let rows = rows.into_iter().skip(query.offset).take(query.limit).cloned().collect();
        Ok(DatabasePage { rows, total_count })
    }

    fn deleted_databases(&mut self) -> Result<Vec<DatabaseKey>, ReadError> {
        let tables = self.tables();
        let deleted = tables.databases.rows.values().filter(|row| row.deleted_at.is_some());
        Ok(deleted.map(|row| row.key.clone()).collect())
    }
}
