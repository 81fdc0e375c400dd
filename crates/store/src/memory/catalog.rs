//! Control data and logs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use stepwell_engine::{DeploymentId, Firing, InstanceKey, Millis, WorkflowId};

use super::instances::Instances;
use super::{Memory, MemoryReader};
use crate::backend::{CatalogReader, CatalogWriter, Fault};
use crate::limits::{LOG_LINES_MAX, RELEASES_MAX};
use crate::{
    AccountId, AccountRow, ChangeError, Deployment, DeploymentRow, LogLine, LogRow, Module, NewAccount, NewDeployment,
    NewRelease, NewWorkflow, ReadError, ReleaseRow, ScheduleRow, ScopedName, ScriptRow, Secret, SecretChange, Token,
    WorkflowRow,
};

#[derive(Default)]
pub(super) struct Catalog {
    scripts: BTreeMap<ScopedName, ScriptRow>,
    deployments: BTreeMap<DeploymentId, NewDeployment>,
    deployment_last: u32,
    releases: BTreeMap<u64, (ScopedName, ReleaseRow)>,
    release_last: u64,
    modules: BTreeMap<String, Arc<[u8]>>,
    workflows: BTreeMap<WorkflowId, WorkflowRow>,
    workflow_last: u32,
    schedules: BTreeMap<(WorkflowId, String), Millis>,
    secrets: BTreeMap<(ScopedName, String), Secret>,
    tokens: BTreeMap<String, Token>,
    accounts: BTreeMap<AccountId, AccountRow>,
    account_last: u32,
    logs: BTreeMap<InstanceKey, VecDeque<LogRow>>,
}

impl Catalog {
    pub fn forget_logs(&mut self, key: InstanceKey) {
        self.logs.remove(&key);
    }

    pub fn fire(&mut self, Firing { workflow, cron, at }: &Firing) {
        if let Some(considered_at) = self.schedules.get_mut(&(*workflow, cron.to_string())) {
            *considered_at = (*considered_at).max(*at);
        }
    }

    fn schedules(&self) -> impl Iterator<Item = ScheduleRow> {
        self.schedules.iter().map(|((workflow, cron), considered_at)| ScheduleRow {
            workflow: *workflow,
            cron: cron.clone(),
            considered_at: *considered_at,
        })
    }

    fn row(&self, id: DeploymentId, instances: &Instances) -> Option<DeploymentRow> {
        let new = self.deployments.get(&id)?;
        Some(DeploymentRow {
            id,
            script: new.script.clone(),
            content_id: new.content_id.clone(),
            settings: new.settings.clone(),
            created_at: new.created_at,
            is_current: self.scripts.get(&new.script).is_some_and(|script| script.current == id),
            live_instances: live(id, instances),
        })
    }

    fn rows_of(&self, script: &ScopedName) -> impl DoubleEndedIterator<Item = DeploymentId> {
        self.deployments.iter().filter(move |(_, new)| new.script == *script).map(|(id, _)| *id)
    }

    fn insert(&mut self, new: &NewDeployment) -> DeploymentId {
        self.deployment_last += 1;
        let id = DeploymentId(self.deployment_last);
        let mut new = NewDeployment { secrets: Vec::new(), ..new.clone() };
        for module in &mut new.modules {
            let kept = self.modules.entry(module.hash.clone()).or_insert_with(|| Arc::clone(&module.body));
            module.body = Arc::clone(kept);
        }
        self.deployments.insert(id, new);
        id
    }

    /// One with the same content, or a new one.
    fn find_or_insert(&mut self, new: &NewDeployment) -> DeploymentId {
        let known = self.rows_of(&new.script).find(|id| self.deployments[id].content_id == new.content_id);
        known.unwrap_or_else(|| self.insert(new))
    }

    fn release(&mut self, new: &NewRelease) -> bool {
        let NewRelease { script, deployment, at, note, secrets } = new.clone();
        let is_own = self.deployments.get(&deployment).is_some_and(|row| row.script == script);
        let Some(row) = self.scripts.get_mut(&script).filter(|_| is_own) else { return false };
        (row.current, row.modified_at) = (deployment, at);
        self.release_last += 1;
        let number = self.release_last;
        let of_script: Vec<u64> =
            self.releases.iter().filter(|(_, (of, _))| *of == script).map(|(number, _)| *number).collect();
        if of_script.len() >= RELEASES_MAX as usize {
            self.releases.remove(&of_script[0]);
        }
        self.change_secrets(&script, &secrets);
        self.releases.insert(number, (script, ReleaseRow { number, deployment, at, note }));
        true
    }

