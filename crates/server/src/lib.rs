//! The library behind the binary `stepwell`: configuration, tools, faces and the driver.

pub mod d1;
pub mod project;
pub mod tools;
