//! What is done to all instances of a workflow, page by page: termination in the background, as Cloudflare does it, and
//! deletion with the workflow. A server that stops midway leaves the rest as it was.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use stepwell_engine::engine::Command;
use stepwell_engine::{Source, Status, WorkflowId};
use stepwell_store::{ChangeError, ListQuery, Order, WorkflowRow};
use tokio::task::JoinSet;

use super::limits::{SWEEP_INSTANCES, SWEEPS_MAX};
use crate::api_error::ApiError;
use crate::locks::lock;
use crate::platform::Platform;

/// Terminations under way. They end with this.
#[derive(Debug, Default)]
pub struct Sweeps {
    running: Mutex<HashSet<WorkflowId>>,
    tasks: Mutex<JoinSet<()>>,
}

/// Whether a termination was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Now.
    Now,
    /// Another one is under way.
    Already,
}

impl Sweeps {
    /// Whether instances of the workflow are being terminated.
    pub fn is_running(&self, workflow: WorkflowId) -> bool {
        lock(&self.running).contains(&workflow)
    }

    /// Begins to terminate the instances of a workflow that have one of these statuses.
    pub fn terminate(self: &Arc<Self>, platform: Platform, workflow: WorkflowId, statuses: Vec<Status>) -> Begun {
        if !lock(&self.running).insert(workflow) {
            return Begun::Already;
        }
        let sweeps = Arc::downgrade(self);
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            for status in statuses {
                if let Err(error) = terminate_with(&platform, workflow, status).await {
                    tracing::error!(%workflow, %status, %error, "terminating all instances stopped midway");
                }
            }
            if let Some(sweeps) = sweeps.upgrade() {
                lock(&sweeps.running).remove(&workflow);
            }
        });
        Begun::Now
    }
}

async fn terminate_with(platform: &Platform, workflow: WorkflowId, status: Status) -> Result<(), ApiError> {
    let query = ListQuery::newest(workflow, SWEEP_INSTANCES);
    let mut query = ListQuery { order: Order::OldestFirst, status: Some(status), ..query };
    loop {
        let rows = platform.store.list_instances(query.clone()).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        query.after = Some((last.created_at, last.key));
        // One that has ended or gone meanwhile is as wanted.
        join_all(rows.iter().map(|row| platform.driver.command(row.key, Command::Terminate(Source::Api)))).await;
    }
}

/// Deletes a workflow with its instances.
pub async fn delete_workflow(platform: &Platform, workflow: &WorkflowRow) -> Result<(), ApiError> {
    let mut sweeps_left = SWEEPS_MAX;
    loop {
        delete_instances(platform, workflow.id).await?;
        sweeps_left -= 1;
        match platform.store.delete_workflow(&workflow.name).await {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(ApiError::no_workflow(&workflow.name)),
            Err(ChangeError::WorkflowNotEmpty { .. }) if sweeps_left > 0 => {}
            Err(other) => return Err(other.into()),
        }
    }
}

async fn delete_instances(platform: &Platform, workflow: WorkflowId) -> Result<(), ApiError> {
    let mut query = ListQuery { order: Order::OldestFirst, ..ListQuery::newest(workflow, SWEEP_INSTANCES) };
    loop {
        let rows = platform.store.list_instances(query.clone()).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        query.after = Some((last.created_at, last.key));
        let deletions = join_all(rows.iter().map(|row| platform.driver.command(row.key, Command::Delete))).await;
        // One that is gone already is as wanted; a server that stops is not.
        if let Some(error) = deletions.into_iter().filter_map(Result::err).find(|error| error.status != 404) {
            return Err(error);
        }
    }
}
