//! What a server costs while nothing happens: idle, and with many instances asleep.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::batches;
use super::figure::{Figure, Goal};
use super::server::{Server, Setup};

const WORKFLOW: &str = "sleeper";
const STEPPER: &str = "bench";
/// A server that has just started has done what it does at its start by then.
const SETTLED_AFTER_START: Duration = Duration::from_secs(3);
/// How long memory must stay as it is to be called settled, and how long to wait for it.
const SETTLED_FOR: u32 = 10;
const SETTLED_WITHIN: u32 = 90;
const SETTLED_BYTES: u64 = 256 << 10;
const SECOND: Duration = Duration::from_secs(1);
const MIB: f64 = (1 << 20) as f64;

/// Memory and computing of a server that has nothing to do: before its first instance, and with a worker process up.
///
/// # Errors
/// The server does not do what it should.
pub async fn idle(setup: &Setup, seconds: u64) -> Result<Vec<Figure>> {
    let server = Server::start(setup).await?;
    tokio::time::sleep(SETTLED_AFTER_START).await;
    let resident = server.resident_bytes()? as f64 / MIB;
    let fresh = load(&server, seconds).await?;
    let mut client = server.client().await?;
    let id = client.create(STEPPER, &Value::Null).await?;
    client.completed(STEPPER, &id).await?;
    tokio::time::sleep(SETTLED_AFTER_START).await;
    let warm = load(&server, seconds).await?;
    Ok(vec![
        Figure::new("idle server, resident (workerd apart)", resident, "MiB", Goal::AtMost(40.0)),
        Figure::new(format!("idle server, of one core over {seconds} s"), fresh, "%", Goal::AtMost(0.1)),
        Figure::new("the same with a worker process up", warm, "%", Goal::AtMost(0.1)),
        Figure::new("its worker process, resident", server.workers_resident_bytes()? as f64 / MIB, "MiB", Goal::None),
    ])
}

/// Percent of one core.
async fn load(server: &Server, seconds: u64) -> Result<f64> {
    let before = server.cpu_time()?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let computed = server.cpu_time()?.saturating_sub(before);
    Ok(computed.as_secs_f64() / seconds as f64 * 100.0)
}

/// Memory and disk of instances that sleep for an hour, and how fast a server with them starts.
///
/// # Errors
/// The server does not do what it should.
pub async fn asleep(setup: &Setup, sleepers: usize) -> Result<Vec<Figure>> {
    let server = Server::start(setup).await?;
    tokio::time::sleep(SETTLED_AFTER_START).await;
    let idle = server.resident_bytes()?;
    put_to_sleep(&server, sleepers).await?;
    let settled = settled_bytes(&server).await?;
    let workers = server.workers_resident_bytes()? as f64 / MIB;
    let each = |bytes: f64| bytes / sleepers as f64;
    let (server, disk, first_answer) = server.restart(setup, WORKFLOW).await?;
    let restarted = server.resident_bytes()? as f64;
    Ok(vec![
        Figure::new(
            format!("{sleepers} instances asleep: server memory, each"),
            each(settled as f64 - idle as f64),
            "bytes",
            Goal::AtMost(300.0),
        ),
        Figure::new("the same after a restart", each(restarted - idle as f64), "bytes", Goal::AtMost(300.0)),
        Figure::new("the worker process then, resident", workers, "MiB", Goal::None),
        Figure::new("disk, each", each(disk as f64), "bytes", Goal::AtMost(1024.0)),
        Figure::new("restart with them, to the first answer", first_answer.as_secs_f64(), "s", Goal::AtMost(1.0)),
    ])
}

async fn put_to_sleep(server: &Server, sleepers: usize) -> Result<()> {
    batches::create(server, sleepers).await?;
    let mut client = server.client().await?;
    while client.count(WORKFLOW, "waiting").await? < sleepers {
        tokio::time::sleep(SECOND).await;
    }
    Ok(())
}

/// Resident bytes of the server once they have stopped to change.
async fn settled_bytes(server: &Server) -> Result<u64> {
    let mut reference = server.resident_bytes()?;
    let mut calm = 0;
    for _ in 0..SETTLED_WITHIN {
        tokio::time::sleep(SECOND).await;
        let now = server.resident_bytes()?;
        calm = if now.abs_diff(reference) <= SETTLED_BYTES { calm + 1 } else { 0 };
        if calm == 0 {
            reference = now;
        }
        if calm == SETTLED_FOR {
            return Ok(now);
        }
    }
    None.context("the server's memory does not settle")
}
