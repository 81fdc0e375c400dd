//! Settings of a workflow: as `PUT /workflows/{name}` brings them, and as the store keeps them, where their first members
//! are those of [`ScriptWorkflow`](crate::script::ScriptWorkflow).

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stepwell_engine::engine::WorkflowSettings;
use stepwell_engine::limits::STEPS_MAX;
use stepwell_engine::{Cron, DeploymentId, Retention};

use super::retention::RetentionOptions;
use crate::api_error::ApiError;

/// What may be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedules: Option<Vec<Schedule>>,
    /// How long ended instances are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_retention: Option<RetentionOptions>,
}

/// The text in the store.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    name: String,
    class_name: String,
    steps_max: Option<u32>,
    concurrency_max: Option<u32>,
    schedules: Option<Vec<Schedule>>,
    default_retention: Option<RetentionOptions>,
}

/// Bounds of an instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
}

/// Bounds of the whole workflow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Concurrency {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// When instances are created by themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    pub cron: String,
}

impl WorkflowOptions {
    /// Options as the store keeps them. What another version wrote and this one cannot read counts as not set.
    pub fn from_settings(text: &str) -> Self {
        let kept: Kept = serde_json::from_str(text).unwrap_or_else(|error| {
            tracing::warn!(%error, "settings of a workflow cannot be read");
            Kept::default()
        });
        Self {
            limits: kept.steps_max.map(|steps| Limits { steps: Some(steps) }),
            concurrency: kept.concurrency_max.map(|limit| Concurrency { limit: Some(limit) }),
            schedules: kept.schedules.filter(|schedules| !schedules.is_empty()),
            default_retention: kept.default_retention.filter(|retention| !retention.is_empty()),
        }
    }

    /// Options for the store, with the workflow they belong to.
    pub fn to_settings(&self, name: &str, class_name: &str) -> String {
        let kept = Kept {
            name: name.to_owned(),
            class_name: class_name.to_owned(),
            steps_max: self.limits.as_ref().and_then(|limits| limits.steps),
            concurrency_max: self.concurrency.as_ref().and_then(|concurrency| concurrency.limit),
            schedules: self.schedules.clone(),
            default_retention: self.default_retention.clone(),
        };
        serde_json::to_string(&kept).unwrap_or_else(|_| "{}".to_owned())
    }

    /// What the engine must know of the workflow.
    pub fn engine(&self, deployment: DeploymentId, follows_newest: bool, usual: Retention) -> WorkflowSettings {
        let concurrency = self.concurrency.as_ref().and_then(|concurrency| concurrency.limit);
        let concurrency = concurrency.map(|limit| limit as usize);
        // What was stored has been checked; what another version stored and this one cannot read is not said.
        let own = self.default_retention.as_ref().and_then(|retention| retention.read().ok());
        let retention = own.unwrap_or_default().or(usual);
        WorkflowSettings { deployment, follows_newest, concurrency, retention }
    }

    /// The expressions of the schedules, each once.
    pub fn crons(&self) -> Vec<String> {
        let all = self.schedules.iter().flatten().map(|schedule| schedule.cron.clone());
        all.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Refuses what cannot be.
    ///
    /// # Errors
    /// 400, naming the option.
    pub fn check(&self) -> Result<(), ApiError> {
        if let Some(steps) = self.limits.as_ref().and_then(|limits| limits.steps)
            && !(1..=STEPS_MAX).contains(&steps)
        {
            return Err(ApiError::bad_request(format!("limits.steps: {steps} is not within 1 and {STEPS_MAX}")));
        }
        if self.concurrency.as_ref().and_then(|concurrency| concurrency.limit) == Some(0) {
            return Err(ApiError::bad_request("concurrency.limit: 0 would let no instance run; the least is 1"));
        }
        for cron in self.crons() {
            Cron::parse(&cron).map_err(|error| ApiError::bad_request(format!("schedules: {error}")))?;
        }
        self.default_retention.as_ref().map_or(Ok(()), |retention| retention.read().map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> WorkflowOptions {
        serde_json::from_str(text).expect("options")
    }

    #[test]
    fn options_come_back_from_the_store_as_they_were() {
        let text = r#"{"limits":{"steps":7},"concurrency":{"limit":2},"schedules":[{"cron":"* * * * *"}],"default_retention":{"success_retention":"3 days"}}"#;
        let kept = options(text).to_settings("w", "C");
        assert_eq!(WorkflowOptions::from_settings(&kept), options(text));
        assert_eq!(WorkflowOptions::from_settings("?"), WorkflowOptions::default());
    }

    #[test]
    fn what_the_store_keeps_is_a_workflow_of_its_script() {
        let kept = options(r#"{"limits":{"steps":7},"concurrency":{"limit":2}}"#).to_settings("w", "C");
        let read: crate::script::ScriptWorkflow = serde_json::from_str(&kept).expect("settings");
        assert_eq!((read.name.as_str(), read.class_name.as_str()), ("w", "C"));
        assert_eq!((read.steps_max, read.concurrency_max), (Some(7), Some(2)));
    }

    #[test]
    fn the_engine_is_told_of_concurrency_and_retention() {
        let text = r#"{"concurrency":{"limit":2},"default_retention":{"error_retention":"1 day"}}"#;
        let usual = Retention { success_ms: Some(1), error_ms: Some(2) };
        let retention = Retention { success_ms: Some(1), error_ms: Some(86_400_000) };
        assert_eq!(
            options(text).engine(DeploymentId(3), true, usual),
            WorkflowSettings { deployment: DeploymentId(3), follows_newest: true, concurrency: Some(2), retention }
        );
    }

    #[test]
    fn options_that_cannot_be_are_refused() {
        for (text, named) in [
            (r#"{"limits":{"steps":0}}"#, "limits.steps"),
            (r#"{"limits":{"steps":25001}}"#, "limits.steps"),
            (r#"{"concurrency":{"limit":0}}"#, "concurrency.limit"),
            (r#"{"schedules":[{"cron":"61 * * * *"}]}"#, "\"61 * * * *\""),
            (r#"{"default_retention":{"success_retention":"soon"}}"#, "success_retention"),
        ] {
            let error = options(text).check().expect_err(text);
            assert!(error.message.contains(named), "{}", error.message);
        }
        assert_eq!(options(r#"{"limits":{"steps":25000},"concurrency":{"limit":1}}"#).check(), Ok(()));
    }
}
