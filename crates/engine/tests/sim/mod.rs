//! A seeded simulator: the real engine on a simulated machine whose server crashes, whose workers die and hang, whose
//! messages are late and whose clock jumps, while the promises of the design are checked. Nothing is left to chance: a
//! run is (commit, seed).

mod checker;
mod checker_rollback;
mod client;
mod code;
mod course;
mod host;
mod keeping;
pub mod mutant;
mod nature;
mod program;
mod rng;
mod run;
mod store;
mod streams;
mod turn;
mod undo;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use mutant::Mutant;
use world::World;

/// A broken promise, and what led to it.
#[derive(Debug)]
pub struct Broken {
    pub seed: u64,
    pub promise: String,
    pub trace: String,
}

/// Simulates one seed; says how many events it took.
///
/// # Errors
/// The first promise that was broken.
pub fn simulate(seed: u64, mutant: Option<Mutant>) -> Result<u64, Broken> {
    let (world, promise) = play(seed, mutant, false);
    let Some(promise) = promise else { return Ok(world.steps) };
    Err(Broken { seed, promise, trace: String::new() })
}

/// The same with a trace of the last events before the promise was broken.
pub fn explain(seed: u64, mutant: Option<Mutant>) -> Option<Broken> {
    let (world, promise) = play(seed, mutant, true);
    promise.map(|promise| Broken { seed, promise, trace: world.trace() })
}

fn play(seed: u64, mutant: Option<Mutant>, tracing: bool) -> (World, Option<String>) {
    let mut world = World::new(seed, mutant, tracing);
    let panicked = catch_unwind(AssertUnwindSafe(|| world.run())).err().map(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("the engine panics: {}", text.unwrap_or_default())
    });
    let promise = panicked.or(world.checker.broken.take());
    (world, promise)
}
