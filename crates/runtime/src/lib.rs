//! workerd processes and the conversation with them.

pub mod protocol;
pub mod session;
pub mod shim;
