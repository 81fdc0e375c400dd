//! All automation of the project, so that it is the same on every machine and needs only cargo:
//! `cargo xtask run`, `cargo xtask test`, `cargo xtask sim`, `cargo xtask parity`,
//! `cargo xtask bench`.

mod architecture;
mod bench;
mod javascript;
mod openapi;
mod parity;
mod project;
mod run;
mod sim;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::Parser;

/// Stepwell's automation.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Install the tools, build, start a server with the example and run one instance of its workflow.
    Run(run::Options),
    /// Run every check: what must pass before a change is merged.
    Test(test::Options),
    /// Drive the engine through seeded faults.
    Sim(sim::Options),
    /// Compare Stepwell with Miniflare, case by case.
    Parity(parity::Options),
    /// Measure speed and memory of a release build.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Run(options) => run::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Sim(options) => sim::run(&options),
        Command::Parity(options) => parity::run(&options),
        Command::Bench(options) => bench::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
