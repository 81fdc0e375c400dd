//! `stepwell dev` and `stepwell serve`: the options of a server. The server itself is [`crate::app`].

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use stepwell_engine::engine::Chaos;

use super::policy::PolicyOptions;
use crate::clock::TestClock;

/// Run Workers projects on this machine and deploy them again whenever they change
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DevOptions {
    /// Directories with a wrangler configuration, each a Worker
    #[arg(value_name = "DIR", default_value = ".")]
    pub projects: Vec<PathBuf>,
    /// Port for requests to Workers; 0 takes a free one
    #[arg(long, default_value_t = 8787)]
    pub port: u16,
    /// Port for the API; 0 takes a free one
    #[arg(long, default_value_t = 8788)]
    pub api_port: u16,
    /// Where state is kept [default: .stepwell in the first project]
    #[arg(long, value_name = "DIR")]
    pub persist_to: Option<PathBuf>,
    /// The environment of the configuration, as in [env.NAME]
    #[arg(long, short, value_name = "NAME")]
    pub env: Option<String>,
    /// Let instances finish on the code they began with, as `serve` does, instead of moving on to each change
    #[arg(long)]
    pub pin: bool,
    /// Let this be the server's clock
    #[arg(long, hide = true, value_name = "START[*SPEED]")]
    pub test_clock: Option<TestClock>,
    /// Retry a step that configures no retries after 1 second at first, as `wrangler dev` does, instead of 10
    #[arg(long)]
    pub fast_retries: bool,
    /// Disturb runs on purpose, to find code that does not replay
    #[arg(long, value_name = "KIND")]
    pub chaos: Option<ChaosKind>,
    /// Print what is told about the server as lines of JSON: first {"ingress","api","state","workers"} when it is ready, then {"deployed":[…]} after each change
    #[arg(long)]
    pub json: bool,
}

/// How `stepwell dev` disturbs runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChaosKind {
    /// Drop the run after every step and replay it
    Replay,
}

impl From<ChaosKind> for Chaos {
    fn from(kind: ChaosKind) -> Self {
        match kind {
            ChaosKind::Replay => Self::Replay,
        }
    }
}

/// Run a server for good; code comes to it by deploying
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ServeOptions {
    /// Where everything is kept: code, instances, databases, tokens
    #[arg(long, env = "STEPWELL_DATA", value_name = "DIR")]
    pub data: PathBuf,
    /// Address for requests to Workers
    #[arg(long, default_value = "127.0.0.1:8787", value_name = "ADDR", value_parser = address)]
    pub listen: SocketAddr,
    /// Address for the API
    #[arg(long, default_value = "127.0.0.1:8788", value_name = "ADDR", value_parser = address)]
    pub api: SocketAddr,
    /// Worker processes for each deployment, over which its runs are spread
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub replicas: u32,
    /// For all workflows
    #[command(flatten)]
    pub policy: PolicyOptions,
    /// Remove the secrets that the secrets-key of the data directory does not open; they keep a server from starting
    #[arg(long)]
    pub discard_secrets: bool,
    /// Let this be the server's clock
    #[arg(long, hide = true, value_name = "START[*SPEED]")]
    pub test_clock: Option<TestClock>,
    /// Print what is told about the server as a line of JSON when it is ready: {"ingress","api","data","token"?}
    #[arg(long)]
    pub json: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "it is an IP address with a port, such as 127.0.0.1:8787 or [::1]:8787".to_owned())
}
