//! Reads of instances.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use stepwell_engine::{
    DeploymentId, InstanceKey, Millis, Payload, Recorded, Status, StreamId, StreamRef, Summary, WorkflowId,
};

use super::{SqliteReader, fault, streams};
use crate::backend::{HistoryPage, Reader};
use crate::{Due, InstanceRow, ListQuery, Order, ReadError, StatusCounts, record};

impl Reader for SqliteReader {
    fn resolve(&mut self, workflow: WorkflowId, id: &str) -> Result<Option<InstanceKey>, ReadError> {
        self.connection
            .prepare_cached("SELECT key FROM instances WHERE workflow = ? AND id = ?")
            .and_then(|mut sql| sql.query_row(params![workflow.0, id], |row| key(row, 0)).optional())
            .map_err(fault::read)
    }

    fn instance(&mut self, key: InstanceKey) -> Result<Option<InstanceRow>, ReadError> {
        instance(&self.connection, key).map_err(fault::read)
    }

    fn load(&mut self, key: InstanceKey) -> Result<Option<(InstanceRow, Vec<Recorded>)>, ReadError> {
        load(&self.connection, key).map_err(fault::read)
    }

    fn history(&mut self, key: InstanceKey, page: HistoryPage) -> Result<Vec<Recorded>, ReadError> {
        history(&self.connection, key, page).map_err(fault::read)
    }

    fn due(&mut self, after: (Millis, InstanceKey), until: Millis, limit: usize) -> Result<Vec<Due>, ReadError> {
        due(&self.connection, after, until, limit).map_err(fault::read)
    }

    fn list_instances(&mut self, query: &ListQuery) -> Result<Vec<InstanceRow>, ReadError> {
        list(&self.connection, query).map_err(fault::read)
    }

    fn counters(&mut self, workflow: WorkflowId) -> Result<StatusCounts, ReadError> {
        counters(&self.connection, workflow).map_err(fault::read)
    }

    fn pinned_instances(&mut self, deployment: DeploymentId, count: usize) -> Result<Vec<InstanceRow>, ReadError> {
        pinned(&self.connection, deployment, count).map_err(fault::read)
    }

    fn max_key(&mut self) -> Result<InstanceKey, ReadError> {
        self.connection
            .prepare_cached(
                "SELECT max(value, ifnull((SELECT max(key) FROM instances), 0)) FROM meta WHERE name = 'key_max'",
            )
            .and_then(|mut sql| sql.query_row([], |row| key(row, 0)))
            .map_err(fault::read)
    }

    fn is_stream_whole(&mut self, key: InstanceKey, stream: StreamRef) -> Result<bool, ReadError> {
        streams::is_whole(&self.connection, key, stream).map_err(fault::read)
    }

    fn stream_chunk(&mut self, key: InstanceKey, stream: StreamId, number: u32) -> Result<Option<Vec<u8>>, ReadError> {
        streams::chunk(&self.connection, key, stream, number).map_err(fault::read)
    }
}

const INSTANCE_COLUMNS: &str = "key, workflow, id, created_at, status, wake_at, deployment, modified_at, started_at,
    ended_at, (SELECT seq + 1 FROM entries WHERE instance = key ORDER BY seq DESC LIMIT 1),
    (SELECT meta FROM entries WHERE instance = key AND seq = 0)";

fn instance(db: &Connection, key: InstanceKey) -> Result<Option<InstanceRow>> {
    db.prepare_cached(&format!("SELECT {INSTANCE_COLUMNS} FROM instances WHERE key = ?"))?
        .query_row([key.sql()], instance_row)
        .optional()
}

fn instance_row(row: &Row<'_>) -> Result<InstanceRow> {
    let summary = Summary {
        status: status(row.get(4)?)?,
        wake_at: row.get(5)?,
        deployment: DeploymentId(row.get(6)?),
        modified_at: row.get(7)?,
        started_at: row.get(8)?,
        ended_at: row.get(9)?,
    };
    Ok(InstanceRow {
        key: key(row, 0)?,
        workflow: WorkflowId(row.get(1)?),
        id: row.get(2)?,
        created_at: row.get(3)?,
        summary,
        entry_count: row.get(10)?,
        trigger: record::trigger(row.get_ref(11)?.as_str()?).map_err(fault::unreadable)?,
    })
}

