//! Plays a case on a host and gathers what was observed. Nothing is judged here.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value as Json, json};

use super::case::{Case, Journal, Op};
use super::host::Host;

/// How long a condition is waited for: above the longest documented default delays of a case, 10 s and 20 s.
const PATIENCE: Duration = Duration::from_secs(75);
/// How often a condition is looked at, at first and at last: many cases wait at once.
const POLL_FIRST: Duration = Duration::from_millis(20);
const POLL_LAST: Duration = Duration::from_millis(250);
/// Name of the journal among the observations.
pub const JOURNAL: &str = "journal";

/// A case that is being played.
pub struct Play<'a> {
    host: &'a Host,
    case: &'a Case,
    /// How many things of its script have been done.
    done: usize,
    seen: Map<String, Json>,
}

/// What a case has come to where the server is killed.
pub struct Half {
    done: usize,
    seen: Map<String, Json>,
}

impl<'a> Play<'a> {
    /// Begins a case.
    pub fn new(host: &'a Host, case: &'a Case) -> Self {
        Self { host, case, done: 0, seen: Map::new() }
    }

    /// Goes on with a case after its half.
    pub fn resume(host: &'a Host, case: &'a Case, half: Half) -> Self {
        Self { host, case, done: half.done, seen: half.seen }
    }

    /// Plays a case until so many things of its script are done.
    ///
    /// # Errors
    /// The host fails, or what is waited for does not come.
    pub async fn half(host: &Host, case: &Case, done: usize) -> Result<Half> {
        let mut play = Play::new(host, case);
        while play.done < done
            && let Some(op) = case.script.get(play.done)
        {
            play.done += 1;
            play.step(op).await.with_context(|| case.name.clone())?;
        }
        Ok(Half { done: play.done, seen: play.seen })
    }

    /// Plays the rest and answers all observations, by their names.
    ///
    /// # Errors
    /// As [`Self::half`].
    pub async fn finish(mut self) -> Result<Json> {
        while let Some(op) = self.case.script.get(self.done) {
            self.done += 1;
            self.step(op).await?;
        }
        if self.case.journal != Journal::None {
            let mut journal = self.host.journal(&self.case.worker, &self.case.name).await?;
            if self.case.journal == Journal::Set {
                journal.sort_unstable();
            }
            self.seen.insert(JOURNAL.to_owned(), journal.into());
        }
        Ok(self.seen.into())
    }

    async fn step(&mut self, op: &Op) -> Result<()> {
        let (host, worker) = (self.host, &self.case.worker);
        match op {
            Op::Call { label, request } => {
                let answer = host.ask(worker, request).await?;
                self.seen.insert(label.clone(), answer);
            }
            Op::Until { workflow, id, statuses } => {
                let request = json!({ "workflow": workflow, "id": id, "method": "status", "args": [] });
                let told = format!("{id} being {}", statuses.join(" or "));
                eventually(&told, async || {
                    let answer = host.ask(worker, &request).await?;
                    let is_so = statuses.iter().any(|status| answer["value"]["status"] == **status);
                    Ok(if is_so { Ok(()) } else { Err(answer) })
                })
                .await?;
            }
            Op::Marked { id, mark, times } => {
                let told = format!("{id} noting {mark:?} {times} times");
                eventually(&told, async || {
                    let journal = host.journal(worker, id).await?;
                    let is_so = journal.iter().filter(|entry| *entry == mark).count() >= *times;
                    Ok(if is_so { Ok(()) } else { Err(json!(journal)) })
                })
                .await?;
            }
            Op::Quiet { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Op::Crash => {}
        }
        Ok(())
    }
}

/// Looks until it is so; what was seen last is told where it never is.
async fn eventually(told: &str, mut look: impl AsyncFnMut() -> Result<Result<(), Json>>) -> Result<()> {
    let begun = Instant::now();
    let mut pause = POLL_FIRST;
    loop {
        let Err(last) = look().await.with_context(|| format!("waiting for {told}"))? else { return Ok(()) };
        if begun.elapsed() > PATIENCE {
            bail!("{told} did not come within {} s; last seen: {last}", PATIENCE.as_secs());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(POLL_LAST);
    }
}
