//! What a durable workflow instance is and how it may move.
//!
//! Pure: no I/O, no clock, no randomness, no async. Time is passed in as epoch milliseconds; whatever must happen
//! outside is returned as an [`Output`]. Everything that changes goes one way: **decide** (what follows from an input,
//! as [`Entry`]s), **apply** (entries change memory), **commit** (the host makes a [`Batch`] durable), **act** (outputs
//! that waited for the commit).
//!
//! - [`Instance`] is one durable execution: a fold over its entries.
//! - [`Scheduler`] says which instance runs next, and where.
//! - [`Engine`] is the table of instances in memory; it joins the two and is the only thing a host talks to.

#![deny(missing_docs)]

pub mod batch;
pub mod cron;
pub mod duration;
pub mod engine;
pub mod entry;
pub mod error_text;
pub mod ids;
pub mod instance;
pub mod limits;
pub mod names;
pub mod retention;
pub mod retry;
pub mod scheduler;
pub mod schedules;
pub mod status;
pub mod stream;

pub use batch::{Batch, Carried, Creation, InstanceWrite, Restart, Summary};
pub use cron::Cron;
pub use engine::{Engine, Input, Output};
pub use entry::{End, Entry, ErrorRecord, Outcome, Payload, Recorded, Source, StepKind};
pub use ids::{CallId, CommitId, DeploymentId, InstanceKey, Millis, ReplyId, RunId, SessionId, StreamId, WorkflowId};
pub use instance::Instance;
pub use retention::Retention;
pub use retry::{Backoff, RetryLimit, StepConfig};
pub use scheduler::Scheduler;
pub use schedules::{Firing, Schedule};
pub use status::Status;
pub use stream::{StreamPlace, StreamRef};
