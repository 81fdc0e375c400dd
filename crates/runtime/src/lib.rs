//! workerd processes and the conversation with them.

mod config;
mod process;
pub mod protocol;
pub mod session;
pub mod shim;
mod spec;
pub mod translate;
#[allow(unsafe_code, missing_docs, clippy::all, clippy::pedantic, unused)]
#[rustfmt::skip]
#[path = "generated/workerd_capnp.rs"]
mod workerd_capnp;

pub use config::{Refusal, TRACE_HEADER, WORKERD_DATE};
pub use process::{Exit, Line, SocketAddress, SpawnError, Stream, WorkerProcess, Workerd};
pub use spec::{Binding, Module, ModuleBody, Outbound, SecretText, WorkerSpec, WorkflowExport};
