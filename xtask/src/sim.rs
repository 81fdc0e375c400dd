//! `cargo xtask sim`: the seeded simulator, built with optimisation for many seeds and as the tests are for the few
//! fixed ones.

use anyhow::Result;
use clap::Args;

use crate::project;

/// The cargo target that is the simulator.
const SIMULATOR: [&str; 4] = ["--package", "stepwell-engine", "--example", "sim"];
/// Seeds of every test run: always the same, so that a failure is the change's and not luck's.
const FIXED_SEEDS: Options = Options { seeds: 200, seed: 1 };

/// What the simulator runs.
#[derive(Args)]
pub struct Options {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed; the others follow it. With `--seeds 1` this repeats one run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the simulator with optimisation.
///
/// # Errors
/// A promise is broken (the simulator names the seed), or it cannot be built.
pub fn run(options: &Options) -> Result<()> {
    simulate(&["--release"], options)
}

/// Runs the seeds that belong to every test run.
///
/// # Errors
/// As `run`.
pub fn run_fixed_seeds() -> Result<()> {
    simulate(&[], &FIXED_SEEDS)
}

fn simulate(profile: &[&str], options: &Options) -> Result<()> {
    let mut command = project::cargo();
    command.args(["run", "--quiet"]).args(profile).args(SIMULATOR).arg("--");
    command.args(["--seeds", &options.seeds.to_string(), "--seed", &options.seed.to_string()]);
    project::succeed(&mut command)
}
