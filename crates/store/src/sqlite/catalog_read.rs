//! Reads of control data.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Params, Result, Row, params};
use stepwell_engine::{DeploymentId, InstanceKey, WorkflowId};

use super::read::{InstanceKeySql, limit};
use super::{SqliteReader, fault};
use crate::backend::CatalogReader;
use crate::{
    AccountId, AccountRow, Deployment, DeploymentRow, LogLine, LogRow, Module, ReadError, ReleaseRow, ScheduleRow,
    ScopedName, ScriptRow, Secret, Token, WorkflowRow,
};

impl CatalogReader for SqliteReader {
    fn scripts(&mut self) -> Result<Vec<ScriptRow>, ReadError> {
        self.rows(&format!("{SCRIPT} ORDER BY name"), [], read_script)
    }

    fn script(&mut self, name: &ScopedName) -> Result<Option<ScriptRow>, ReadError> {
        Ok(self.rows(&format!("{SCRIPT} WHERE name = ?"), [name], read_script)?.pop())
    }

    fn releases(&mut self, script: &ScopedName) -> Result<Vec<ReleaseRow>, ReadError> {
        let sql = "SELECT number, deployment, at, note FROM releases WHERE script = ? ORDER BY number DESC";
        self.rows(sql, [script], |row| {
            let deployment = DeploymentId(row.get(1)?);
            Ok(ReleaseRow { number: row.get(0)?, deployment, at: row.get(2)?, note: row.get(3)? })
        })
    }

    fn deployment(&mut self, id: DeploymentId) -> Result<Option<Arc<Deployment>>, ReadError> {
        deployment(&self.connection, id).map_err(fault::read)
    }

    fn current_deployment(&mut self, script: &ScopedName) -> Result<Option<DeploymentRow>, ReadError> {
        let sql = format!("{DEPLOYMENT} JOIN scripts ON name = script AND current = id WHERE script = ?");
        Ok(self.rows(&sql, [script], read_deployment)?.pop())
    }

    fn deployments(&mut self, script: &ScopedName) -> Result<Vec<DeploymentRow>, ReadError> {
        self.rows(&format!("{DEPLOYMENT} WHERE script = ? ORDER BY id DESC"), [script], read_deployment)
    }

    fn workflow(&mut self, name: &ScopedName) -> Result<Option<WorkflowRow>, ReadError> {
        workflow(&self.connection, name).map_err(fault::read)
    }

    fn workflows(&mut self) -> Result<Vec<WorkflowRow>, ReadError> {
        self.rows(&format!("{WORKFLOW} ORDER BY id"), [], read_workflow)
    }

    fn schedules(&mut self) -> Result<Vec<ScheduleRow>, ReadError> {
        self.rows(&format!("{SCHEDULE} ORDER BY workflow, cron"), [], read_schedule)
    }

    fn secrets(&mut self, script: &ScopedName) -> Result<Vec<Secret>, ReadError> {
        self.rows("SELECT name, value FROM secrets WHERE script = ? ORDER BY name", [script], |row| {
            Ok(Secret { name: row.get(0)?, value: row.get(1)? })
        })
    }

    fn tokens(&mut self) -> Result<Vec<Token>, ReadError> {
        self.rows(&format!("{TOKEN} ORDER BY created_at, hash"), [], read_token)
    }

    fn accounts(&mut self) -> Result<Vec<AccountRow>, ReadError> {
        self.rows(&format!("{ACCOUNT} ORDER BY id"), [], read_account)
    }

    fn logs(&mut self, key: InstanceKey, after: u64, count: usize) -> Result<Vec<LogRow>, ReadError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let sql = "SELECT number, at, call, level, text FROM logs
            WHERE instance = ?1 AND number > ?2 AND EXISTS (SELECT 1 FROM instances WHERE key = ?1)
            ORDER BY number LIMIT ?3";
        self.rows(sql, params![key.sql(), after, limit(count)], |row| {
            let line = LogLine { key, at: row.get(1)?, call: row.get(2)?, level: row.get(3)?, text: row.get(4)? };
            Ok(LogRow { number: row.get(0)?, line })
        })
    }
}

impl SqliteReader {
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>, ReadError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut sql| sql.query_map(params, read)?.collect())
            .map_err(fault::read)
    }
}

const SCRIPT: &str = "SELECT name, current, created_at, modified_at, settings FROM scripts";

