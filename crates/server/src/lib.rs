//! The library behind the `stepwell` binary: everything that knows files, processes and people.
pub mod project;
pub mod tools;
