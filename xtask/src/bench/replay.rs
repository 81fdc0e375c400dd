//! How long an instance with a long history takes to go on after its worker process was killed.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::figure::{Figure, Goal, median};
use super::server::{Server, Setup};

const WORKFLOW: &str = "bench";
const EVENT: &str = "go-on";
const STEPS: usize = 10_000;
const ROUNDS: usize = 5;
const POLL: Duration = Duration::from_millis(50);

/// Seconds from the event that an instance of `STEPS` steps waits for, sent after its worker process was killed, until
/// the answer that it has completed: a new process, its code, the whole history and the end.
///
/// # Errors
/// The server does not do what it should.
pub async fn replay(setup: &Setup) -> Result<Vec<Figure>> {
    let server = Server::start(setup).await?;
    let mut client = server.client().await?;
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        let id = client.create(WORKFLOW, &json!({ "steps": STEPS, "event": EVENT })).await?;
        while client.count(WORKFLOW, "waiting").await? == 0 {
            tokio::time::sleep(POLL).await;
        }
        server.kill_workers().await?;
        let begun = Instant::now();
        client.send_event(WORKFLOW, &id, EVENT).await?;
        client.completed(WORKFLOW, &id).await?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    let name = format!("an instance of {STEPS} steps replays, with the start of a worker process");
    Ok(vec![Figure::new(name, median(seconds), "s", Goal::AtMost(1.0))])
}
