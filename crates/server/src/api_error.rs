//! The one error of all faces: what a user is told, with Cloudflare's codes.

use stepwell_engine::instance::Rejection;
use stepwell_runtime::SpawnError;
use stepwell_store::{ChangeError, CommitError, ReadError, ScopedName, Stall};

use crate::d1::D1Error;
use crate::subscription::InvalidOptions;

/// An error for a user: what is wrong, where, and what to do. Details for operators go to the log where it arises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Cloudflare's code, or one of ours above 20000.
    pub code: u32,
    /// For the user.
    pub message: String,
}

impl ApiError {
    /// An error of that status and code.
    pub fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, 10_001, message)
    }

    /// No such workflow.
    pub fn no_workflow(name: &ScopedName) -> Self {
        Self::new(
            404,
            10_200,
            format!("workflow {:?} does not exist; `stepwell workflows list` shows those that do", name.name),
        )
    }

    /// No such instance.
    pub fn no_instance() -> Self {
        Self::from(Rejection::NotFound)
    }

    /// No such Worker.
    pub fn no_script(name: &ScopedName) -> Self {
        Self::new(404, 10_007, format!("Worker {:?} does not exist; deploy it first", name.name))
    }

    /// Something of ours failed; the log says what.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        tracing::error!(%detail, "internal error");
        Self::new(500, 10_001, "internal error; the server's log says more")
    }

    /// Commits wait: nothing is lost, nothing new is taken.
    pub fn stalled(stall: Stall) -> Self {
        match stall {
            Stall::NoRoom => Self::new(
                507,
                20_507,
                "the server's disk is full: it takes no new work until there is room; nothing is lost",
            ),
            Stall::Held => Self::new(
                503,
                20_508,
                "another program holds the server's database: it takes no new work until that one lets go; nothing is lost",
            ),
        }
    }

    /// The disk is full.
    pub fn disk_full() -> Self {
        Self::stalled(Stall::NoRoom)
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        let (status, code) = match &rejection {
            Rejection::NotFound => (404, 10_400),
            Rejection::AlreadyExists => (400, 10_405),
            Rejection::InFiniteState => (400, 10_401),
            Rejection::CannotTerminate => (400, 10_402),
            Rejection::StepNotFound(_) => (400, 10_403),
            Rejection::TooManyEvents => (429, 10_429),
            Rejection::ValueTooLarge { .. } => (413, 10_413),
            Rejection::InvalidEventType => (400, 10_406),
            Rejection::Protocol(_) => (500, 10_001),
        };
        Self::new(status, code, rejection.to_string())
    }
}

impl From<InvalidOptions> for ApiError {
    fn from(error: InvalidOptions) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Busy => Self::new(503, 20_503, "the server is busy: too many reads wait; try again"),
            other => Self::internal(other),
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Commit(CommitError::Busy) => {
                Self::new(503, 20_503, "the server is busy: too many writes wait; try again")
            }
            ChangeError::Stalled(stall) => Self::stalled(stall),
            ChangeError::Commit(other) => Self::internal(other),
            refused => Self::new(409, 20_409, refused.to_string()),
        }
    }
}

/// What SQL does not allow is the user's; files and the catalogue are ours.
impl From<D1Error> for ApiError {
    fn from(error: D1Error) -> Self {
        if error.is_disk_full() {
            return Self::disk_full();
        }
        match &error {
            D1Error::Stalled(stall) => Self::stalled(*stall),
            D1Error::Catalogue(_) | D1Error::Open { .. } | D1Error::Export(_) => Self::internal(error),
            D1Error::Deleted { .. } => Self::new(404, 7_404, error.to_string()),
            D1Error::Request(_) => Self::new(400, 7_400, error.to_string()),
            D1Error::ResultTooLarge | D1Error::TooManyStatements(_) => Self::new(413, 7_500, error.to_string()),
            _ => Self::new(400, 7_500, error.to_string()),
        }
    }
}

/// Code that does not load is the user's; a process that does not start is ours.
impl From<SpawnError> for ApiError {
    fn from(error: SpawnError) -> Self {
        match &error {
            SpawnError::WorkerdMissing { .. } | SpawnError::WorkerdVersion { .. } | SpawnError::System { .. } => {
                Self::new(500, 20_502, error.to_string())
            }
            SpawnError::Refused(_)
            | SpawnError::Load { .. }
            | SpawnError::ClassNotExported { .. }
            | SpawnError::NotAWorkflow { .. }
            | SpawnError::NotReady { .. } => Self::new(400, 10_021, error.to_string()),
        }
    }
}
