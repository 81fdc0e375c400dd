//! The library behind the binary `stepwell`: configuration, tools, faces and the driver.

pub mod api_error;
pub mod d1;
pub mod driver;
pub mod platform;
pub mod project;
pub mod tools;
