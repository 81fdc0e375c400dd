//! workerd processes and the conversation with them.

pub mod protocol;
