//! Workflows as they are configured: checked, made durable, and told to the driver, with their schedules.
//!
//! Settings come with a deployment or by `PUT /workflows/{name}`, and are kept as text in the workflow's row; the operator's
//! policy stands behind them.

use std::sync::Arc;

use stepwell_engine::engine::WorkflowSettings;
use stepwell_engine::limits::SCHEDULES_MAX;
use stepwell_engine::{Cron, DeploymentId, Input, Retention, Schedule, WorkflowId};
use stepwell_store::{DeploymentRow, NewWorkflow, ScheduleRow, ScopedName, Store, WorkflowRow};

use crate::api_error::ApiError;
use crate::clock::now_ms;
use crate::driver::DriverHandle;
use crate::rest::WorkflowOptions;
use crate::script::ScriptSettings;

/// What the operator has decided for all workflows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Instances move to the newest deployment whenever a run of theirs starts.
    pub follows_newest: bool,
    /// How long ended instances are kept where nobody says otherwise.
    pub retention: Retention,
}

/// Who knows the workflows. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    store: Store,
    driver: DriverHandle,
    policy: Policy,
    /// Schedules are counted and changed by one at a time.
    changing: Arc<tokio::sync::Mutex<()>>,
}

impl Registry {
    /// A registry of the workflows of a store.
    #[must_use]
    pub fn new(store: Store, driver: DriverHandle, policy: Policy) -> Self {
        Self { store, driver, policy, changing: Arc::default() }
    }

    /// Makes or changes a workflow. Durable, and in force, when it returns.
    ///
    /// # Errors
    /// Where the script does not exist, or the options cannot be.
    pub async fn put(&self, new: NewWorkflow) -> Result<WorkflowRow, ApiError> {
        let current = self.store.current_deployment(&new.script).await?;
        let current = current.ok_or_else(|| ApiError::no_script(&new.script))?;
        let _one_at_a_time = self.changing.lock().await;
        self.check(std::slice::from_ref(&new)).await?;
        let row = self.store.put_workflow(new).await?;
        self.announce(&row, &current).await?;
        Ok(row)
    }

    /// Whether these workflows could be put, all of them.
    ///
    /// # Errors
    /// What is wrong with their options.
    pub async fn check(&self, planned: &[NewWorkflow]) -> Result<(), ApiError> {
        let mut known = Vec::with_capacity(planned.len());
        let mut count = 0;
        for new in planned {
            let options = WorkflowOptions::from_settings(&new.settings);
            options.check()?;
            count += options.crons().len();
            known.extend(self.store.workflow(&new.name).await?.map(|row| row.id));
        }
        count += self.store.schedules().await?.iter().filter(|row| !known.contains(&row.workflow)).count();
        if count > SCHEDULES_MAX {
            let message = format!("schedules: with these there are {count} in all; at most {SCHEDULES_MAX} can be");
            return Err(ApiError::bad_request(message));
        }
        Ok(())
    }

    /// The settings of a workflow are what they are, but its script has another deployment.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn redeployed(&self, workflow: &WorkflowRow, current: &DeploymentRow) -> Result<(), ApiError> {
        let _one_at_a_time = self.changing.lock().await;
        self.announce(workflow, current).await
    }

    /// A workflow is gone.
    pub async fn removed(&self, workflow: WorkflowId) {
        self.driver.set_schedules(workflow, Vec::new()).await;
    }

    /// All that a driver must know when it starts.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn all(&self) -> Result<Vec<Input>, ApiError> {
        let mut inputs = Vec::new();
        for workflow in self.store.workflows().await? {
            let Some(current) = self.store.current_deployment(&workflow.script).await? else { continue };
            let options = WorkflowOptions::from_settings(&workflow.settings);
            inputs.push(Input::Workflow(workflow.id, self.settings(&options, current.id)));
            inputs.push(Input::Schedules(workflow.id, self.schedules(&workflow, &options, &current).await?));
        }
        Ok(inputs)
    }

    async fn announce(&self, workflow: &WorkflowRow, current: &DeploymentRow) -> Result<(), ApiError> {
        let options = WorkflowOptions::from_settings(&workflow.settings);
        let schedules = self.schedules(workflow, &options, current).await?;
        self.driver.set_workflow(workflow.id, self.settings(&options, current.id)).await;
        self.driver.set_schedules(workflow.id, schedules).await;
        Ok(())
    }

    fn settings(&self, options: &WorkflowOptions, deployment: DeploymentId) -> WorkflowSettings {
        let Policy { follows_newest, retention } = self.policy;
        options.engine(deployment, follows_newest, retention)
    }

    /// Brings the schedules in the store in line with a workflow's settings. One whose class is no longer deployed has
    /// none: nobody could run what they create.
    async fn schedules(
        &self,
        workflow: &WorkflowRow,
        options: &WorkflowOptions,
        current: &DeploymentRow,
    ) -> Result<Vec<Schedule>, ApiError> {
        let crons = if implements(current, &workflow.name) { options.crons() } else { Vec::new() };
        let rows = self.store.put_schedules(workflow.id, crons, now_ms()).await?;
        Ok(rows.iter().filter_map(schedule).collect())
    }
}

fn implements(deployment: &DeploymentRow, workflow: &ScopedName) -> bool {
    match serde_json::from_str::<ScriptSettings>(&deployment.settings) {
        Ok(settings) => settings.workflows.iter().any(|own| own.name == workflow.name),
        Err(_) => true,
    }
}

fn schedule(row: &ScheduleRow) -> Option<Schedule> {
    match Cron::parse(&row.cron) {
        Ok(cron) => Some(Schedule { cron, considered_at: row.considered_at }),
        Err(error) => {
            tracing::error!(%error, workflow = %row.workflow, "a schedule in the store cannot be read: it does not fire");
            None
        }
    }
}
