//! The step that a restart begins at, as REST and bindings name it: `{name, count = 1, type = "do"}`.

use schemars::JsonSchema;
use serde::Deserialize;
use stepwell_engine::engine::Command;
use stepwell_engine::instance::{StepTarget, TargetKind};

use crate::api_error::ApiError;

/// `from` of a restart.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RestartFrom {
    name: String,
    count: Option<f64>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The command for a restart: from the top where no step is named.
///
/// # Errors
/// Where `count` or `type` name no step.
pub fn restart_command(from: Option<RestartFrom>) -> Result<Command, ApiError> {
    let Some(RestartFrom { name, count, kind }) = from else { return Ok(Command::Restart) };
    let kind = match kind.as_deref() {
        None | Some("do") => TargetKind::Do,
        Some("sleep") => TargetKind::Sleep,
        Some("waitForEvent") => TargetKind::Wait,
        Some(other) => {
            return Err(ApiError::bad_request(format!("from.type: {other:?} is not one of do, sleep, waitForEvent")));
        }
    };
    let count = count.unwrap_or(1.0);
    if count < 1.0 || count.fract() != 0.0 || count > f64::from(u32::MAX) {
        return Err(ApiError::bad_request(format!("from.count: {count} is not a positive integer")));
    }
    Ok(Command::RestartFrom(StepTarget { kind, name, count: count as u32 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Command, String> {
        restart_command(serde_json::from_str(text).expect(text)).map_err(|error| error.message)
    }

    #[test]
    fn the_first_do_of_a_name_is_meant_where_nothing_else_is_said() {
        let target = |kind, count| Ok(Command::RestartFrom(StepTarget { kind, name: "a".to_owned(), count }));
        assert_eq!(check("null"), Ok(Command::Restart));
        assert_eq!(check(r#"{"name":"a"}"#), target(TargetKind::Do, 1));
        assert_eq!(check(r#"{"name":"a","count":2,"type":"waitForEvent"}"#), target(TargetKind::Wait, 2));
    }

    #[test]
    fn a_count_or_type_that_names_no_step_is_refused() {
        for text in [r#"{"name":"a","count":0}"#, r#"{"name":"a","count":1.5}"#, r#"{"name":"a","type":"step"}"#] {
            assert!(check(text).is_err_and(|message| message.starts_with("from.")), "{text}");
        }
    }
}
