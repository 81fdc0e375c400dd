//! Writes of instances, inside a transaction.

use std::collections::HashSet;

use rusqlite::{CachedStatement, Connection, Result, named_params, params};
use stepwell_engine::{
    Batch, Carried, Creation, Firing, InstanceKey, InstanceWrite, Payload, Recorded, Restart, Summary,
};

use super::read::InstanceKeySql;
use super::tails::{Tail, Tails};
use super::{fault, streams};
use crate::backend::Fault;
use crate::counters::Deltas;
use crate::limits::{GARBAGE_BYTES_MAX, GARBAGE_ROWS_MAX};
use crate::record;

/// All of the batch or nothing of it: the savepoint leaves the other batches of the group alone.
pub(super) fn apply_apart(
    db: &Connection,
    tails: &mut Tails,
    batch: &Batch,
) -> Result<(Vec<InstanceKey>, Deltas), Fault> {
    run(db, "SAVEPOINT batch").map_err(fault::write)?;
    let applied = apply(db, tails, batch);
    if matches!(applied, Err(Fault::Fenced(_))) {
        tails.forget_all();
        run(db, "ROLLBACK TO batch").map_err(fault::write)?;
    }
    if matches!(applied, Ok(_) | Err(Fault::Fenced(_))) {
        run(db, "RELEASE batch").map_err(fault::write)?;
    }
    applied
}

/// The refused keys, and what the counters change by. What fails may be half done.
pub(super) fn apply(db: &Connection, tails: &mut Tails, batch: &Batch) -> Result<(Vec<InstanceKey>, Deltas), Fault> {
    let mut deltas = Deltas::default();
    let mut entries = EntryInsert::prepare(db).map_err(fault::write)?;
    let mut refused = HashSet::new();
    let mut answer = Vec::new();
    for creation in &batch.creations {
        if !create(db, &mut entries, tails, creation, &mut deltas).map_err(fault::write)?
            && refused.insert(creation.key)
        {
            answer.push(creation.key);
        }
    }
    for again in &batch.restarts {
        if !restart(db, &mut entries, tails, again, &mut deltas)? && refused.insert(again.new) {
            answer.push(again.new);
        }
    }
    for write in batch.writes.iter().filter(|write| !refused.contains(&write.key)) {
        extend(db, &mut entries, tails, write, &mut deltas)?;
    }
    for key in batch.deletions.iter().filter(|key| !refused.contains(key)) {
        delete(db, tails, *key, &mut deltas).map_err(fault::write)?;
    }
    for key in &batch.expirations {
        expire(db, tails, *key, &mut deltas).map_err(fault::write)?;
    }
    for firing in &batch.firings {
        fire(db, firing).map_err(fault::write)?;
    }
    for stream in &batch.dropped_streams {
        streams::drop_open(db, *stream).map_err(fault::write)?;
    }
    Ok((answer, deltas))
}

