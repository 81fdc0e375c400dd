//! `cargo xtask test`: the stages that every change has to pass, cheap ones first. It stops at the first that fails.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::tools::Tools;
use crate::{architecture, javascript, parity, project, sim, tidy, tools};

type Stage = (&'static str, fn(&Tools) -> Result<()>);

const STAGES: [Stage; 8] = [
    ("format", |_| project::succeed(project::cargo().args(["fmt", "--all", "--check"]))),
    ("architecture", |_| architecture::check()),
    ("tidy", |_| tidy::check()),
    ("javascript", |_| javascript::check()),
    ("clippy", |_| {
        let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        project::succeed(project::cargo().args(lints))
    }),
    ("simulator, fixed seeds", |_| sim::run_fixed_seeds()),
    ("tests", |tools| project::succeed(tools.set(project::cargo().args(["test", "--workspace"])))),
    ("parity", parity::check),
];

/// Runs all stages.
///
/// # Errors
/// The first stage that fails, by name.
pub fn run() -> Result<()> {
    let begun = Instant::now();
    let tools = staged("tools", tools::install)?;
    for (name, stage) in STAGES {
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
