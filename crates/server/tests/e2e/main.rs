//! End-to-end tests of behaviour: the real binary, real workerd, real SQLite. What a crash does is tried elsewhere.

mod bad_input;
mod binding;
mod bindings;
mod chaos;
mod deployments;
mod deploys;
mod examples;
mod hostile;
mod lifecycle;
mod retention;
mod schedules;
mod steps;
mod support;
mod upgrade;
mod waits;
