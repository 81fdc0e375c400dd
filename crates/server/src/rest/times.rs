//! Times as the API writes and reads them: ISO 8601 in UTC with milliseconds.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use stepwell_engine::Millis;

use crate::api_error::ApiError;

/// Epoch milliseconds that are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Iso(pub Millis);

impl JsonSchema for Iso {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl Serialize for Iso {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self)
    }
}

impl std::fmt::Display for Iso {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let limit = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        write!(f, "{:.3}", Timestamp::from_millisecond(self.0).unwrap_or(limit))
    }
}

/// Reads a time or a date; a date is its first moment in UTC.
///
/// # Errors
/// 400, naming the parameter.
pub fn parse(parameter: &str, text: &str) -> Result<Millis, ApiError> {
    let time = text.parse::<Timestamp>().ok();
    let date = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    time.or_else(|| date().map(|zoned| zoned.timestamp())).map(Timestamp::as_millisecond).ok_or_else(|| {
        ApiError::bad_request(format!("{parameter}: {text:?} is not a time such as 2026-01-31T12:00:00Z"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_end_in_z() {
        assert_eq!(Iso(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Iso(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
    }

    #[test]
    fn a_time_beyond_the_calendar_is_written_as_its_end() {
        assert!(Iso(i64::MAX).to_string().starts_with("9999-12-"));
        assert!(Iso(i64::MIN).to_string().starts_with('-'));
    }

    #[test]
    fn times_and_dates_are_read() {
        assert_eq!(parse("date_start", "1970-01-01T00:00:01.5Z"), Ok(1_500));
        assert_eq!(parse("date_start", "1970-01-01T01:00:00+01:00"), Ok(0));
        assert_eq!(parse("date_start", "1970-01-02"), Ok(86_400_000));
    }

    #[test]
    fn a_bad_time_is_refused_by_name() {
        let error = parse("date_end", "yesterday").expect_err("not a time");
        assert_eq!(error.status, 400);
        assert!(error.message.contains("date_end") && error.message.contains("yesterday"));
    }
}