/// Row and entries are of one moment.
fn load(db: &Connection, key: InstanceKey) -> Result<Option<(InstanceRow, Vec<Recorded>)>> {
    let moment = db.unchecked_transaction()?;
    let Some(row) = instance(&moment, key)? else { return Ok(None) };
    let mut sql = moment
        .prepare_cached("SELECT seq, at, kind, meta, value_bytes FROM entries WHERE instance = ? ORDER BY seq")?;
    let mut rows = sql.query([key.sql()])?;
    let mut entries = Vec::with_capacity(usize::try_from(row.entry_count).unwrap_or(0));
    while let Some(row) = rows.next()? {
        entries.push(recorded(row, Payload { json: None, exact: None, value_bytes: row.get(4)? })?);
    }
    Ok(Some((row, entries)))
}

fn history(db: &Connection, key: InstanceKey, page: HistoryPage) -> Result<Vec<Recorded>> {
    let mut sql = db.prepare_cached(
        "SELECT seq, at, kind, meta, value_bytes, value, exact FROM entries
         WHERE instance = ?1 AND seq >= ?2 AND seq < ?3 AND EXISTS (SELECT 1 FROM instances WHERE key = ?1)
         ORDER BY seq LIMIT ?4",
    )?;
    let (from, until) = (as_i64(page.from_seq), as_i64(page.until_seq));
    let mut rows = sql.query(params![key.sql(), from, until, limit(page.rows_max)])?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let payload = record::payload(text(row, 5)?, text(row, 6)?, row.get(4)?);
        bytes += payload.stored_bytes();
        if bytes > page.bytes_max && !entries.is_empty() {
            break;
        }
        entries.push(recorded(row, payload)?);
    }
    Ok(entries)
}

fn recorded(row: &Row<'_>, payload: Payload) -> Result<Recorded> {
    let meta = row.get_ref(3)?.as_str()?;
    let entry = record::decode(row.get(2)?, meta, payload).map_err(fault::unreadable)?;
    Ok(Recorded { seq: row.get(0)?, at: row.get(1)?, entry })
}

fn due(db: &Connection, after: (Millis, InstanceKey), until: Millis, count: usize) -> Result<Vec<Due>> {
    let mut sql = db.prepare_cached(DUE)?;
    let rows = sql.query_map(params![after.0, after.1.sql(), until, limit(count)], |row| {
        Ok(Due {
            wake_at: row.get(0)?,
            key: key(row, 1)?,
            workflow: WorkflowId(row.get(2)?),
            deployment: DeploymentId(row.get(3)?),
            ended_at: row.get(4)?,
        })
    })?;
    rows.collect()
}

const DUE: &str = "SELECT wake_at, key, workflow, deployment, ended_at FROM instances
    WHERE wake_at IS NOT NULL AND (wake_at, key) > (?1, ?2) AND wake_at <= ?3
    ORDER BY wake_at, key LIMIT ?4";

fn list(db: &Connection, query: &ListQuery) -> Result<Vec<InstanceRow>> {
    let (low, high) = query.bounds();
    let workflow = query.workflow.0;
    let mut sql = db.prepare_cached(&list_sql(query.status.is_some(), query.order))?;
    let status = query.status.map(Status::number);
    let bounds = params![workflow, low.0, low.1, high.0, high.1, limit(query.limit), status];
    // A statement without a status has one parameter less.
    let bounds = if status.is_some() { bounds } else { &bounds[..6] };
    sql.query_map(bounds, instance_row)?.collect()
}

