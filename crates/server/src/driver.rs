//! The driver: the one loop that moves instances.

mod handle;

pub use handle::DriverHandle;