    fn change_secrets(&mut self, script: &ScopedName, changes: &[SecretChange]) {
        for SecretChange { name, value } in changes {
            let key = (script.clone(), name.clone());
            match value {
                Some(value) => self.secrets.insert(key, Secret { name: name.clone(), value: value.clone() }),
                None => self.secrets.remove(&key),
            };
        }
    }

    fn remove(&mut self, id: DeploymentId) {
        self.deployments.remove(&id);
        self.releases.retain(|_, (_, release)| release.deployment != id);
        let deployments = &self.deployments;
        let is_used = |hash: &String| deployments.values().flat_map(|new| &new.modules).any(|it| it.hash == *hash);
        self.modules.retain(|hash, _| is_used(hash));
    }

    fn workflow(&self, name: &ScopedName) -> Option<&WorkflowRow> {
        self.workflows.values().find(|row| row.name == *name)
    }

    fn account_needed_by(&self, id: AccountId) -> Option<String> {
        let script = self.scripts.keys().find(|name| name.account == id).map(|name| format!("script {}", name.name));
        let workflow = self.workflows.values().map(|row| &row.name).find(|name| name.account == id);
        script.or_else(|| workflow.map(|name| format!("workflow {}", name.name)))
    }

    fn script_needed_by(&self, name: &ScopedName, instances: &Instances) -> Option<String> {
        if let Some(row) = self.workflows.values().find(|row| row.script == *name) {
            return Some(format!("workflow {}", row.name.name));
        }
        let live: u64 = self.rows_of(name).map(|id| live(id, instances)).sum();
        (live > 0).then(|| format!("{live} unfinished instance(s)"))
    }
}

fn live(id: DeploymentId, instances: &Instances) -> u64 {
    let needs = |summary: &stepwell_engine::Summary| summary.deployment == id && !summary.status.is_final();
    instances.summaries().filter(|(_, summary)| needs(summary)).count() as u64
}

impl CatalogWriter for Memory {
    fn put_deployment(&mut self, new: &NewDeployment) -> Result<DeploymentRow, Fault> {
        let tables = &mut *self.write();
        let catalog = &mut tables.catalog;
        let (current, at) = (catalog.find_or_insert(new), new.created_at);
        let (name, secrets) = (new.script.clone(), new.secrets.clone());
        let script = || ScriptRow { name, current, created_at: at, modified_at: at, settings: "{}".to_owned() };
        catalog.scripts.entry(new.script.clone()).or_insert_with(script);
        let (script, note) = (new.script.clone(), "{}".to_owned());
        catalog.release(&NewRelease { script, deployment: current, at, note, secrets });
        Ok(catalog.row(current, &tables.instances).expect("it is there now"))
    }

    fn put_version(&mut self, new: &NewDeployment) -> Result<Option<DeploymentRow>, Fault> {
        let tables = &mut *self.write();
        if !tables.catalog.scripts.contains_key(&new.script) {
            return Ok(None);
        }
        let id = tables.catalog.find_or_insert(new);
        Ok(tables.catalog.row(id, &tables.instances))
    }

    fn release(&mut self, new: &NewRelease) -> Result<bool, Fault> {
        Ok(self.write().catalog.release(new))
    }

    fn put_script_settings(&mut self, script: &ScopedName, settings: &str) -> Result<bool, Fault> {
        let mut tables = self.write();
        let Some(row) = tables.catalog.scripts.get_mut(script) else { return Ok(false) };
        settings.clone_into(&mut row.settings);
        Ok(true)
    }

