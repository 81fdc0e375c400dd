//! The binary `stepwell`.

use std::process::ExitCode;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    stepwell::cli::run().await
}
