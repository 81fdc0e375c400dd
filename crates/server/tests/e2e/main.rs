//! End-to-end tests of behaviour: the real binary, real workerd, real SQLite. What a crash does is tried elsewhere.

mod bad_input;
mod binding;
mod bindings;
mod chaos;
mod deployments;
mod deploys;
mod diverged;
mod examples;
mod exports;
mod faces;
mod hostile;
mod lifecycle;
mod node;
mod restarts;
mod retention;
mod rollback;
mod schedules;
mod stacks;
mod steps;
mod streams;
mod strict;
mod subscriptions;
mod support;
mod upgrade;
mod values;
mod waits;