    fn delete_deployment(&mut self, id: DeploymentId) -> Result<bool, Fault> {
        let tables = &mut *self.write();
        let Some(row) = tables.catalog.row(id, &tables.instances) else { return Ok(false) };
        if row.is_current {
            return Err(Fault::Refused(ChangeError::DeploymentCurrent(id)));
        }
        if row.live_instances > 0 {
            return Err(Fault::Refused(ChangeError::DeploymentNeeded {
                deployment: id,
                instances: row.live_instances,
            }));
        }
        tables.catalog.remove(id);
        Ok(true)
    }

    fn delete_script(&mut self, name: &ScopedName) -> Result<bool, Fault> {
        let tables = &mut *self.write();
        if let Some(needed_by) = tables.catalog.script_needed_by(name, &tables.instances) {
            return Err(Fault::Refused(ChangeError::ScriptNeeded { script: name.name.clone(), needed_by }));
        }
        for id in tables.catalog.rows_of(name).collect::<Vec<_>>() {
            tables.catalog.remove(id);
        }
        tables.catalog.secrets.retain(|(script, _), _| script != name);
        Ok(tables.catalog.scripts.remove(name).is_some())
    }

    fn put_workflow(&mut self, new: &NewWorkflow) -> Result<WorkflowRow, Fault> {
        let catalog = &mut self.write().catalog;
        let known = catalog.workflow(&new.name).map(|row| (row.id, row.created_at));
        let (id, created_at) = known.unwrap_or_else(|| {
            catalog.workflow_last += 1;
            (WorkflowId(catalog.workflow_last), new.at)
        });
        let NewWorkflow { name, script, class_name, settings, at } = new.clone();
        let row = WorkflowRow { id, name, script, class_name, settings, created_at, modified_at: at };
        catalog.workflows.insert(id, row.clone());
        Ok(row)
    }

    fn put_schedules(&mut self, workflow: WorkflowId, crons: &[String], at: Millis) -> Result<Vec<ScheduleRow>, Fault> {
        let catalog = &mut self.write().catalog;
        catalog.schedules.retain(|(of, cron), _| *of != workflow || crons.contains(cron));
        for cron in crons {
            catalog.schedules.entry((workflow, cron.clone())).or_insert(at);
        }
        Ok(catalog.schedules().filter(|row| row.workflow == workflow).collect())
    }

    fn delete_workflow(&mut self, name: &ScopedName) -> Result<bool, Fault> {
        let tables = &mut *self.write();
        let Some(id) = tables.catalog.workflow(name).map(|row| row.id) else { return Ok(false) };
        let instances = tables.instances.summaries().filter(|(of, _)| *of == id).count() as u64;
        if instances > 0 {
            return Err(Fault::Refused(ChangeError::WorkflowNotEmpty { name: name.name.clone(), instances }));
        }
        tables.catalog.schedules.retain(|(of, _), _| *of != id);
        Ok(tables.catalog.workflows.remove(&id).is_some())
    }

    fn change_secrets(&mut self, script: &ScopedName, changes: &[SecretChange]) -> Result<(), Fault> {
        self.write().catalog.change_secrets(script, changes);
        Ok(())
    }

    fn put_token(&mut self, token: &Token) -> Result<(), Fault> {
        self.write().catalog.tokens.insert(token.id.clone(), token.clone());
        Ok(())
    }

    fn delete_token(&mut self, id: &str) -> Result<bool, Fault> {
        Ok(self.write().catalog.tokens.remove(id).is_some())
    }

    fn put_account(&mut self, new: &NewAccount) -> Result<AccountRow, Fault> {
        let catalog = &mut self.write().catalog;
        let NewAccount { public_id, name, at } = new.clone();
        if catalog.accounts.values().any(|row| row.name == name) {
            return Err(Fault::Refused(ChangeError::AccountExists { name }));
        }
        catalog.account_last += 1;
        let row = AccountRow { id: AccountId(catalog.account_last), public_id, name, created_at: at };
        catalog.accounts.insert(row.id, row.clone());
        Ok(row)
    }

    fn delete_account(&mut self, id: AccountId) -> Result<bool, Fault> {
        let tables = &mut *self.write();
        let catalog = &mut tables.catalog;
        if !catalog.accounts.contains_key(&id) {
            return Ok(false);
        }
        let database = || tables.databases.any_of(id).map(|name| format!("database {name}"));
        if let Some(needed_by) = catalog.account_needed_by(id).or_else(database) {
            return Err(Fault::Refused(ChangeError::AccountNotEmpty { needed_by }));
        }
        catalog.tokens.retain(|_, token| token.account != Some(id));
        Ok(catalog.accounts.remove(&id).is_some())
    }