fn run(db: &Connection, sql: &str) -> Result<()> {
    db.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// Whether the id was free.
fn create(
    db: &Connection,
    entries: &mut EntryInsert,
    tails: &mut Tails,
    creation: &Creation,
    deltas: &mut Deltas,
) -> Result<bool> {
    let Creation { key, workflow, id, created, summary, .. } = creation;
    let made = db
        .prepare_cached(
            "INSERT INTO instances
                 (key, workflow, status, deployment, wake_at, created_at, modified_at, started_at, ended_at, id)
             VALUES (:key, :workflow, :status, :deployment, :wake_at, :created_at, :modified_at, :started_at, :ended_at, :id)
             ON CONFLICT (workflow, id) DO NOTHING",
        )?
        .execute(named_params! {
            ":key": key.sql(), ":workflow": workflow.0, ":status": summary.status.number(),
            ":deployment": summary.deployment.0, ":wake_at": summary.wake_at, ":created_at": created.at,
            ":modified_at": summary.modified_at, ":started_at": summary.started_at, ":ended_at": summary.ended_at,
            ":id": &**id,
        })?;
    if made == 0 {
        return Ok(false);
    }
    entries.insert(*key, created)?;
    tails.put(*key, Tail { workflow: *workflow, counted: summary.into(), next_seq: created.seq + 1 });
    deltas.add(*workflow, summary.into());
    Ok(true)
}

/// Whether the old incarnation was there.
fn restart(
    db: &Connection,
    entries: &mut EntryInsert,
    tails: &mut Tails,
    again: &Restart,
    deltas: &mut Deltas,
) -> Result<bool, Fault> {
    let Restart { old, new, summary, .. } = again;
    let Some(tail) = tails.take(db, *old).map_err(fault::write)? else { return Ok(false) };
    db.prepare_cached("UPDATE instances SET key = ?2 WHERE key = ?1")
        .and_then(|mut sql| sql.execute(params![old.sql(), new.sql()]))
        .map_err(fault::write)?;
    carry(db, entries, again)?;
    streams::carry(db, *old, *new).map_err(fault::write)?;
    update(db, *new, summary).and_then(|()| discard(db, *old)).map_err(fault::write)?;
    deltas.change(tail.workflow, tail.counted, summary.into());
    Ok(true)
}

/// Makes the history of the new incarnation.
fn carry(db: &Connection, entries: &mut EntryInsert, again: &Restart) -> Result<(), Fault> {
    let mut next_seq = 0;
    for part in &again.history {
        let made = match part {
            Carried::Copied { from_seq, count } => copy(db, again, (*from_seq, *count), next_seq),
            Carried::Written(recorded) if recorded.seq == next_seq => entries.insert(again.new, recorded).map(|()| 1),
            Carried::Written(_) => Ok(0),
        };
        if made.map_err(fault::write)? != part.entry_count() {
            return Err(Fault::Fenced(format!("instance {} has no {part:?} for entry {next_seq}", again.old)));
        }
        next_seq += part.entry_count();
    }
    Ok(())
}

/// Entries copied.
fn copy(db: &Connection, again: &Restart, (from_seq, count): (u64, u64), to_seq: u64) -> Result<u64> {
    db.prepare_cached(
        "INSERT INTO entries (instance, seq, kind, at, value_bytes, meta, value, exact)
         SELECT ?2, seq - ?3 + ?5, kind, at, value_bytes, meta, value, exact FROM entries
         WHERE instance = ?1 AND seq >= ?3 AND seq < ?3 + ?4",
    )?
    .execute(params![again.old.sql(), again.new.sql(), from_seq, count, to_seq])
    .map(|copied| copied as u64)
}

fn extend(
    db: &Connection,
    entries: &mut EntryInsert,
    tails: &mut Tails,
    write: &InstanceWrite,
    deltas: &mut Deltas,
) -> Result<(), Fault> {
    let Some(mut tail) = tails.take(db, write.key).map_err(fault::write)? else {
        return Err(Fault::Fenced(format!("instance {} is gone", write.key)));
    };
    for recorded in &write.entries {
        if recorded.seq != tail.next_seq {
            let (key, next_seq, seq) = (write.key, tail.next_seq, recorded.seq);
            return Err(Fault::Fenced(format!("instance {key} is at entry {next_seq}, not {seq}")));
        }
        entries.insert(write.key, recorded).map_err(fault::write)?;
        streams::keep_named(db, write.key, &recorded.entry).map_err(fault::write)?;
        tail.next_seq += 1;
    }
    if let Some(summary) = &write.summary {
        update(db, write.key, summary).map_err(fault::write)?;
        deltas.change(tail.workflow, tail.counted, summary.into());
        tail.counted = summary.into();
    }
    tails.put(write.key, tail);
    Ok(())
}

fn delete(db: &Connection, tails: &mut Tails, key: InstanceKey, deltas: &mut Deltas) -> Result<()> {
    match tails.take(db, key)? {
        Some(tail) => remove(db, key, &tail, deltas),
        None => Ok(()),
    }
}

/// As [`delete`], where it has ended.
fn expire(db: &Connection, tails: &mut Tails, key: InstanceKey, deltas: &mut Deltas) -> Result<()> {
    match tails.take(db, key)? {
        Some(tail) if tail.counted.status.is_final() => remove(db, key, &tail, deltas),
        Some(live) => {
            tails.put(key, live);
            Ok(())
        }
        None => Ok(()),
    }
}

fn fire(db: &Connection, Firing { workflow, cron, at }: &Firing) -> Result<()> {
    db.prepare_cached("UPDATE schedules SET considered_at = max(considered_at, ?3) WHERE workflow = ?1 AND cron = ?2")?
        .execute(params![workflow.0, &**cron, at])
        .map(|_| ())
}

fn remove(db: &Connection, key: InstanceKey, tail: &Tail, deltas: &mut Deltas) -> Result<()> {
    db.prepare_cached("DELETE FROM instances WHERE key = ?")?.execute([key.sql()])?;
    discard(db, key)?;
    deltas.remove(tail.workflow, tail.counted);
    Ok(())
}

/// Leaves what belongs to a key to the garbage collection, and remembers that the key was used.
fn discard(db: &Connection, key: InstanceKey) -> Result<()> {
    streams::drop_of_instance(db, key)?;
    db.prepare_cached("INSERT INTO garbage (instance) VALUES (?)")?.execute([key.sql()])?;
    db.prepare_cached("UPDATE meta SET value = max(value, ?) WHERE name = 'key_max'")?.execute([key.sql()])?;
    Ok(())
}

fn update(db: &Connection, key: InstanceKey, summary: &Summary) -> Result<()> {
    db.prepare_cached(
        "UPDATE instances
         SET status = ?2, deployment = ?3, wake_at = ?4, modified_at = ?5, started_at = ?6, ended_at = ?7
         WHERE key = ?1",
    )?
    .execute(params![
        key.sql(),
        summary.status.number(),
        summary.deployment.0,
        summary.wake_at,
        summary.modified_at,
        summary.started_at,
        summary.ended_at
    ])
    .map(|_| ())
}

/// The statement behind every entry, looked up once for a batch.
struct EntryInsert<'db>(CachedStatement<'db>);

