//! Writes of control data, inside a transaction.

use rusqlite::{Connection, OptionalExtension, Result, ToSql, params};
use stepwell_engine::{DeploymentId, InstanceKey, Millis, WorkflowId};

use super::catalog_read::{account, deployment_row, schedules_of, workflow};
use super::databases::any_database_of;
use super::read::InstanceKeySql;
use super::{Sqlite, fault};
use crate::backend::{CatalogWriter, Fault};
use crate::limits::{LOG_LINES_MAX, RELEASES_MAX};
use crate::{
    AccountId, AccountRow, ChangeError, DeploymentRow, LogLine, Module, NewAccount, NewDeployment, NewRelease,
    NewWorkflow, ScheduleRow, ScopedName, SecretChange, Token, WorkflowRow,
};

impl CatalogWriter for Sqlite {
    fn put_deployment(&mut self, new: &NewDeployment) -> Result<DeploymentRow, Fault> {
        put_deployment(&self.connection, new).map_err(fault::control)
    }

    fn put_version(&mut self, new: &NewDeployment) -> Result<Option<DeploymentRow>, Fault> {
        put_version(&self.connection, new).map_err(fault::control)
    }

    fn release(&mut self, new: &NewRelease) -> Result<bool, Fault> {
        release(&self.connection, new).map_err(fault::control)
    }

    fn put_script_settings(&mut self, script: &ScopedName, settings: &str) -> Result<bool, Fault> {
        self.execute("UPDATE scripts SET settings = ?2 WHERE name = ?1", &[&script, &settings])
    }

    fn delete_deployment(&mut self, id: DeploymentId) -> Result<bool, Fault> {
        // Counters of this transaction's batches must be seen by what checks them.
        self.write_counters()?;
        let db = &self.connection;
        let Some(row) = deployment_row(db, id).map_err(fault::control)? else { return Ok(false) };
        if row.is_current {
            return Err(Fault::Refused(ChangeError::DeploymentCurrent(id)));
        }
        if row.live_instances > 0 {
            return Err(Fault::Refused(ChangeError::DeploymentNeeded {
                deployment: id,
                instances: row.live_instances,
            }));
        }
        remove_deployment(db, id).map_err(fault::control)?;
        Ok(true)
    }

    fn delete_script(&mut self, name: &ScopedName) -> Result<bool, Fault> {
        self.write_counters()?;
        if let Some(needed_by) = script_needed_by(&self.connection, name).map_err(fault::control)? {
            return Err(Fault::Refused(ChangeError::ScriptNeeded { script: name.name.clone(), needed_by }));
        }
        remove_script(&self.connection, name).map_err(fault::control)
    }

    fn put_workflow(&mut self, new: &NewWorkflow) -> Result<WorkflowRow, Fault> {
        put_workflow(&self.connection, new).map_err(fault::control)
    }

    fn put_schedules(&mut self, workflow: WorkflowId, crons: &[String], at: Millis) -> Result<Vec<ScheduleRow>, Fault> {
        put_schedules(&self.connection, workflow, crons, at).map_err(fault::control)
    }

    fn delete_workflow(&mut self, name: &ScopedName) -> Result<bool, Fault> {
        self.write_counters()?;
        let db = &self.connection;
        let Some(row) = workflow(db, name).map_err(fault::control)? else { return Ok(false) };
        let sql = "SELECT ifnull(sum(count), 0) FROM instance_counts WHERE workflow = ?";
        let instances: u64 = db.query_row(sql, [row.id.0], |row| row.get(0)).map_err(fault::control)?;
        if instances > 0 {
            return Err(Fault::Refused(ChangeError::WorkflowNotEmpty { name: row.name.name, instances }));
        }
        self.execute("DELETE FROM instance_counts WHERE workflow = ?", &[&row.id.0])?;
        self.execute("DELETE FROM schedules WHERE workflow = ?", &[&row.id.0])?;
        self.execute("DELETE FROM workflows WHERE id = ?", &[&row.id.0])
    }

    fn change_secrets(&mut self, script: &ScopedName, changes: &[SecretChange]) -> Result<(), Fault> {
        change_secrets(&self.connection, script, changes).map_err(fault::control)
    }

    fn put_token(&mut self, token: &Token) -> Result<(), Fault> {
        let Token { id, hash, account, label, scopes, created_at, expires_at } = token;
        let sql = "INSERT OR REPLACE INTO tokens (id, hash, account, label, scopes, created_at, expires_at)
            VALUES (?, ?, ?, ?, ?, ?, ?)";
        let account = account.map(|account| account.0);
        self.execute(sql, &[id, hash, &account, label, scopes, created_at, expires_at]).map(|_| ())
    }

    fn delete_token(&mut self, id: &str) -> Result<bool, Fault> {
        self.execute("DELETE FROM tokens WHERE id = ?", &[&id])
    }

