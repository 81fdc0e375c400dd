//! The library behind the binary `stepwell`: everything that knows files, processes and people.

pub mod app;
pub mod cli;
pub mod d1;
pub mod project;
pub mod tools;