fn read_script(row: &Row<'_>) -> Result<ScriptRow> {
    Ok(ScriptRow {
        name: row.get(0)?,
        current: DeploymentId(row.get(1)?),
        created_at: row.get(2)?,
        modified_at: row.get(3)?,
        settings: row.get(4)?,
    })
}

const DEPLOYMENT: &str = "SELECT id, script, content_id, deployments.settings, deployments.created_at,
    EXISTS (SELECT 1 FROM scripts AS s WHERE s.name = script AND s.current = id),
    ifnull((SELECT count FROM live_counts WHERE deployment = id), 0)
    FROM deployments";

fn read_deployment(row: &Row<'_>) -> Result<DeploymentRow> {
    Ok(DeploymentRow {
        id: DeploymentId(row.get(0)?),
        script: row.get(1)?,
        content_id: row.get(2)?,
        settings: row.get(3)?,
        created_at: row.get(4)?,
        is_current: row.get(5)?,
        live_instances: row.get(6)?,
    })
}

pub(super) fn deployment_row(db: &Connection, id: DeploymentId) -> Result<Option<DeploymentRow>> {
    db.prepare_cached(&format!("{DEPLOYMENT} WHERE id = ?"))?.query_row([id.0], read_deployment).optional()
}

/// Row and modules are of one moment.
fn deployment(db: &Connection, id: DeploymentId) -> Result<Option<Arc<Deployment>>> {
    let moment = db.unchecked_transaction()?;
    let Some(row) = deployment_row(&moment, id)? else { return Ok(None) };
    let modules = moment
        .prepare_cached(
            "SELECT name, kind, hash, body FROM deployment_modules JOIN modules USING (hash)
             WHERE deployment = ? ORDER BY position",
        )?
        .query_map([id.0], |row| {
            let body = row.get_ref(3)?.as_blob()?.into();
            Ok(Module { name: row.get(0)?, kind: row.get(1)?, hash: row.get(2)?, body })
        })?
        .collect::<Result<_>>()?;
    Ok(Some(Arc::new(Deployment { row, modules })))
}

const WORKFLOW: &str = "SELECT id, name, script, class_name, settings, created_at, modified_at FROM workflows";

fn read_workflow(row: &Row<'_>) -> Result<WorkflowRow> {
    Ok(WorkflowRow {
        id: WorkflowId(row.get(0)?),
        name: row.get(1)?,
        script: row.get(2)?,
        class_name: row.get(3)?,
        settings: row.get(4)?,
        created_at: row.get(5)?,
        modified_at: row.get(6)?,
    })
}

pub(super) fn workflow(db: &Connection, name: &ScopedName) -> Result<Option<WorkflowRow>> {
    db.prepare_cached(&format!("{WORKFLOW} WHERE name = ?"))?.query_row([name], read_workflow).optional()
}

const SCHEDULE: &str = "SELECT workflow, cron, considered_at FROM schedules";

fn read_schedule(row: &Row<'_>) -> Result<ScheduleRow> {
    Ok(ScheduleRow { workflow: WorkflowId(row.get(0)?), cron: row.get(1)?, considered_at: row.get(2)? })
}

pub(super) fn schedules_of(db: &Connection, workflow: WorkflowId) -> Result<Vec<ScheduleRow>> {
    db.prepare_cached(&format!("{SCHEDULE} WHERE workflow = ? ORDER BY cron"))?
        .query_map([workflow.0], read_schedule)?
        .collect()
}

const TOKEN: &str = "SELECT id, hash, account, label, scopes, created_at, expires_at FROM tokens";

fn read_token(row: &Row<'_>) -> Result<Token> {
    Ok(Token {
        id: row.get(0)?,
        hash: row.get(1)?,
        account: row.get::<_, Option<u32>>(2)?.map(AccountId),
        label: row.get(3)?,
        scopes: row.get(4)?,
        created_at: row.get(5)?,
        expires_at: row.get(6)?,
    })
}

const ACCOUNT: &str = "SELECT id, public_id, name, created_at FROM accounts";

fn read_account(row: &Row<'_>) -> Result<AccountRow> {
    Ok(AccountRow { id: AccountId(row.get(0)?), public_id: row.get(1)?, name: row.get(2)?, created_at: row.get(3)? })
}

pub(super) fn account(db: &Connection, id: AccountId) -> Result<Option<AccountRow>> {
    db.prepare_cached(&format!("{ACCOUNT} WHERE id = ?"))?.query_row([id.0], read_account).optional()
}
