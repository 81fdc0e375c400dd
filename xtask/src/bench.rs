//! `cargo xtask bench`: speed and memory of a release build with full durability, each figure beside its goal. It is no
//! test: what the machine does besides changes the figures.
//!
//! Every group of figures gets a server of its own on a fresh data directory. Linux only: memory and computing are read
//! from `/proc`.

mod batches;
mod client;
mod deploys;
mod figure;
mod lists;
mod replay;
mod rest;
mod server;
mod steps;
mod streams;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use crate::{project, tools};
use figure::{Figure, Goal, median};
use server::Setup;

/// The program that measures engine and store without a worker.
const ENGINE: [&str; 6] = ["run", "--quiet", "--release", "--package=stepwell", "--example", "engine_rate"];

/// What is measured.
#[derive(Args)]
pub struct Options {
    /// Measure only these groups; all unless given.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Group>,
    /// Rounds of the figures that are medians of rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Instances of ten steps in each round.
    #[arg(long, default_value_t = 20_000)]
    instances: usize,
    /// Instances that sleep.
    #[arg(long, default_value_t = 100_000)]
    sleepers: usize,
    /// Seconds over which an idle server's computing is measured.
    #[arg(long, default_value_t = 60)]
    idle_s: u64,
    /// Measure this binary instead of building one, to compare two of them.
    #[arg(long, value_name = "FILE")]
    stepwell: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A group of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Steps per second of many instances.
    Steps,
    /// Engine and store without a worker.
    Engine,
    /// One instance at a time.
    Alone,
    /// Creation over REST.
    Create,
    /// Creation over REST in batches.
    Batches,
    /// Lists of very many instances.
    Lists,
    /// Deploys.
    Deploys,
    /// An idle server.
    Idle,
    /// Instances asleep.
    Asleep,
    /// A long history.
    Replay,
    /// A large stream.
    Streams,
}

/// Measures and prints.
///
/// # Errors
/// The build fails, or the server does not do what it should.
pub fn run(options: &Options) -> Result<()> {
    let stepwell = options.stepwell.clone().map_or_else(tools::build_release, Ok)?;
    let directory = project::target_directory()?.join("bench");
    std::fs::create_dir_all(&directory)?;
    let setup = Setup { stepwell, directory };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = Vec::new();
    for group in Group::value_variants().iter().filter(|group| options.wants(**group)) {
        eprintln!("== {group:?}");
        let measured = runtime.block_on(measure(*group, options, &setup));
        figures.extend(measured.with_context(|| format!("measuring {group:?}"))?);
    }
    if options.json {
        let figures: Vec<_> = figures.iter().map(Figure::to_json).collect();
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        print!("\n{}", figure::table(&figures));
    }
    Ok(())
}

impl Options {
    fn wants(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }
}

async fn measure(group: Group, options: &Options, setup: &Setup) -> Result<Vec<Figure>> {
    match group {
        Group::Steps => steps::together(setup, options.rounds, options.instances).await,
        Group::Engine => engine(options.rounds),
        Group::Alone => steps::alone(setup).await,
        Group::Create => steps::create(setup).await,
        Group::Batches => batches::batches(setup, options.rounds, options.sleepers).await,
        Group::Lists => lists::lists(setup).await,
        Group::Deploys => deploys::deploys(setup).await,
        Group::Idle => rest::idle(setup, options.idle_s).await,
        Group::Asleep => rest::asleep(setup, options.sleepers).await,
        Group::Replay => replay::replay(setup).await,
        Group::Streams => streams::streams(setup).await,
    }
}

/// Entries per second of engine and store, as a program of their own measures them.
fn engine(rounds: usize) -> Result<Vec<Figure>> {
    let mut rates = Vec::new();
    for number in 1..=rounds {
        let rate = project::read(project::cargo().args(ENGINE).args(project::features()))?;
        let rate: f64 = rate.trim().parse().with_context(|| format!("engine_rate printed {rate:?}"))?;
        eprintln!("round {number}: {rate:.0} entries/s");
        rates.push(rate);
    }
    let name = "engine and store alone, with a worker that answers at once";
    Ok(vec![Figure::new(name, median(rates), "entries/s", Goal::AtLeast(200_000.0))])
}
