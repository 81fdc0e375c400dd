//! Streams: written inside a transaction, read beside it, swept in bites.

use rusqlite::{Connection, OptionalExtension, Result, params};
use stepwell_engine::{Entry, InstanceKey, Outcome, StreamId, StreamRef};

use super::read::InstanceKeySql;
use super::{Sqlite, fault};
use crate::ChangeError;
use crate::backend::{Fault, StreamWriter};
use crate::limits::GARBAGE_CHUNKS_MAX;
use crate::record;
use crate::stream::{StreamChunk, StreamState};

impl StreamWriter for Sqlite {
    fn begin_stream(&mut self, key: InstanceKey) -> Result<StreamId, Fault> {
        let begun = begin(&self.connection, key).map_err(fault::write)?;
        begun.ok_or(Fault::Refused(ChangeError::InstanceGone(key)))
    }

    fn append_stream(&mut self, chunk: &StreamChunk) -> Result<(), Fault> {
        let db = &self.connection;
        let over = || Fault::Refused(ChangeError::StreamOver(chunk.stream));
        let key = owner_of_open(db, chunk).map_err(fault::write)?.ok_or_else(over)?;
        let bytes = chunk.bytes.len() as u64 + bytes_of(db, key).map_err(fault::write)?;
        if bytes > chunk.bytes_max {
            return Err(Fault::Refused(ChangeError::StreamsTooLarge { bytes_max: chunk.bytes_max }));
        }
        append(db, chunk).map_err(fault::write)
    }
}

fn begin(db: &Connection, key: InstanceKey) -> Result<Option<StreamId>> {
    db.prepare_cached(
        "INSERT INTO streams (instance, state, chunks, bytes) SELECT key, ?2, 0, 0 FROM instances WHERE key = ?1
         RETURNING id",
    )?
    .query_row(params![key.sql(), StreamState::Open as u8], |row| Ok(StreamId(row.get(0)?)))
    .optional()
}

/// Whose stream it is, where it is open and this is its next piece.
fn owner_of_open(db: &Connection, chunk: &StreamChunk) -> Result<Option<i64>> {
    db.prepare_cached("SELECT instance FROM streams WHERE id = ? AND state = ? AND chunks = ?")?
        .query_row(params![chunk.stream.0, StreamState::Open as u8, chunk.number], |row| row.get(0))
        .optional()
}

fn bytes_of(db: &Connection, instance: i64) -> Result<u64> {
    db.prepare_cached("SELECT ifnull(sum(bytes), 0) FROM streams WHERE instance = ? AND state <> ?")?
        .query_row(params![instance, StreamState::Dropped as u8], |row| row.get(0))
}

fn append(db: &Connection, chunk: &StreamChunk) -> Result<()> {
    db.prepare_cached("INSERT INTO stream_chunks (stream, number, chunk) VALUES (?, ?, ?)")?.execute(params![
        chunk.stream.0,
        chunk.number,
        chunk.bytes
    ])?;
    db.prepare_cached("UPDATE streams SET chunks = chunks + 1, bytes = bytes + ? WHERE id = ?")?
        .execute(params![chunk.bytes.len(), chunk.stream.0])
        .map(|_| ())
}

/// The entry may name a stream, which is kept from then on.
pub(super) fn keep_named(db: &Connection, key: InstanceKey, entry: &Entry) -> Result<()> {
    let Entry::Settled { outcome: Outcome::Streamed { stream, .. }, .. } = entry else { return Ok(()) };
    db.prepare_cached("UPDATE streams SET state = ?3 WHERE id = ?1 AND instance = ?2")?
        .execute(params![stream.id.0, key.sql(), StreamState::Kept as u8])
        .map(|_| ())
}

