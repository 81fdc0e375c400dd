//! Worker processes with the real workerd; a small host server stands in for the server's own services.

mod bindings;
mod host;
mod loading;
mod network;
mod process;
mod setup;
