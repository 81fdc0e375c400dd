//! Retention as users write it: `{"success_retention", "error_retention"}` over REST and in configurations,
//! `{successRetention, errorRetention}` in Workers; each a number of milliseconds or a duration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stepwell_engine::Retention;
use stepwell_engine::duration::{parse_ms, whole};
use stepwell_engine::limits::RETENTION_MS_MAX;

use crate::api_error::ApiError;

const DAY_MS: u64 = 86_400_000;

/// As it came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RetentionOptions {
    #[serde(default, alias = "successRetention", skip_serializing_if = "Option::is_none")]
    pub success_retention: Option<Value>,
    #[serde(default, alias = "errorRetention", skip_serializing_if = "Option::is_none")]
    pub error_retention: Option<Value>,
}

impl RetentionOptions {
    /// Nothing is said.
    pub fn is_empty(&self) -> bool {
        self.success_retention.is_none() && self.error_retention.is_none()
    }

    /// What it means.
    ///
    /// # Errors
    /// 400, naming the member.
    pub fn read(&self) -> Result<Retention, ApiError> {
        let read = |name, value: &Option<Value>| value.as_ref().map(|value| read_ms(name, value)).transpose();
        Ok(Retention {
            success_ms: read("success_retention", &self.success_retention)?,
            error_ms: read("error_retention", &self.error_retention)?,
        })
    }
}

fn read_ms(name: &str, value: &Value) -> Result<u64, ApiError> {
    let ms = match value {
        Value::Number(number) => number.as_f64().and_then(whole),
        Value::String(text) => parse_ms(text),
        _ => None,
    };
    let ms = ms.ok_or_else(|| {
        ApiError::bad_request(format!(
            "{name}: {value}: Duration must be a number or a string in format '{{{{number}}}} {{{{unit}}}}' where unit is \
             second(s), minute(s), etc."
        ))
    })?;
    if ms > RETENTION_MS_MAX {
        let days_max = RETENTION_MS_MAX / DAY_MS;
        return Err(ApiError::bad_request(format!("{name}: {value} is more than {days_max} days")));
    }
    Ok(ms)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: Value) -> Result<Retention, ApiError> {
        serde_json::from_value::<RetentionOptions>(options).expect("options").read()
    }

    #[test]
    fn numbers_are_milliseconds_and_texts_are_durations() {
        let expected = Retention { success_ms: Some(5), error_ms: Some(3 * DAY_MS) };
        assert_eq!(read(json!({ "success_retention": 5, "error_retention": "3 days" })), Ok(expected));
        assert_eq!(read(json!({ "successRetention": 5, "errorRetention": "3 days" })), Ok(expected));
        assert_eq!(read(json!({})), Ok(Retention::default()));
    }

    #[test]
    fn what_is_no_duration_is_refused_by_name() {
        for value in [json!("soon"), json!("3 d"), json!(-1), json!(true), json!("-1 day"), json!("3651 days")] {
            let error = read(json!({ "error_retention": value })).expect_err("no retention");
            let named = error.message.starts_with("error_retention: ") && error.message.contains(&value.to_string());
            assert!(error.status == 400 && named, "{}", error.message);
        }
    }
}