/// Streams that the history of the new incarnation names are its own from then on. One that was named only now, by an entry
/// that is written with the restart, was open until then.
pub(super) fn carry(db: &Connection, old: InstanceKey, new: InstanceKey) -> Result<()> {
    db.prepare_cached(
        "UPDATE streams SET instance = ?2, state = ?3 WHERE instance = ?1 AND state <> ?5
         AND id IN (SELECT meta ->> 'stream' FROM entries WHERE instance = ?2 AND kind = ?4)",
    )?
    .execute(params![old.sql(), new.sql(), StreamState::Kept as u8, record::STREAMED, StreamState::Dropped as u8])
    .map(|_| ())
}

pub(super) fn drop_open(db: &Connection, stream: StreamId) -> Result<()> {
    db.prepare_cached("UPDATE streams SET state = ?3 WHERE id = ?1 AND state = ?2")?
        .execute(params![stream.0, StreamState::Open as u8, StreamState::Dropped as u8])
        .map(|_| ())
}

pub(super) fn drop_of_instance(db: &Connection, key: InstanceKey) -> Result<()> {
    db.prepare_cached("UPDATE streams SET state = ?2 WHERE instance = ?1")?
        .execute(params![key.sql(), StreamState::Dropped as u8])
        .map(|_| ())
}

/// What was being written when the last owner ended.
pub(super) fn drop_all_open(db: &Connection) -> Result<()> {
    db.execute(
        "UPDATE streams SET state = ?2 WHERE state = ?1",
        params![StreamState::Open as u8, StreamState::Dropped as u8],
    )
    .map(|_| ())
}

pub(super) fn has_garbage(db: &Connection) -> Result<bool> {
    db.prepare_cached("SELECT 1 FROM streams INDEXED BY streams_not_kept WHERE state <> 1 AND state = 2 LIMIT 1")?
        .exists([])
}

/// One bounded bite at the first dropped stream.
pub(super) fn collect_garbage(db: &Connection) -> Result<()> {
    let first: Option<i64> = db
        .prepare_cached("SELECT min(id) FROM streams INDEXED BY streams_not_kept WHERE state <> 1 AND state = 2")?
        .query_row([], |row| row.get(0))?;
    let Some(stream) = first else { return Ok(()) };
    let chunks = db
        .prepare_cached(
            "DELETE FROM stream_chunks WHERE stream = ?1 AND number <=
                 (SELECT max(number) FROM (SELECT number FROM stream_chunks WHERE stream = ?1 ORDER BY number LIMIT ?2))",
        )?
        .execute(params![stream, GARBAGE_CHUNKS_MAX])?;
    if chunks == 0 {
        db.prepare_cached("DELETE FROM streams WHERE id = ?")?.execute([stream])?;
    }
    Ok(())
}

pub(super) fn is_whole(db: &Connection, key: InstanceKey, stream: StreamRef) -> Result<bool> {
    let is_kept = db
        .prepare_cached("SELECT 1 FROM streams WHERE id = ? AND instance = ? AND state = ?")?
        .exists(params![stream.id.0, key.sql(), StreamState::Kept as u8])?;
    let found = db
        .prepare_cached(
            "SELECT count(*), ifnull(max(number) + 1, 0), ifnull(sum(length(chunk)), 0) FROM stream_chunks
             WHERE stream = ?",
        )?
        .query_row([stream.id.0], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?, row.get::<_, u64>(2)?)))?;
    Ok(is_kept && found == (stream.chunks, stream.chunks, stream.bytes))
}

pub(super) fn chunk(db: &Connection, key: InstanceKey, stream: StreamId, number: u32) -> Result<Option<Vec<u8>>> {
    db.prepare_cached(
        "SELECT chunk FROM stream_chunks WHERE stream = ?1 AND number = ?3
             AND EXISTS (SELECT 1 FROM streams WHERE id = ?1 AND instance = ?2 AND state = ?4)",
    )?
    .query_row(params![stream.0, key.sql(), number, StreamState::Kept as u8], |row| row.get(0))
    .optional()
}
