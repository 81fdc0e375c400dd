//! How many instances can be created by REST in batches, each durable when it is answered. They begin to run meanwhile.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;
use tokio::task::JoinSet;

use super::client::Client;
use super::figure::{Figure, Goal, median};
use super::server::{Server, Setup};

const WORKFLOW: &str = "sleeper";
const BATCH: usize = 100;
const CREATORS: usize = 4;

/// Instances created per second, the median of rounds, each on a fresh server.
///
/// # Errors
/// The server does not do what it should.
pub async fn batches(setup: &Setup, rounds: usize, instances: usize) -> Result<Vec<Figure>> {
    let mut rates = Vec::new();
    for number in 1..=rounds {
        let server = Server::start(setup).await?;
        // Its worker process is up then.
        create(&server, BATCH).await?;
        let begun = Instant::now();
        create(&server, instances).await?;
        let rate = instances as f64 / begun.elapsed().as_secs_f64();
        eprintln!("round {number}: {rate:.0} instances/s");
        rates.push(rate);
    }
    let name = format!("create over REST, {BATCH} at once over {CREATORS} connections, durable");
    Ok(vec![Figure::new(name, median(rates), "instances/s", Goal::AtLeast(20_000.0))])
}

/// Creates instances that fall asleep for an hour.
///
/// # Errors
/// The server refuses.
pub async fn create(server: &Server, instances: usize) -> Result<()> {
    let mut creators = JoinSet::new();
    for number in 0..CREATORS {
        creators.spawn(create_share(server.client().await?, number, instances));
    }
    while let Some(created) = creators.join_next().await {
        created??;
    }
    Ok(())
}

async fn create_share(mut client: Client, number: usize, instances: usize) -> Result<()> {
    for batch in (number..instances.div_ceil(BATCH)).step_by(CREATORS) {
        let size = BATCH.min(instances - batch * BATCH);
        client.create_batch(WORKFLOW, size, &json!({ "duration": "1 hour" })).await?;
    }
    Ok(())
}
