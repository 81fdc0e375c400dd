//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Options of `stepwell dev`.
#[derive(Debug, clap::Args)]
pub struct DevOptions {
    /// Projects: directories with a wrangler configuration
    pub dirs: Vec<PathBuf>,
    /// Port of the ingress
    #[arg(long, default_value_t = 8787)]
    pub port: u16,
    /// Port of the API
    #[arg(long, default_value_t = 8788)]
    pub api_port: u16,
    /// Where the state is kept
    #[arg(long)]
    pub persist_to: Option<PathBuf>,
    /// Environment of the wrangler configuration
    #[arg(long)]
    pub env: Option<String>,
    /// Instances stay on the deployment they started on
    #[arg(long)]
    pub pin: bool,
}

/// Options of `stepwell serve`.
#[derive(Debug, clap::Args)]
pub struct ServeOptions {
    /// Data directory
    #[arg(long)]
    pub data: PathBuf,
    /// Address of the ingress
    #[arg(long, default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Address of the API
    #[arg(long, default_value = "127.0.0.1:8788")]
    pub api: SocketAddr,
    /// Worker processes for each deployment
    #[arg(long, default_value_t = 1)]
    pub replicas: u32,
}

#[derive(Debug, Parser)]
enum Command {
    Dev(DevOptions),
    Serve(ServeOptions),
}

/// Runs the command line of this process.
pub async fn run() -> ExitCode {
    let result = match Command::parse() {
        Command::Dev(options) => crate::app::dev(options).await,
        Command::Serve(options) => crate::app::serve(options).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
