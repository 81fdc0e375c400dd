//! How fast instances may be created: an operator's bound for the whole server and for each workflow. Restarts count, what
//! schedules create does not.
//!
//! Each bound is a bucket that fills by its rate and holds what comes in a second, but at least a whole batch, so that no
//! batch is refused for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use stepwell_engine::WorkflowId;

use crate::api_error::ApiError;
use crate::platform_batch::BATCH_INSTANCES_MAX;

/// Instances per second; unbounded where absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreationRates {
    /// Of the whole server.
    pub server: Option<u32>,
    /// Of each workflow.
    pub workflow: Option<u32>,
}

/// The bounds with what has been used of them. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct CreationRate {
    rates: CreationRates,
    buckets: Arc<Mutex<Buckets>>,
}

#[derive(Debug, Default)]
struct Buckets {
    server: Bucket,
    workflows: HashMap<WorkflowId, Bucket>,
}

/// `None` is a full one.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket(Option<Level>);

#[derive(Debug, Clone, Copy)]
struct Level {
    left: f64,
    at: Instant,
}

impl CreationRate {
    /// Bounds of which nothing has been used.
    #[must_use]
    pub fn new(rates: CreationRates) -> Self {
        Self { rates, buckets: Arc::default() }
    }

    /// Takes room for so many new instances, or none.
    ///
    /// # Errors
    /// 429, where that is more than there is.
    pub fn take(&self, workflow: WorkflowId, count: usize, now: Instant) -> Result<(), ApiError> {
        if self.rates == CreationRates::default() {
            return Ok(());
        }
        let Buckets { server, workflows } = &mut *self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let own = workflows.entry(workflow).or_default();
        let bounds = [(self.rates.server, server, "this server"), (self.rates.workflow, own, "this workflow")];
        for (rate, bucket, whose) in &bounds {
            if let Some(rate) = rate.filter(|rate| bucket.left(*rate, now) < count as f64) {
                return Err(exceeded(whose, rate));
            }
        }
        for (rate, bucket, _) in bounds {
            if let Some(rate) = rate {
                bucket.0 = Some(Level { left: bucket.left(rate, now) - count as f64, at: now });
            }
        }
        Ok(())
    }
}

impl Bucket {
    fn left(self, rate: u32, now: Instant) -> f64 {
        let full = f64::from(rate).max(BATCH_INSTANCES_MAX as f64);
        let filled =
            |level: Level| level.left + now.saturating_duration_since(level.at).as_secs_f64() * f64::from(rate);
        self.0.map_or(full, |level| filled(level).min(full))
    }
}

fn exceeded(whose: &str, rate: u32) -> ApiError {
    let message = format!("the creation rate of {whose} is exceeded: {rate} instances per second; try again later");
    ApiError::new(429, 10_429, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: WorkflowId = WorkflowId(1);
    const B: WorkflowId = WorkflowId(2);

    #[test]
    fn without_bounds_everything_goes() {
        let rate = CreationRate::default();
        assert_eq!(rate.take(A, usize::MAX, Instant::now()), Ok(()));
    }

    #[test]
    fn what_is_used_comes_back_with_time() {
        let rate = CreationRate::new(CreationRates { server: Some(10), workflow: None });
        let now = Instant::now();
        assert_eq!(rate.take(A, 100, now), Ok(()));
        let error = rate.take(B, 1, now).expect_err("nothing is left");
        assert_eq!((error.status, error.message.contains("10 instances per second")), (429, true));
        assert_eq!(rate.take(B, 10, now + Duration::from_secs(1)), Ok(()));
        assert!(rate.take(B, 1, now + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn each_workflow_has_its_own_bound() {
        let rate = CreationRate::new(CreationRates { server: Some(1_000), workflow: Some(200) });
        let now = Instant::now();
        assert_eq!(rate.take(A, 200, now), Ok(()));
        assert!(rate.take(A, 1, now).expect_err("full").message.contains("this workflow"));
        assert_eq!(rate.take(B, 200, now), Ok(()));
    }

    #[test]
    fn what_is_refused_uses_nothing() {
        let rate = CreationRate::new(CreationRates { server: Some(300), workflow: Some(100) });
        let now = Instant::now();
        assert!(rate.take(A, 101, now).is_err());
        assert_eq!(rate.take(A, 100, now), Ok(()));
        assert_eq!(rate.take(B, 100, now), Ok(()));
    }
}
