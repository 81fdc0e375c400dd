//! How a step retries: its configuration and the arithmetic of its delays.

use crate::limits::{DELAY_MS_MAX, TIMEOUT_MS_MAX};

/// Retries after the first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryLimit {
    /// At most so many.
    Times(u32),
    /// Until it works.
    Unlimited,
}

impl RetryLimit {
    /// Whether a failure of attempt `attempt` (from 1) leaves another.
    #[must_use]
    pub fn allows_after(self, attempt: u32) -> bool {
        match self {
            Self::Times(limit) => attempt <= limit,
            Self::Unlimited => true,
        }
    }
}

/// How the delay grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// The base each time.
    Constant,
    /// The base times the attempt that failed.
    Linear,
    /// The base doubled with each attempt.
    Exponential,
}

impl Backoff {
    /// Cloudflare's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
            Self::Exponential => "exponential",
        }
    }

    /// The backoff of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Constant, Self::Linear, Self::Exponential].into_iter().find(|backoff| backoff.as_str() == word)
    }
}

/// Configuration of a `do`, resolved when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepConfig {
    /// Retries.
    pub limit: RetryLimit,
    /// Base delay in milliseconds; `None` where user code computes it with each failure.
    pub delay_ms: Option<u64>,
    /// Growth of the delay.
    pub backoff: Backoff,
    /// Bound of one attempt in milliseconds.
    pub timeout_ms: u64,
    /// The output is shown to nobody but user code.
    pub sensitive: bool,
}

impl StepConfig {
    /// Cloudflare's documented defaults: 5 retries, 10 s, exponential, 10 minutes.
    pub const DEFAULT: Self = Self {
        limit: RetryLimit::Times(5),
        delay_ms: Some(10_000),
        backoff: Backoff::Exponential,
        timeout_ms: 600_000,
        sensitive: false,
    };

    /// [`StepConfig::DEFAULT`] with the delay of Cloudflare's local emulation: 1 s.
    pub const FAST: Self = Self { delay_ms: Some(1_000), ..Self::DEFAULT };

    /// A step that must not run twice: no retries.
    #[must_use]
    pub fn is_at_most_once(&self) -> bool {
        self.limit == RetryLimit::Times(0)
    }

    /// Milliseconds between the failure of `attempt` (from 1) and the next one. `base_ms` is what the user's delay
    /// function gave for this failure. Never more than [`DELAY_MS_MAX`].
    #[must_use]
    pub fn delay_after(&self, attempt: u32, base_ms: Option<u64>) -> u64 {
        let base_ms = base_ms.or(self.delay_ms).unwrap_or(0);
        let factor = match self.backoff {
            Backoff::Constant => 1,
            Backoff::Linear => u64::from(attempt),
            Backoff::Exponential => 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX),
        };
        base_ms.saturating_mul(factor).min(DELAY_MS_MAX)
    }

    /// The timeout within [`TIMEOUT_MS_MAX`].
    #[must_use]
    pub fn timeout_bounded_ms(&self) -> u64 {
        self.timeout_ms.min(TIMEOUT_MS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(backoff: Backoff, expected: [u64; 4]) {
        let config = StepConfig { delay_ms: Some(100), backoff, ..StepConfig::DEFAULT };
        assert_eq!([1, 2, 3, 4].map(|attempt| config.delay_after(attempt, None)), expected);
    }

    #[test]
    fn delays_grow_as_documented() {
        check(Backoff::Constant, [100; 4]);
        check(Backoff::Linear, [100, 200, 300, 400]);
        check(Backoff::Exponential, [100, 200, 400, 800]);
    }

    #[test]
    fn a_late_attempt_of_an_exponential_step_stays_within_the_bound() {
        assert_eq!(StepConfig::DEFAULT.delay_after(10_000, None), DELAY_MS_MAX);
    }

    #[test]
    fn the_backoff_applies_to_a_computed_delay_too() {
        assert_eq!(StepConfig::DEFAULT.delay_after(3, Some(5)), 20);
    }

    #[test]
    fn a_limit_counts_retries_not_attempts() {
        assert!(RetryLimit::Times(1).allows_after(1));
        assert!(!RetryLimit::Times(1).allows_after(2));
        assert!(!RetryLimit::Times(0).allows_after(1));
    }
}