fn list_sql(by_status: bool, order: Order) -> String {
    // Without statistics SQLite takes both indexes for equally good.
    let (index, status) =
        if by_status { ("instances_by_status", "AND status = ?7") } else { ("instances_by_creation", "") };
    let direction = match order {
        Order::OldestFirst => "ASC",
        Order::NewestFirst => "DESC",
    };
    format!(
        "SELECT {INSTANCE_COLUMNS} FROM instances INDEXED BY {index}
         WHERE workflow = ?1 {status} AND (created_at, key) > (?2, ?3) AND (created_at, key) < (?4, ?5)
         ORDER BY created_at {direction}, key {direction} LIMIT ?6"
    )
}

/// Those that have ended are passed over by their status, which an index tells.
fn pinned(db: &Connection, deployment: DeploymentId, count: usize) -> Result<Vec<InstanceRow>> {
    let live: Vec<String> =
        Status::ALL.iter().filter(|status| !status.is_final()).map(|status| status.number().to_string()).collect();
    let mut sql = db.prepare_cached(&format!(
        "SELECT {INSTANCE_COLUMNS} FROM instances INDEXED BY instances_by_status
         WHERE workflow IN (SELECT id FROM workflows) AND status IN ({}) AND deployment = ?1 LIMIT ?2",
        live.join(", ")
    ))?;
    sql.query_map(params![deployment.0, limit(count)], instance_row)?.collect()
}

fn counters(db: &Connection, workflow: WorkflowId) -> Result<StatusCounts> {
    let mut counts = StatusCounts::default();
    let mut sql = db.prepare_cached("SELECT status, count FROM instance_counts WHERE workflow = ?")?;
    let mut rows = sql.query([workflow.0])?;
    while let Some(row) = rows.next()? {
        counts[usize::from(status(row.get(0)?)?.number())] = row.get(1)?;
    }
    Ok(counts)
}

/// The status of a number.
pub(super) fn status(number: u8) -> Result<Status> {
    let status = Status::ALL.get(usize::from(number)).copied();
    status.ok_or_else(|| fault::unreadable(format!("status {number}, which this version does not know")))
}

pub(super) fn key(row: &Row<'_>, column: usize) -> Result<InstanceKey> {
    Ok(InstanceKey(row.get::<_, i64>(column)?.cast_unsigned()))
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<Option<&'a str>> {
    Ok(row.get_ref(column)?.as_str_or_null()?)
}

/// A bound in SQLite's integers.
fn as_i64(bound: u64) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}

pub(super) fn limit(rows: usize) -> i64 {
    as_i64(rows as u64)
}

/// A key as SQLite's integer, which has a sign.
pub(super) trait InstanceKeySql {
    fn sql(self) -> i64;
}

impl InstanceKeySql for InstanceKey {
    fn sql(self) -> i64 {
        self.0.cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Sqlite};
    use super::*;

    /// Every step of the plan is a search of that index, and nothing is sorted.
    fn check(sql: &str, index: &str) {
        let dir = tempfile::tempdir().expect("a directory");
        let sqlite = Sqlite::open(dir.path(), Options::default()).expect("a database");
        let mut explain = sqlite.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("valid SQL");
        let count = explain.parameter_count();
        let bounds = rusqlite::params_from_iter(std::iter::repeat_n(0, count));
        let plan: Vec<String> =
            explain.query_map(bounds, |row| row.get(3)).expect("a plan").map(|step| step.expect("a step")).collect();
        assert!(plan[0].starts_with("SEARCH instances") && plan[0].contains(index), "{plan:?}");
        assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE") && !step.starts_with("SCAN ")), "{plan:?}");
    }

    #[test]
    fn a_list_by_status_is_read_from_its_index() {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            check(
                &list_sql(true, order),
                "instances_by_status (workflow=? AND status=? AND created_at>? AND created_at<?",
            );
        }
    }

    #[test]
    fn a_list_of_all_is_read_from_its_index() {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            check(&list_sql(false, order), "instances_by_creation (workflow=? AND created_at>? AND created_at<?");
        }
    }

    #[test]
    fn due_instances_are_read_from_the_partial_index() {
        check(DUE, "instances_by_wake (wake_at>? AND wake_at<?");
    }
}
