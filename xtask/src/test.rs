//! `cargo xtask test`: the stages that every change has to pass, cheap ones first. It stops at the first that fails.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::tools::Tools;
use crate::{architecture, javascript, openapi, parity, project, sim, tidy, tools};

type Stage = (&'static str, fn(&Tools) -> Result<()>);

const STAGES: [Stage; 9] = [
    ("format", |_| project::succeed(project::cargo().args(["fmt", "--all", "--check"]))),
    ("architecture", |_| architecture::check()),
    ("tidy", |_| tidy::check()),
    ("javascript", |_| javascript::check()),
    ("clippy", |_| {
        let clippy = ["clippy", "--workspace", "--all-targets"];
        project::succeed(project::cargo().args(clippy).args(project::features()).args(["--", "-D", "warnings"]))
    }),
    ("simulator, fixed seeds", |_| sim::run_fixed_seeds()),
    ("tests", |tools| {
        let tests = ["test", "--workspace"];
        project::succeed(tools.set(project::cargo().args(tests).args(project::features())))
    }),
    ("the API against its description", openapi::check),
    ("parity", parity::check),
];

/// Which stages.
#[derive(clap::Args)]
pub struct Options {
    /// Only stages with this in their names; all where absent
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Runs the stages.
///
/// # Errors
/// The first stage that fails, by name; or no stage has such a name.
pub fn run(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let wanted = options.only.as_deref().unwrap_or_default();
    let stages: Vec<Stage> = STAGES.into_iter().filter(|(name, _)| name.contains(wanted)).collect();
    ensure!(!stages.is_empty(), "no stage is named {wanted:?}; there are {}", STAGES.map(|(name, _)| name).join(", "));
    let tools = staged("tools", tools::install)?;
    for (name, stage) in stages {
        staged(name, || stage(&tools))?;
    }
    println!("\n== all passed in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn staged<T>(name: &str, stage: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n== {name}");
    let begun = Instant::now();
    let value = stage().with_context(|| format!("stage failed: {name}"))?;
    println!("== {name}: passed in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(value)
}
