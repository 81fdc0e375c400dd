//! What an operator decides for all workflows of a server, as options of `stepwell serve`.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use stepwell_engine::Retention;
use stepwell_engine::duration::parse_ms;
use stepwell_engine::limits::RETENTION_MS_MAX;

use crate::creation_rate::CreationRates;
use crate::registry::Policy;

/// Cloudflare's default for workflows made since September 2026.
const RETENTION_DEFAULT: &str = "7 days";

/// Decisions of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PolicyOptions {
    /// Keep ended instances for so long, where neither they nor their workflow say otherwise: a duration such as
    /// "30 days", or "forever"
    #[arg(long, env = "STEPWELL_RETENTION", value_name = "DURATION", default_value = RETENTION_DEFAULT)]
    pub retention: Kept,
    /// What a deploy does to instances that have started: they finish on their code, or go on with the newest whenever
    /// they wake up
    #[arg(long, env = "STEPWELL_ON_DEPLOY", value_name = "MODE", default_value = "pinned")]
    pub on_deploy: OnDeploy,
    /// Let at most so many instances be created per second; more get 429
    #[arg(long, env = "STEPWELL_CREATE_RATE", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub create_rate: Option<u32>,
    /// The same for each workflow
    #[arg(long, env = "STEPWELL_WORKFLOW_CREATE_RATE", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub workflow_create_rate: Option<u32>,
}

/// How long something is kept, in milliseconds; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept(pub Option<u64>);

impl FromStr for Kept {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "forever" {
            return Ok(Self(None));
        }
        let ms = parse_ms(text).filter(|ms| *ms <= RETENTION_MS_MAX);
        ms.map(|ms| Self(Some(ms))).ok_or_else(|| {
            "not a duration such as \"30 days\" or \"12 hours\", at most 3650 days; \"forever\" deletes nothing"
                .to_owned()
        })
    }
}

impl Default for Kept {
    fn default() -> Self {
        RETENTION_DEFAULT.parse().expect("a duration")
    }
}

impl From<Kept> for Retention {
    fn from(Kept(ms): Kept) -> Self {
        Self { success_ms: ms, error_ms: ms }
    }
}

/// What becomes of started instances at a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnDeploy {
    /// They stay on their deployment.
    Pinned,
    /// They move to the newest at their next wake-up.
    Latest,
}

impl PolicyOptions {
    /// For the registry of workflows.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy { follows_newest: self.on_deploy == OnDeploy::Latest, retention: self.retention.into() }
    }

    /// For the platform.
    #[must_use]
    pub fn creation_rates(&self) -> CreationRates {
        CreationRates { server: self.create_rate, workflow: self.workflow_create_rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_a_duration_or_for_ever() {
        assert_eq!("2 days".parse(), Ok(Kept(Some(172_800_000))));
        assert_eq!("forever".parse(), Ok(Kept(None)));
        for text in ["", "soon", "3 d", "4000 days"] {
            assert!(text.parse::<Kept>().is_err(), "{text}");
        }
    }
}
