//! Many instances of every kind of call under many kills, and then an audit: of what user code did, as an outsider saw
//! it, against what is recorded.
//!
//! `STEPWELL_STORM_SEEDS`, `STEPWELL_STORM_KILLS` and `STEPWELL_STORM_INSTANCES` make it longer.

mod audit;
mod load;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::support::{Journal, Project, Server, kill};
use load::Load;

const WORKER: &str = include_str!("storm/worker.js");

/// Shortest and longest time between two kills.
const PEACE_MS: std::ops::Range<u64> = 50..1_200;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_recorded_is_repeated_under_a_storm_of_kills() {
    let kills = from_environment("STEPWELL_STORM_KILLS", 20);
    let instances = from_environment("STEPWELL_STORM_INSTANCES", 500);
    for seed in 1..=from_environment("STEPWELL_STORM_SEEDS", 1) {
        storm(seed, kills, instances).await;
    }
}

async fn storm(seed: u64, kills: u64, instances: u64) {
    eprintln!("seed {seed}: {instances} instances, {kills} kills");
    let began_at = Instant::now();
    let mut random = StdRng::seed_from_u64(seed);
    let journal = Journal::start().await;
    let project = Project::new(WORKER, &journal);
    let load = Load::start(Server::start(&project).await, instances);
    for _ in 0..kills {
        // Every kill finds instances at all stages.
        load.release(instances / kills);
        tokio::time::sleep(Duration::from_millis(random.random_range(PEACE_MS))).await;
        strike(&mut random, &load, &project).await;
    }
    let killed_at = Instant::now();
    let details = load.finish().await;
    let lines = journal.lines();
    eprintln!(
        "seed {seed}: {} callbacks, kills {:?}, all complete {:?} after the last",
        lines.len(),
        killed_at - began_at,
        killed_at.elapsed(),
    );
    audit::check(&details, &lines);
}

/// Kills a worker, the server, or both, and starts again what does not start by itself.
async fn strike(random: &mut StdRng, load: &Load, project: &Project) {
    let (worker_too, server_too) =
        *[(true, false), (false, true), (false, true), (true, true)].choose(random).expect("one");
    let workers = load.server().await.workers();
    if worker_too && let Some(worker) = workers.choose(random) {
        kill(*worker);
    }
    if server_too {
        load.replace(project).await;
    }
}
