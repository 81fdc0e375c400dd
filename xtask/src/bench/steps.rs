//! How fast steps become durable: many instances at once, one instance at a time, and creation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::figure::{Figure, Goal, median};
use super::server::{Server, Setup};

const WORKFLOW: &str = "bench";
/// Steps of an instance where many run at once.
const STEPS: usize = 10;
/// Instances that have been created and have not completed.
const IN_FLIGHT: usize = 512;
const BATCH: usize = 64;
/// Connections that create.
const CREATORS: usize = 4;
/// How often the workflow's counters are looked at.
const POLL: Duration = Duration::from_millis(2);

/// Steps of an instance that runs alone: enough that its times, in whole milliseconds, are exact to a hundredth.
const STEPS_ALONE: usize = 100;
const INSTANCES_ALONE: usize = 31;
const CREATES: usize = 201;

/// Durable steps per second with `IN_FLIGHT` instances, the median of rounds.
///
/// # Errors
/// The server does not do what it should.
pub async fn together(setup: &Setup, rounds: usize, instances: usize) -> Result<Vec<Figure>> {
    let server = Server::start(setup).await?;
    round(&server, IN_FLIGHT).await.context("warming up")?;
    let mut rates = Vec::new();
    for number in 1..=rounds {
        let seconds = round(&server, instances).await?.as_secs_f64();
        let rate = (instances * STEPS) as f64 / seconds;
        eprintln!("round {number}: {rate:.0} steps/s");
        rates.push(rate);
    }
    let megabytes = server.resident_bytes()? as f64 / f64::from(1 << 20);
    Ok(vec![
        Figure::new(
            format!("durable steps, {STEPS} no-op steps per workflow, {IN_FLIGHT} in flight"),
            median(rates),
            "steps/s",
            Goal::AtLeast(50_000.0),
        ),
        Figure::new("server memory after it", megabytes, "MiB", Goal::None),
    ])
}

/// From the first create until the workflow's counters say that the last instance has completed.
async fn round(server: &Server, instances: usize) -> Result<Duration> {
    let mut client = server.client().await?;
    let before = client.count(WORKFLOW, "complete").await?;
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut creators = JoinSet::new();
    let begun = Instant::now();
    for number in 0..CREATORS {
        let (mut client, room) = (server.client().await?, Arc::clone(&room));
        let batches = instances.div_ceil(BATCH);
        let sizes = (number..batches).step_by(CREATORS).map(move |batch| BATCH.min(instances - batch * BATCH));
        creators.spawn(async move {
            for size in sizes {
                room.acquire_many(u32::try_from(size)?).await?.forget();
                client.create_batch(WORKFLOW, size, &Value::Null).await?;
            }
            anyhow::Ok(())
        });
    }
    let mut completed = 0;
    while completed < instances {
        tokio::time::sleep(POLL).await;
        let now = client.count(WORKFLOW, "complete").await? - before;
        room.add_permits(now - completed);
        completed = now;
        while let Some(created) = creators.try_join_next() {
            created??;
        }
    }
    Ok(begun.elapsed())
}

/// Milliseconds per durable step of one instance at a time, by the instance's own times of start and end.
///
/// # Errors
/// The server does not do what it should.
pub async fn alone(setup: &Setup) -> Result<Vec<Figure>> {
    let server = Server::start(setup).await?;
    let mut client = server.client().await?;
    let mut per_step_ms = Vec::new();
    for _ in 0..=INSTANCES_ALONE {
        let id = client.create(WORKFLOW, &json!({ "steps": STEPS_ALONE })).await?;
        let instance = client.completed(WORKFLOW, &id).await?;
        let took_ms = milliseconds(&instance["end"])? - milliseconds(&instance["start"])?;
        per_step_ms.push(took_ms / STEPS_ALONE as f64);
    }
    // The first one waited for its worker process.
    per_step_ms.remove(0);
    Ok(vec![Figure::new(
        format!("one workflow at a time, {STEPS_ALONE} steps, per durable step"),
        median(per_step_ms),
        "ms",
        Goal::AtMost(0.6),
    )])
}

/// Milliseconds until a created instance is acknowledged, while nothing else runs.
///
/// # Errors
/// The server does not do what it should.
pub async fn create(setup: &Setup) -> Result<Vec<Figure>> {
    let server = Server::start(setup).await?;
    let mut client = server.client().await?;
    let (mut created_ms, mut whole_ms) = (Vec::new(), Vec::new());
    for _ in 0..=CREATES {
        let begun = Instant::now();
        let id = client.create(WORKFLOW, &Value::Null).await?;
        created_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        client.completed(WORKFLOW, &id).await?;
        whole_ms.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    // The first one waited for its worker process.
    created_ms.remove(0);
    whole_ms.remove(0);
    Ok(vec![
        Figure::new("create over REST, durable", median(created_ms), "ms", Goal::AtMost(1.5)),
        Figure::new(
            format!("create, {STEPS} steps and the answer that it completed"),
            median(whole_ms),
            "ms",
            Goal::None,
        ),
    ])
}

/// Milliseconds since midnight of an ISO time in UTC. A day's end between two of them makes a wrong figure of one
/// instance, which the median passes over.
fn milliseconds(time: &Value) -> Result<f64> {
    let text = time.as_str().context("a time is missing")?;
    let clock = text.split_once('T').map(|(_, clock)| clock.trim_end_matches('Z')).context("no ISO time")?;
    let parts = clock.split(':').map(str::parse::<f64>).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.into_iter().fold(0.0, |total, part| total * 60.0 + part) * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_read_in_milliseconds() {
        assert_eq!(milliseconds(&json!("2026-01-02T01:02:03.250Z")).unwrap(), 3_723_250.0);
    }
}
