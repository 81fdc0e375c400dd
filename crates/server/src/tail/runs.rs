//! Runs of workflows as tails show them: an event for each run that is over, with what its code wrote. A run that goes on
//! shows its lines before, in events of their own, within a second or so. What was shown once is not repeated.

use std::collections::HashMap;

use stepwell_engine::{Millis, RunId};
use stepwell_runtime::translate::ConsoleLine;
use stepwell_store::{ScopedName, Store};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::limits::{RUN_LINES_WAIT, RUN_NEWS_WAITING_MAX, RUNS_GATHERED_MAX};
use super::{Event, Exception, Invocation, Line, Outcome, Tails, Told};
use crate::driver::{FollowedRun, Follower, RunEnd, RunNews, RunWord};

/// Takes what the driver tells, without waiting.
#[derive(Debug)]
pub struct RunFollower {
    tails: Tails,
    news: mpsc::Sender<RunNews>,
}

impl RunFollower {
    /// Follows runs for tails, from now on.
    pub fn start(tails: Tails, store: Store) -> Self {
        let (news, incoming) = mpsc::channel(RUN_NEWS_WAITING_MAX);
        tokio::spawn(gather(incoming, tails.clone(), store));
        Self { tails, news }
    }
}

impl Follower for RunFollower {
    fn follows(&self, script: &ScopedName) -> bool {
        self.tails.is_read(script)
    }

    fn tell(&self, news: RunNews) {
        // More than tails can show: they are no record, the instance's own log has every line.
        if let Err(TrySendError::Full(lost)) = self.news.try_send(news) {
            self.tails.miss(&lost.of.catalog.script);
        }
    }
}

/// What a run has said and nobody has been shown.
struct Gathered {
    of: FollowedRun,
    told: Told,
}

async fn gather(mut news: mpsc::Receiver<RunNews>, tails: Tails, store: Store) {
    let mut gatherer = Gatherer { runs: HashMap::new(), show_at: Instant::now(), tails, store };
    loop {
        tokio::select! {
            Some(one) = news.recv() => gatherer.take(one).await,
            () = tokio::time::sleep_until(gatherer.show_at), if !gatherer.runs.is_empty() => gatherer.show_all().await,
            else => return,
        }
    }
}

struct Gatherer {
    runs: HashMap<RunId, Gathered>,
    /// When they are shown, if there are any.
    show_at: Instant,
    tails: Tails,
    store: Store,
}

impl Gatherer {
    async fn take(&mut self, RunNews { of, at, word }: RunNews) {
        match word {
            RunWord::Wrote(ConsoleLine { step, level, message, .. }) => {
                let is_full = self.runs.get(&of.run).is_some_and(|one| !one.told.has_room_for(&message));
                if let Some(full) = is_full.then(|| self.runs.remove(&of.run)).flatten() {
                    self.show(full, None).await;
                }
                self.add(of, |told| told.write(Line { at, level, message, step }));
            }
            RunWord::Threw(error) => self.add(of, |told| told.throw(Exception::new(error, at))),
            RunWord::Over(end) => {
                let mut told = self.runs.remove(&of.run).map(|one| one.told).unwrap_or_default();
                let outcome = outcome(end, at, &mut told);
                self.show(Gathered { of, told }, Some((outcome, at))).await;
            }
        }
    }

    /// Where too many runs speak at once, the newest is not heard.
    fn add(&mut self, of: FollowedRun, add: impl FnOnce(&mut Told)) {
        if self.runs.is_empty() {
            self.show_at = Instant::now() + RUN_LINES_WAIT;
        }
        if self.runs.len() >= RUNS_GATHERED_MAX && !self.runs.contains_key(&of.run) {
            return self.tails.miss(&of.catalog.script);
        }
        add(&mut self.runs.entry(of.run).or_insert_with(|| Gathered { of, told: Told::default() }).told);
    }

    async fn show_all(&mut self) {
        for one in std::mem::take(&mut self.runs).into_values() {
            self.show(one, None).await;
        }
    }

    /// Shows what was gathered. `over`: how the run ended and when, where it has.
    async fn show(&self, Gathered { of, told }: Gathered, over: Option<(Outcome, Millis)>) {
        let Some(info) = of.catalog.start_info(of.workflow) else { return };
        let instance = match of.id {
            Some(id) => Some(id),
            None => self.store.instance(of.key).await.ok().flatten().map(|row| row.id),
        };
        self.tails.show(&Event {
            script: of.catalog.script.clone(),
            version: Some(of.catalog.deployment),
            outcome: over.map_or(told.outcome(), |(outcome, _)| outcome),
            at: told.lines.first().map_or(of.started_at, |line| line.at),
            wall_ms: over.map(|(_, at)| at - of.started_at),
            invocation: Invocation::Run { class: info.class.clone(), workflow: info.workflow.clone(), instance },
            told,
        });
    }
}

fn outcome(end: RunEnd, at: Millis, told: &mut Told) -> Outcome {
    match end {
        RunEnd::Ok => told.outcome(),
        RunEnd::Threw(error) => {
            told.throw(Exception::new(error, at));
            Outcome::Exception
        }
        RunEnd::Canceled if told.exceptions.is_empty() => Outcome::Canceled,
        RunEnd::Canceled => Outcome::Exception,
        RunEnd::Hung => Outcome::ExceededCpu,
        RunEnd::Lost => Outcome::Unknown,
    }
}
