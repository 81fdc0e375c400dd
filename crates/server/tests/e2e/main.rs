//! End-to-end tests of behaviour: the real binary, real workerd, real SQLite. What a crash does is tried elsewhere.

mod binding;
mod examples;
mod lifecycle;
mod steps;
mod support;
mod waits;
