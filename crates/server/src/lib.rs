//! The library behind the binary `stepwell`: configuration, tools, faces and the driver.

pub mod api_error;
pub mod core;
pub mod d1;
pub mod deploy;
pub mod driver;
pub mod platform;
pub mod project;
pub mod script;
pub mod tools;
pub mod workers;