    fn put_account(&mut self, new: &NewAccount) -> Result<AccountRow, Fault> {
        match insert_account(&self.connection, new).map_err(fault::control)? {
            Some(row) => Ok(row),
            None => Err(Fault::Refused(ChangeError::AccountExists { name: new.name.clone() })),
        }
    }

    fn delete_account(&mut self, id: AccountId) -> Result<bool, Fault> {
        let db = &self.connection;
        if account(db, id).map_err(fault::control)?.is_none() {
            return Ok(false);
        }
        if let Some(needed_by) = account_needed_by(db, id).map_err(fault::control)? {
            return Err(Fault::Refused(ChangeError::AccountNotEmpty { needed_by }));
        }
        self.execute("DELETE FROM tokens WHERE account = ?", &[&id.0])?;
        self.execute("DELETE FROM accounts WHERE id = ?", &[&id.0])
    }

    fn append_logs(&mut self, lines: &[LogLine]) -> Result<(), Fault> {
        append_logs(&self.connection, lines).map_err(fault::control)
    }
}

impl Sqlite {
    /// Whether it changed a row.
    pub(super) fn execute(&self, sql: &str, params: &[&dyn ToSql]) -> Result<bool, Fault> {
        let changed = self.connection.prepare_cached(sql).and_then(|mut sql| sql.execute(params));
        Ok(changed.map_err(fault::control)? > 0)
    }
}

