//! Durable memory of Stepwell: what an engine decided, kept for ever, many instances to one sync.
//!
//! [`Store`] is the handle. Whatever is written goes through one writer thread, which gathers what waits into one
//! transaction (**group commit**) and answers after the sync; reads see committed state only and run beside it. Below is
//! a [`Backend`](backend::Backend): SQLite for servers, memory for tests and simulators. Backends hold no rules beyond
//! compare-and-set; the rules of instances are the engine's.
//!
//! What is absent: time (rows carry the times they are given), encryption (a secret is the bytes it is given), and any
//! knowledge of workers or HTTP.

#![deny(missing_docs)]

mod account;
pub mod backend;
mod catalog;
mod counters;
mod data_dir;
mod database;
mod database_file;
mod error;
pub mod limits;
pub mod memory;
mod queue;
mod reader_pool;
pub mod record;
mod rows;
pub mod sqlite;
mod store;
mod store_catalog;
mod stream;
mod writer;

pub use account::{AccountId, AccountRow, NewAccount, ScopedName};
pub use backend::HistoryPage;
pub use catalog::{
    Deployment, DeploymentRow, LogLine, LogRow, Module, NewDeployment, NewRelease, NewWorkflow, ReleaseRow,
    ScheduleRow, ScriptRow, Secret, SecretChange, Token, WorkflowRow,
};
pub use database::{DatabaseKey, DatabaseOrigin, DatabasePage, DatabaseQuery, DatabaseRow, NewDatabase};
pub use error::{ChangeError, CommitError, OpenError, ReadError, Stall};
pub use rows::{Committed, Due, InstanceRow, ListQuery, Order, StatusCounts};
pub use sqlite::{Durability, Options};
pub use store::Store;
pub use stream::{STREAMS_BYTES_MAX, StreamChunk};
