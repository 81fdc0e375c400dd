//! Commands and reads that all faces share: names come in, answers for users come out.
//!
//! Commands go to the driver; reads come from committed state only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stepwell_engine::engine::{Answer, Command};
use stepwell_engine::instance::Rejection;
use stepwell_engine::limits::VALUE_BYTES_MAX;
use stepwell_engine::{Entry, ErrorRecord, InstanceKey, Payload, Retention, Status, names};
use stepwell_store::{InstanceRow, ScopedName, Store, WorkflowRow};

use crate::api_error::ApiError;
use crate::creation_rate::CreationRate;
use crate::driver::DriverHandle;
use crate::tail::Tails;

/// What faces work with. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    /// Committed state.
    pub store: Store,
    /// Commands.
    pub driver: DriverHandle,
    /// How fast instances may be created.
    pub rate: CreationRate,
    /// Who watches what Workers do.
    pub tails: Tails,
}

/// An instance to create.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewInstance {
    /// A UUID where absent.
    pub id: Option<String>,
    /// `event.payload`.
    pub params: Option<Payload>,
    /// `api`, `binding`, …
    pub trigger: &'static str,
    /// How long it is kept after its end, where that is not as usual.
    pub retention: Retention,
}

/// An instance that was created.
#[derive(Debug, Clone)]
pub struct CreatedInstance {
    /// Its id.
    pub id: Arc<str>,
    /// Its incarnation and status.
    pub answer: Answer,
}

/// What `status()` tells.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusView {
    /// Status.
    pub status: Status,
    /// Output of a complete instance.
    pub output: Option<Payload>,
    /// Error of an errored one.
    pub error: Option<ErrorRecord>,
    /// Of an instance that was rolled back: with what that failed, if it did.
    pub rollback: Option<Option<ErrorRecord>>,
}

impl Platform {
    /// The workflow of that name.
    pub async fn workflow(&self, name: &ScopedName) -> Result<WorkflowRow, ApiError> {
        self.store.workflow(name).await?.ok_or_else(|| ApiError::no_workflow(name))
    }

    /// Creates an instance. Durable when it returns.
    pub async fn create(&self, workflow: &WorkflowRow, new: NewInstance) -> Result<CreatedInstance, ApiError> {
        self.rate.take(workflow.id, 1, Instant::now())?;
        self.create_admitted(workflow, new).await
    }

    /// Creates an instance for which there was room in the rate.
    pub(crate) async fn create_admitted(
        &self,
        workflow: &WorkflowRow,
        new: NewInstance,
    ) -> Result<CreatedInstance, ApiError> {
        if self.store.is_full() {
            return Err(ApiError::disk_full());
        }
        let id: Arc<str> = match new.id {
            Some(id) if names::is_instance_id(&id) => id.into(),
            Some(_) => return Err(ApiError::new(400, 10_404, "(instance.invalid_id) Instance ID is invalid")),
            None => uuid::Uuid::new_v4().to_string().into(),
        };
        let params = new.params.unwrap_or_else(|| Payload::from_json("{}"));
        check_size(&params)?;
        let answer = self.driver.create(workflow.id, Arc::clone(&id), params, new.trigger, new.retention).await?;
        Ok(CreatedInstance { id, answer })
    }

    /// The instance of that id.
    pub async fn instance(&self, workflow: &WorkflowRow, id: &str) -> Result<InstanceRow, ApiError> {
        let key = self.store.resolve(workflow.id, id).await?.ok_or_else(ApiError::no_instance)?;
        self.store.instance(key).await?.ok_or_else(ApiError::no_instance)
    }

    /// Does something to an instance. Durable when it returns.
    pub async fn command(&self, workflow: &WorkflowRow, id: &str, command: Command) -> Result<Answer, ApiError> {
        if self.store.is_full() && !matches!(command, Command::Delete | Command::Terminate(_)) {
            return Err(ApiError::disk_full());
        }
        let key = self.store.resolve(workflow.id, id).await?.ok_or_else(ApiError::no_instance)?;
        if matches!(command, Command::Restart) {
            self.rate.take(workflow.id, 1, Instant::now())?;
        }
        self.driver.command(key, command).await
    }

    /// What `status()` tells of an instance.
    pub async fn status(&self, row: &InstanceRow) -> Result<StatusView, ApiError> {
        let mut view = StatusView { status: row.summary.status, output: None, error: None, rollback: None };
        if view.status.is_final()
            && let Some(last) = row.entry_count.checked_sub(1)
            && let Some(recorded) = self.store.entry(row.key, last).await?
        {
            match recorded.entry {
                Entry::Completed { output } => view.output = Some(output),
                Entry::Errored { error } => view.error = Some(error),
                _ => {}
            }
            if view.status != Status::Complete {
                view.rollback = self.rollback(row.key, last).await?;
            }
        }
        Ok(view)
    }

    /// How the rollback of an instance ended whose last entry is `last`: said just before.
    async fn rollback(&self, key: InstanceKey, last: u64) -> Result<Option<Option<ErrorRecord>>, ApiError> {
        let Some(seq) = last.checked_sub(1) else { return Ok(None) };
        Ok(self.store.entry(key, seq).await?.and_then(|recorded| match recorded.entry {
            Entry::RollbackEnded { error } => Some(error),
            _ => None,
        }))
    }

    /// Returns when the instance has ended, is gone, or `patience` has passed.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn wait_ended(&self, row: &InstanceRow, patience: Duration) -> Result<(), ApiError> {
        if row.summary.status.is_final() {
            return Ok(());
        }
        let wait = async {
            let ended = self.driver.watch(row.key).await;
            let is_live = |now: &InstanceRow| !now.summary.status.is_final();
            if self.store.instance(row.key).await?.as_ref().is_some_and(is_live) {
                ended.await;
            }
            Ok(())
        };
        // Out of patience is an answer as good as any.
        tokio::time::timeout(patience, wait).await.unwrap_or(Ok(()))
    }
}

pub(crate) fn check_size(payload: &Payload) -> Result<(), ApiError> {
    let bytes = payload.value_bytes;
    if bytes > VALUE_BYTES_MAX { Err(Rejection::ValueTooLarge { bytes }.into()) } else { Ok(()) }
}
