//! The workerd configuration of a worker process, as the binary Cap'n Proto message that `workerd serve -b -` reads from
//! its standard input: nothing on disk, nothing to quote, no secret in an environment variable or an argument.
//!
//! `workerd_capnp.rs` is generated from the schema in the npm package `workerd` (take out the C++ annotations and the
//! default of `globalOutbound`, then `capnp compile -o rust workerd.capnp`); ordinals never change, so an older one is good.

mod refusal;
mod services;
mod wrapper;

pub use refusal::{Refusal, check};
pub use services::encode;
pub use wrapper::EXPORTS_MARK;

/// The version of workerd that this crate is written for, as a compatibility date.
pub const WORKERD_DATE: &str = "2026-11-17";

/// Name of the generated main module.
pub const WRAPPER: &str = "__stepwell__.js";
/// Folder of the shim's modules.
pub const PREFIX: &str = "__stepwell__/";

/// Member of `env` by which the shim reaches the server; the shim removes it before user code can see it.
pub const HOST_BINDING: &str = "__stepwell_host__";

/// Name of the service that runs user code.
pub const USER_SERVICE: &str = "user";
/// Name of the socket that leads to the user's default export.
pub const INGRESS: &str = "ingress";
/// Name of the socket that leads to the session entrypoint.
pub const SESSION: &str = "session";
/// Name of the socket that leads to the user's default export by way of what tells of its requests.
pub const TRACED: &str = "traced";
/// Header of a request to [`TRACED`] whose JSON says what the server knows the request by: `{"trace": id}`.
pub const TRACE_HEADER: &str = "x-stepwell-trace";

/// What one process alone knows: how its session is found and what a caller must show.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Export name of the session entrypoint.
    pub session: String,
    /// Export name of the entrypoint for followed requests.
    pub traced: String,
    /// Secret that opens a session.
    pub token: String,
}

impl Identity {
    /// A new one, from the system's randomness.
    pub fn random() -> Self {
        Self {
            session: format!("Session{}", uuid::Uuid::new_v4().simple()),
            traced: format!("Traced{}", uuid::Uuid::new_v4().simple()),
            token: uuid::Uuid::new_v4().simple().to_string(),
        }
    }
}
