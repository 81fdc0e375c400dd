//! The library behind the binary `stepwell`: configuration, tools, faces and the driver.

pub mod api_error;
pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod core;
pub mod creation_rate;
pub mod d1;
pub mod deploy;
pub mod driver;
pub mod hosting;
pub mod ingress;
mod locks;
pub mod platform;
pub mod platform_batch;
pub mod project;
pub mod registry;
pub mod rest;
pub mod restart_from;
pub mod retirement;
pub mod script;
pub mod secrets;
pub mod stacks;
pub mod subscription;
pub mod tools;
pub mod travelling;
pub mod workers;
