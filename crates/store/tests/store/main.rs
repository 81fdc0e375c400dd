//! What the store promises, tried through its handle.

mod accounts;
mod conformance;
mod databases;
mod differential;
mod faults;
mod golden;
mod golden_content;
mod golden_rollback;
mod opening;
mod room;
mod streams;
mod support;