    fn append_logs(&mut self, lines: &[LogLine]) -> Result<(), Fault> {
        let tables = &mut *self.write();
        for line in lines.iter().filter(|line| tables.instances.is_there(line.key)) {
            let log = tables.catalog.logs.entry(line.key).or_default();
            let number = log.back().map_or(0, |last| last.number) + 1;
            log.push_back(LogRow { number, line: line.clone() });
            if log.len() as u64 > LOG_LINES_MAX {
                log.pop_front();
            }
        }
        Ok(())
    }
}

impl CatalogReader for MemoryReader {
    fn scripts(&mut self) -> Result<Vec<ScriptRow>, ReadError> {
        Ok(self.tables().catalog.scripts.values().cloned().collect())
    }

    fn script(&mut self, name: &ScopedName) -> Result<Option<ScriptRow>, ReadError> {
        Ok(self.tables().catalog.scripts.get(name).cloned())
    }

    fn releases(&mut self, script: &ScopedName) -> Result<Vec<ReleaseRow>, ReadError> {
        let tables = self.tables();
        let of_script = tables.catalog.releases.values().rev().filter(|(of, _)| of == script);
        Ok(of_script.map(|(_, release)| release.clone()).collect())
    }

    fn deployment(&mut self, id: DeploymentId) -> Result<Option<Arc<Deployment>>, ReadError> {
        let tables = self.tables();
        let Some(row) = tables.catalog.row(id, &tables.instances) else { return Ok(None) };
        let modules: Vec<Module> = tables.catalog.deployments[&id].modules.clone();
        Ok(Some(Arc::new(Deployment { row, modules })))
    }

    fn current_deployment(&mut self, script: &ScopedName) -> Result<Option<DeploymentRow>, ReadError> {
        let tables = self.tables();
        let current = tables.catalog.scripts.get(script).map(|row| row.current);
        Ok(current.and_then(|id| tables.catalog.row(id, &tables.instances)))
    }

    fn deployments(&mut self, script: &ScopedName) -> Result<Vec<DeploymentRow>, ReadError> {
        let tables = self.tables();
        let ids = tables.catalog.rows_of(script).rev();
        Ok(ids.filter_map(|id| tables.catalog.row(id, &tables.instances)).collect())
    }

    fn workflow(&mut self, name: &ScopedName) -> Result<Option<WorkflowRow>, ReadError> {
        Ok(self.tables().catalog.workflow(name).cloned())
    }

    fn workflows(&mut self) -> Result<Vec<WorkflowRow>, ReadError> {
        Ok(self.tables().catalog.workflows.values().cloned().collect())
    }

    fn schedules(&mut self) -> Result<Vec<ScheduleRow>, ReadError> {
        Ok(self.tables().catalog.schedules().collect())
    }

    fn secrets(&mut self, script: &ScopedName) -> Result<Vec<Secret>, ReadError> {
        let tables = self.tables();
        let of_script = tables.catalog.secrets.iter().filter(|((of, _), _)| of == script);
        Ok(of_script.map(|(_, secret)| secret.clone()).collect())
    }

    fn tokens(&mut self) -> Result<Vec<Token>, ReadError> {
        let mut tokens: Vec<_> = self.tables().catalog.tokens.values().cloned().collect();
        tokens.sort_by(|a, b| (a.created_at, &a.hash).cmp(&(b.created_at, &b.hash)));
        Ok(tokens)
    }

    fn accounts(&mut self) -> Result<Vec<AccountRow>, ReadError> {
        Ok(self.tables().catalog.accounts.values().cloned().collect())
    }

    fn logs(&mut self, key: InstanceKey, after: u64, limit: usize) -> Result<Vec<LogRow>, ReadError> {
        let tables = self.tables();
        let rows = tables.catalog.logs.get(&key).into_iter().flatten();
        Ok(rows.filter(|row| row.number > after).take(limit).cloned().collect())
    }
}
