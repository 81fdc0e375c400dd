//! What the rest of the server holds of the driver.

use std::sync::Arc;

use stepwell_engine::engine::{Answer, Command, WorkflowSettings};
use stepwell_engine::instance::Rejection;
use stepwell_engine::{InstanceKey, Payload, Retention, Schedule, Status, WorkflowId};
use tokio::sync::{mpsc, oneshot};

use super::streams::StreamRequest;
use crate::api_error::ApiError;

/// A request to the driver.
#[derive(Debug)]
pub(super) enum Request {
    Create {
        workflow: WorkflowId,
        id: Arc<str>,
        params: Payload,
        trigger: String,
        retention: Retention,
        reply: oneshot::Sender<Result<Answer, Rejection>>,
    },
    Command {
        key: InstanceKey,
        command: Command,
        reply: oneshot::Sender<Result<Answer, Rejection>>,
    },
    /// Says that it watches, and then when an instance ends or is removed.
    Watch {
        key: InstanceKey,
        watched: oneshot::Sender<()>,
        reply: oneshot::Sender<Status>,
    },
    /// Says that it watches, and then when something of an instance has become durable.
    News {
        key: InstanceKey,
        watched: oneshot::Sender<()>,
        reply: oneshot::Sender<()>,
    },
    Workflow(WorkflowId, WorkflowSettings),
    Schedules(WorkflowId, Vec<Schedule>),
    Stream(StreamRequest),
}

/// The way to the driver. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DriverHandle {
    pub(super) requests: mpsc::Sender<Request>,
}

impl DriverHandle {
    /// Creates an instance. Durable when it returns. `id` and `params` must be valid.
    ///
    /// # Errors
    /// Where the id is taken, or the server is stopping.
    pub async fn create(
        &self,
        workflow: WorkflowId,
        id: Arc<str>,
        params: Payload,
        trigger: &str,
        retention: Retention,
    ) -> Result<Answer, ApiError> {
        let trigger = trigger.to_owned();
        self.ask(|reply| Request::Create { workflow, id, params, trigger, retention, reply }).await
    }

    /// Does something to an instance. Durable when it returns.
    ///
    /// # Errors
    /// Where the instance is gone or its state does not allow it.
    pub async fn command(&self, key: InstanceKey, command: Command) -> Result<Answer, ApiError> {
        self.ask(|reply| Request::Command { key, command, reply }).await
    }

    /// Watches an instance. Whoever ends after this returned ends what it returns: look at the store in between, as an
    /// instance that has ended before is not told of. Cancel-safe.
    pub async fn watch(&self, key: InstanceKey) -> impl Future<Output = ()> + Send + use<> {
        let (watched, is_watched) = oneshot::channel();
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::Watch { key, watched, reply }).await.is_ok() {
            // Without an answer the server stops: that ends the wait as well.
            let _ = is_watched.await;
        }
        async {
            let _ = answer.await;
        }
    }

    /// Watches an incarnation for anything that becomes durable of it, its end and removal included: look at the store
    /// after this has returned, and again when what it returns has. Cancel-safe.
    pub async fn news(&self, key: InstanceKey) -> impl Future<Output = ()> + Send + use<> {
        let (watched, is_watched) = oneshot::channel();
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::News { key, watched, reply }).await.is_ok() {
            let _ = is_watched.await;
        }
        async {
            let _ = answer.await;
        }
    }

    /// Tells the driver what a workflow's settings are now.
    pub async fn set_workflow(&self, workflow: WorkflowId, settings: WorkflowSettings) {
        // A server that stops needs no settings.
        let _ = self.requests.send(Request::Workflow(workflow, settings)).await;
    }

    /// Tells the driver what a workflow's schedules are now.
    pub async fn set_schedules(&self, workflow: WorkflowId, schedules: Vec<Schedule>) {
        // A server that stops needs none.
        let _ = self.requests.send(Request::Schedules(workflow, schedules)).await;
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<Answer, Rejection>>) -> Request,
    ) -> Result<Answer, ApiError> {
        let (reply, answer) = oneshot::channel();
        let stopping = || ApiError::new(503, 20_503, "the server is stopping; try again");
        self.requests.send(request(reply)).await.map_err(|_| stopping())?;
        Ok(answer.await.map_err(|_| stopping())??)
    }
}