fn put_deployment(db: &Connection, new: &NewDeployment) -> Result<DeploymentRow> {
    let id = find_or_insert(db, new)?;
    db.execute(
        "INSERT INTO scripts (name, current, created_at, modified_at) VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING",
        params![new.script, id.0, new.created_at],
    )?;
    let (script, at, secrets) = (new.script.clone(), new.created_at, new.secrets.clone());
    release(db, &NewRelease { script, deployment: id, at, note: "{}".to_owned(), secrets })?;
    deployment_row(db, id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn put_version(db: &Connection, new: &NewDeployment) -> Result<Option<DeploymentRow>> {
    if !db.prepare_cached("SELECT 1 FROM scripts WHERE name = ?")?.exists([&new.script])? {
        return Ok(None);
    }
    let id = find_or_insert(db, new)?;
    deployment_row(db, id)
}

fn release(db: &Connection, new: &NewRelease) -> Result<bool> {
    let NewRelease { script, deployment, at, note, secrets } = new;
    let changed = db.execute(
        "UPDATE scripts SET current = ?2, modified_at = ?3 WHERE name = ?1
         AND EXISTS (SELECT 1 FROM deployments WHERE id = ?2 AND script = ?1)",
        params![script, deployment.0, at],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO releases (script, deployment, at, note) VALUES (?, ?, ?, ?)";
    db.execute(sql, params![script, deployment.0, at, note])?;
    db.execute(
        "DELETE FROM releases WHERE number <=
             (SELECT number FROM releases WHERE script = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2) AND script = ?1",
        params![script, RELEASES_MAX],
    )?;
    change_secrets(db, script, secrets)?;
    Ok(true)
}

fn change_secrets(db: &Connection, script: &ScopedName, changes: &[SecretChange]) -> Result<()> {
    for SecretChange { name, value } in changes {
        match value {
            Some(value) => {
                let sql = "INSERT OR REPLACE INTO secrets (script, name, value) VALUES (?, ?, ?)";
                db.execute(sql, params![script, name, value])?
            }
            None => db.execute("DELETE FROM secrets WHERE script = ? AND name = ?", params![script, name])?,
        };
    }
    Ok(())
}

fn find_or_insert(db: &Connection, new: &NewDeployment) -> Result<DeploymentId> {
    let sql = "SELECT id FROM deployments WHERE script = ? AND content_id = ?";
    let known: Option<u32> = db.query_row(sql, params![new.script, new.content_id], |row| row.get(0)).optional()?;
    Ok(DeploymentId(known.map_or_else(|| insert_deployment(db, new), Ok)?))
}

fn insert_deployment(db: &Connection, new: &NewDeployment) -> Result<u32> {
    let id = db.query_row(
        "INSERT INTO deployments (script, content_id, created_at, settings) VALUES (?, ?, ?, ?) RETURNING id",
        params![new.script, new.content_id, new.created_at, new.settings],
        |row| row.get(0),
    )?;
    for (position, Module { name, kind, hash, body }) in new.modules.iter().enumerate() {
        db.execute("INSERT OR IGNORE INTO modules (hash, body) VALUES (?, ?)", params![hash, &**body])?;
        db.execute(
            "INSERT INTO deployment_modules (deployment, position, name, kind, hash) VALUES (?, ?, ?, ?, ?)",
            params![id, position, name, kind, hash],
        )?;
    }
    Ok(id)
}

fn remove_deployment(db: &Connection, id: DeploymentId) -> Result<()> {
    db.execute("DELETE FROM deployment_modules WHERE deployment = ?", [id.0])?;
    db.execute("DELETE FROM modules WHERE hash NOT IN (SELECT hash FROM deployment_modules)", [])?;
    db.execute("DELETE FROM live_counts WHERE deployment = ?", [id.0])?;
    db.execute("DELETE FROM releases WHERE deployment = ?", [id.0])?;
    db.execute("DELETE FROM deployments WHERE id = ?", [id.0]).map(|_| ())
}

fn script_needed_by(db: &Connection, name: &ScopedName) -> Result<Option<String>> {
    let sql = "SELECT name FROM workflows WHERE script = ? ORDER BY id LIMIT 1";
    let workflow: Option<String> = db.query_row(sql, [name], |row| row.get(0)).optional()?;
    if let Some(workflow) = workflow {
        return Ok(Some(format!("workflow {workflow}")));
    }
    let sql = "SELECT ifnull(sum(count), 0) FROM live_counts JOIN deployments ON id = deployment WHERE script = ?";
    let live: u64 = db.query_row(sql, [name], |row| row.get(0))?;
    Ok((live > 0).then(|| format!("{live} unfinished instance(s)")))
}

fn remove_script(db: &Connection, name: &ScopedName) -> Result<bool> {
    let deployments: Vec<u32> = db
        .prepare("SELECT id FROM deployments WHERE script = ?")?
        .query_map([name], |row| row.get(0))?
        .collect::<Result<_>>()?;
    for id in deployments {
        remove_deployment(db, DeploymentId(id))?;
    }
    db.execute("DELETE FROM secrets WHERE script = ?", [name])?;
    Ok(db.execute("DELETE FROM scripts WHERE name = ?", [name])? > 0)
}

fn put_workflow(db: &Connection, new: &NewWorkflow) -> Result<WorkflowRow> {
    // Not an upsert: that uses up a number each time.
    let changed = db.execute(
        "UPDATE workflows SET script = ?2, class_name = ?3, modified_at = ?4, settings = ?5 WHERE name = ?1",
        params![new.name, new.script, new.class_name, new.at, new.settings],
    )?;
    if changed == 0 {
        db.execute(
            "INSERT INTO workflows (name, script, class_name, created_at, modified_at, settings)
             VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
            params![new.name, new.script, new.class_name, new.at, new.settings],
        )?;
    }
    workflow(db, &new.name)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// `None` where there is one of that name.
fn insert_account(db: &Connection, new: &NewAccount) -> Result<Option<AccountRow>> {
    let NewAccount { public_id, name, at } = new.clone();
    if db.prepare_cached("SELECT 1 FROM accounts WHERE name = ?")?.exists([&name])? {
        return Ok(None);
    }
    let sql = "INSERT INTO accounts (public_id, name, created_at) VALUES (?, ?, ?) RETURNING id";
    let id = db.query_row(sql, params![public_id, name, at], |row| row.get(0))?;
    Ok(Some(AccountRow { id: AccountId(id), public_id, name, created_at: at }))
}

/// Something of an account that must not lose it, in words.
fn account_needed_by(db: &Connection, id: AccountId) -> Result<Option<String>> {
    for (kind, sql) in [("script", "SELECT name FROM scripts"), ("workflow", "SELECT name FROM workflows")] {
        for name in db.prepare_cached(sql)?.query_map([], |row| row.get::<_, ScopedName>(0))? {
            let name = name?;
            if name.account == id {
                return Ok(Some(format!("{kind} {}", name.name)));
            }
        }
    }
    if let Some(database) = any_database_of(db, id)? {
        return Ok(Some(format!("database {database}")));
    }
    Ok(None)
}

fn put_schedules(db: &Connection, workflow: WorkflowId, crons: &[String], at: Millis) -> Result<Vec<ScheduleRow>> {
    for row in schedules_of(db, workflow)?.iter().filter(|row| !crons.contains(&row.cron)) {
        db.execute("DELETE FROM schedules WHERE workflow = ? AND cron = ?", params![workflow.0, row.cron])?;
    }
    for cron in crons {
        let sql = "INSERT OR IGNORE INTO schedules (workflow, cron, considered_at) VALUES (?, ?, ?)";
        db.execute(sql, params![workflow.0, cron, at])?;
    }
    schedules_of(db, workflow)
}

fn append_logs(db: &Connection, lines: &[LogLine]) -> Result<()> {
    let mut keys: Vec<InstanceKey> = lines.iter().map(|line| line.key).collect();
    keys.sort_unstable();
    keys.dedup();
    for LogLine { key, at, call, level, text } in lines {
        db.prepare_cached(
            "INSERT INTO logs (instance, number, at, call, level, text)
             SELECT key, ifnull((SELECT max(number) FROM logs WHERE instance = key), 0) + 1, ?2, ?3, ?4, ?5
             FROM instances WHERE key = ?1",
        )?
        .execute(params![key.sql(), at, call, level, text])?;
    }
    for key in keys {
        db.prepare_cached(
            "DELETE FROM logs WHERE instance = ?1
             AND number <= (SELECT max(number) FROM logs WHERE instance = ?1) - ?2",
        )?
        .execute(params![key.sql(), LOG_LINES_MAX])?;
    }
    Ok(())
}
