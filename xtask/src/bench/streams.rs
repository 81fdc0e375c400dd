//! What a large stream as a step's result costs: memory beyond what its server and worker had before, and time. User code
//! that reads it chunk by chunk leaves garbage, of which V8 lets some tens of MiB gather; so it is read in both ways.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::client::Client;
use super::figure::{Figure, Goal, median};
use super::server::{Server, Setup};

const WORKFLOW: &str = "streamer";
const MEBIBYTES: usize = 100;
/// Of a stream that brings both processes to what they always have.
const WARM_MEBIBYTES: usize = 1;
const ROUNDS: usize = 3;
/// What it may cost in any process.
const GOAL_MIB: f64 = 64.0;

/// Additional memory at its peak, of the server and of the worker, while a step gives a stream of `MEBIBYTES` and the run
/// reads it back; and how long that takes.
///
/// # Errors
/// The server does not do what it should.
pub async fn streams(setup: &Setup) -> Result<Vec<Figure>> {
    let mut figures = read_as(setup, "chunks", "read chunk by chunk").await?;
    figures.extend(read_as(setup, "one buffer", "read into one buffer").await?);
    Ok(figures)
}

async fn read_as(setup: &Setup, reads: &str, words: &str) -> Result<Vec<Figure>> {
    let (mut server_mib, mut worker_mib, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=ROUNDS {
        let server = Server::start(setup).await?;
        let mut client = server.client().await?;
        stream(&mut client, WARM_MEBIBYTES, reads).await?;
        let (server_before, workers_before) = (server.resident_bytes()?, server.workers_resident_bytes()?);
        server.forget_peaks()?;
        let begun = Instant::now();
        stream(&mut client, MEBIBYTES, reads).await?;
        seconds.push(begun.elapsed().as_secs_f64());
        server_mib.push(mebibytes(server.peak_bytes()?, server_before));
        worker_mib.push(mebibytes(server.workers_peak_bytes()?, workers_before));
        let (server_mib, worker_mib) = (server_mib.last(), worker_mib.last());
        eprintln!("round {number}: server {server_mib:?} MiB, worker {worker_mib:?} MiB");
    }
    let what = format!("a stream of {MEBIBYTES} MiB, written and {words}");
    let goal = Goal::AtMost(GOAL_MIB);
    Ok(vec![
        Figure::new(format!("{what}: memory that the server needs for it"), median(server_mib), "MiB", goal),
        Figure::new(format!("{what}: memory that the worker needs for it"), median(worker_mib), "MiB", goal),
        Figure::new(what, median(seconds), "s", Goal::None),
    ])
}

async fn stream(client: &mut Client, mebibytes: usize, reads: &str) -> Result<Value> {
    let id = client.create(WORKFLOW, &json!({ "mebibytes": mebibytes, "reads": reads })).await?;
    client.completed(WORKFLOW, &id).await
}

fn mebibytes(peak: u64, before: u64) -> f64 {
    peak.saturating_sub(before) as f64 / f64::from(1 << 20)
}
