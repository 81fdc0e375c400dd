//! The catalogue of databases.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use stepwell_engine::Millis;

use super::{Sqlite, SqliteReader, fault};
use crate::backend::{DatabaseReader, DatabaseWriter, Fault};
use crate::{
    AccountId, ChangeError, DatabaseKey, DatabaseOrigin, DatabasePage, DatabaseQuery, DatabaseRow, NewDatabase,
    ReadError,
};

impl DatabaseWriter for Sqlite {
    fn put_database(&mut self, new: &NewDatabase) -> Result<DatabaseRow, Fault> {
        if is_taken(&self.connection, new).map_err(fault::control)? {
            return Err(Fault::Refused(ChangeError::DatabaseExists { name: new.name.clone() }));
        }
        put_database(&self.connection, new).map_err(fault::control)
    }

    fn delete_database(&mut self, key: &DatabaseKey, at: Millis) -> Result<bool, Fault> {
        let sql = "UPDATE databases SET deleted_at = ?3 WHERE account = ?1 AND id = ?2 AND deleted_at IS NULL";
        self.execute(sql, &[&key.account.0, &key.id, &at])
    }
}

impl DatabaseReader for SqliteReader {
    fn database(&mut self, key: &DatabaseKey) -> Result<Option<DatabaseRow>, ReadError> {
        Ok(self.rows(&format!("{DATABASE} WHERE account = ? AND id = ?"), params![key.account.0, key.id], read)?.pop())
    }

    fn database_named(&mut self, account: AccountId, name: &str) -> Result<Option<DatabaseRow>, ReadError> {
        let sql = format!("{DATABASE} WHERE account = ? AND name = ? AND deleted_at IS NULL");
        Ok(self.rows(&sql, params![account.0, name], read)?.pop())
    }

    fn databases(&mut self, query: &DatabaseQuery) -> Result<DatabasePage, ReadError> {
        page(&self.connection, query).map_err(fault::read)
    }

    fn deleted_databases(&mut self) -> Result<Vec<DatabaseKey>, ReadError> {
        let sql = "SELECT account, id FROM databases WHERE deleted_at IS NOT NULL ORDER BY account, id";
        self.rows(sql, [], |row| Ok(DatabaseKey { account: AccountId(row.get(0)?), id: row.get(1)? }))
    }
}

const DATABASE: &str = "SELECT account, id, name, origin, created_at, deleted_at, settings FROM databases";

fn read(row: &Row<'_>) -> Result<DatabaseRow> {
    Ok(DatabaseRow {
        key: DatabaseKey { account: AccountId(row.get(0)?), id: row.get(1)? },
        name: row.get(2)?,
        origin: match row.get(3)? {
            0 => DatabaseOrigin::Issued,
            1 => DatabaseOrigin::Named,
            other => return Err(fault::unreadable(format!("a database has origin {other}"))),
        },
        created_at: row.get(4)?,
        deleted_at: row.get(5)?,
        settings: row.get(6)?,
    })
}

fn is_taken(db: &Connection, new: &NewDatabase) -> Result<bool> {
    db.prepare_cached("SELECT 1 FROM databases WHERE account = ? AND (id = ? OR name = ?) AND deleted_at IS NULL")?
        .exists(params![new.key.account.0, new.key.id, new.name])
}

fn put_database(db: &Connection, new: &NewDatabase) -> Result<DatabaseRow> {
    let NewDatabase { key, name, origin, at, settings } = new;
    db.prepare_cached(
        "INSERT OR REPLACE INTO databases (account, id, name, origin, created_at, settings) VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![key.account.0, key.id, name, *origin as u8, at, settings])?;
    db.prepare_cached(&format!("{DATABASE} WHERE account = ? AND id = ?"))?
        .query_row(params![key.account.0, key.id], read)
}

/// The name of a database of an account, where it has one.
pub(super) fn any_database_of(db: &Connection, account: AccountId) -> Result<Option<String>> {
    let sql = "SELECT name FROM databases WHERE account = ? AND deleted_at IS NULL ORDER BY id LIMIT 1";
    db.prepare_cached(sql)?.query_row([account.0], |row| row.get(0)).optional()
}

/// Rows and their number are of one moment.
fn page(db: &Connection, query: &DatabaseQuery) -> Result<DatabasePage> {
    const WHICH: &str = "WHERE account = ?1 AND deleted_at IS NULL AND (?2 = '' OR instr(name, ?2) > 0)";
    let DatabaseQuery { account, name_part, offset, limit } = query;
    let moment = db.unchecked_transaction()?;
    let rows = moment
        .prepare_cached(&format!("{DATABASE} {WHICH} ORDER BY created_at DESC, id LIMIT ?3 OFFSET ?4"))?
        .query_map(params![account.0, name_part, limited(*limit), limited(*offset)], read)?
        .collect::<Result<_>>()?;
    let total_count = moment
        .prepare_cached(&format!("SELECT count(*) FROM databases {WHICH}"))?
        .query_row(params![account.0, name_part], |row| row.get(0))?;
    Ok(DatabasePage { rows, total_count })
}

fn limited(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
