//! What makes guessing slow: after some wrong tokens, each further one is answered late. Right ones are never delayed.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::locks::lock;

/// Wrong tokens answered at once: a person who mistypes is not punished.
const FREE_FAILURES_MAX: u32 = 10;
/// After so much quiet, everything is forgotten.
const MEMORY_MS: u64 = 60_000;
/// How late further ones are answered.
const DELAY_MS: u64 = 1_000;
/// Answers held back at the same time; what comes beyond is turned away at once, so that a flood holds no memory.
const DELAYED_MAX: usize = 64;

/// Counts failures.
#[derive(Debug)]
pub(super) struct Slowdown {
    recent: Mutex<Option<Recent>>,
    delayed: Semaphore,
}

#[derive(Debug, Clone, Copy)]
struct Recent {
    failures: u32,
    last: Instant,
}

/// There is no room to hold back another answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crowded;

impl Slowdown {
    pub fn new() -> Self {
        Self { recent: Mutex::new(None), delayed: Semaphore::new(DELAYED_MAX) }
    }

    /// Counts a failure and returns when it may be answered.
    pub async fn failed(&self) -> Result<(), Crowded> {
        if self.count(Instant::now()) > FREE_FAILURES_MAX {
            let _place = self.delayed.try_acquire().map_err(|_| Crowded)?;
            tokio::time::sleep(Duration::from_millis(DELAY_MS)).await;
        }
        Ok(())
    }

    fn count(&self, now: Instant) -> u32 {
        let mut recent = lock(&self.recent);
        let earlier = recent
            .filter(|recent| now.saturating_duration_since(recent.last) < Duration::from_millis(MEMORY_MS))
            .map_or(0, |recent| recent.failures);
        let failures = earlier.saturating_add(1);
        *recent = Some(Recent { failures, last: now });
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_forgotten_after_a_quiet_minute() {
        let slowdown = Slowdown::new();
        let now = Instant::now();
        assert_eq!([slowdown.count(now), slowdown.count(now)], [1, 2]);
        assert_eq!(slowdown.count(now + Duration::from_millis(MEMORY_MS)), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failures_are_answered_at_once_and_the_next_ones_late() {
        let slowdown = Slowdown::new();
        let start = tokio::time::Instant::now();
        for _ in 0..FREE_FAILURES_MAX {
            assert_eq!(slowdown.failed().await, Ok(()));
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(slowdown.failed().await, Ok(()));
        assert_eq!(start.elapsed(), Duration::from_millis(DELAY_MS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_failures_is_turned_away() {
        let slowdown = Slowdown::new();
        for _ in 0..FREE_FAILURES_MAX {
            assert_eq!(slowdown.failed().await, Ok(()));
        }
        let flood = (0..=DELAYED_MAX).map(|_| slowdown.failed());
        let answers = futures_util::future::join_all(flood).await;
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Crowded)).count(), 1);
    }
}