impl<'db> EntryInsert<'db> {
    fn prepare(db: &'db Connection) -> Result<Self> {
        db.prepare_cached(
            "INSERT INTO entries (instance, seq, kind, at, value_bytes, meta, value, exact)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .map(Self)
    }

    fn insert(&mut self, key: InstanceKey, recorded: &Recorded) -> Result<()> {
        let record = record::encode(&recorded.entry);
        let Payload { json, exact, value_bytes } = record.payload.unwrap_or(&Payload::UNDEFINED);
        self.0
            .execute(params![
                key.sql(),
                recorded.seq,
                record.kind,
                recorded.at,
                value_bytes,
                record.meta,
                json.as_deref(),
                exact.as_deref()
            ])
            .map(|_| ())
    }
}

pub(super) fn count(db: &Connection, deltas: &Deltas) -> Result<()> {
    for ((workflow, status), delta) in deltas.statuses.iter().filter(|(_, delta)| **delta != 0) {
        db.prepare_cached(
            "INSERT INTO instance_counts (workflow, status, count) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?
        .execute(params![workflow.0, status.number(), delta])?;
    }
    for (deployment, delta) in deltas.live.iter().filter(|(_, delta)| **delta != 0) {
        db.prepare_cached(
            "INSERT INTO live_counts (deployment, count) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?
        .execute(params![deployment.0, delta])?;
    }
    Ok(())
}

pub(super) fn has_garbage(db: &Connection) -> Result<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM garbage LIMIT 1")?.exists([])? || streams::has_garbage(db)?)
}

/// One bounded bite at the first instance in the garbage, or else at the first stream.
pub(super) fn collect_garbage(db: &Connection) -> Result<()> {
    let first =
        db.prepare_cached("SELECT min(instance) FROM garbage")?.query_row([], |row| row.get::<_, Option<i64>>(0))?;
    let Some(instance) = first else { return streams::collect_garbage(db) };
    if let Some(last) = last_of_bite(db, instance)? {
        db.prepare_cached("DELETE FROM entries WHERE instance = ? AND seq <= ?")?.execute([instance, last])?;
        return Ok(());
    }
    let lines = db
        .prepare_cached(
            "DELETE FROM logs WHERE instance = ?1 AND number <=
                 (SELECT max(number) FROM (SELECT number FROM logs WHERE instance = ?1 ORDER BY number LIMIT ?2))",
        )?
        .execute(params![instance, GARBAGE_ROWS_MAX])?;
    if lines == 0 {
        db.prepare_cached("DELETE FROM garbage WHERE instance = ?")?.execute([instance])?;
    }
    Ok(())
}

fn last_of_bite(db: &Connection, instance: i64) -> Result<Option<i64>> {
    let mut entries =
        db.prepare_cached("SELECT seq, value_bytes FROM entries WHERE instance = ? ORDER BY seq LIMIT ?")?;
    let mut rows = entries.query(params![instance, GARBAGE_ROWS_MAX])?;
    let (mut last, mut bytes) = (None, 0_u64);
    while let Some(row) = rows.next()? {
        last = Some(row.get(0)?);
        bytes = bytes.saturating_add(row.get(1)?);
        if bytes > GARBAGE_BYTES_MAX {
            break;
        }
    }
    Ok(last)
}
