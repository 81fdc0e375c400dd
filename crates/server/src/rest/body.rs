//! Request bodies: bounded, and refused with the place of the first fault.

use axum::body::{Body, Bytes, to_bytes};
use serde::Deserialize;
use serde_json::value::RawValue;
use stepwell_engine::Payload;

use super::{objects, value_size};
use crate::api_error::ApiError;

/// Reads a body of at most so many bytes.
///
/// # Errors
/// 413 above that.
pub async fn read(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    to_bytes(body, bytes_max).await.map_err(|error| {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(cause) = source {
            if cause.is::<http_body_util::LengthLimitError>() {
                let message = format!("the request's body is larger than {bytes_max} bytes; send less at once");
                return ApiError::new(413, 10_413, message);
            }
            source = cause.source();
        }
        ApiError::bad_request(format!("the request's body could not be read: {error}"))
    })
}

/// Reads JSON of a known shape.
///
/// # Errors
/// 400 with line and column.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    objects::read(body).map_err(|error| ApiError::bad_request(format!("the request's body: {error}")))
}

/// A value as its sender wrote it.
///
/// # Errors
/// 400 with line and column.
pub fn parse_payload(body: &[u8]) -> Result<Payload, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(Payload::UNDEFINED);
    }
    parse::<&RawValue>(body).map(|value| value_size::payload(value.get()))
}

/// `params` of a new instance: a JSON value, as wrangler sends it, or a string that holds one, as Cloudflare's description
/// has it. Only an object or an array is looked for in a string: one that reads as a number or as `true` is a string.
pub fn params(value: &RawValue) -> Payload {
    let inner = serde_json::from_str::<String>(value.get()).ok();
    let inner = inner.as_deref().filter(|text| text.trim_start().starts_with(['{', '[']));
    let inner = inner.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    value_size::payload(inner.unwrap_or(value).get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params_of(text: &str) -> String {
        let payload = params(serde_json::from_str(text).expect("JSON"));
        payload.json.as_deref().unwrap_or_default().to_owned()
    }

    #[test]
    fn params_are_a_value_or_a_string_that_holds_an_object_or_an_array() {
        for (given, taken) in [
            (r#"{"a": 1}"#, r#"{"a": 1}"#),
            (r#""{\"a\": 1}""#, r#"{"a": 1}"#),
            (r#"" [1] ""#, "[1]"),
            (r#""hello""#, r#""hello""#),
            (r#""{hello""#, r#""{hello""#),
            (r#""5""#, r#""5""#),
            (r#""true""#, r#""true""#),
            (r#""null""#, r#""null""#),
            (r#""\"5\"""#, r#""\"5\"""#),
            ("[1]", "[1]"),
            ("7", "7"),
        ] {
            assert_eq!(params_of(given), taken, "{given}");
        }
    }

    #[test]
    fn malformed_json_is_refused_with_its_place() {
        let error = parse_payload(b"{\n  \"a\": }").expect_err("not JSON");
        assert_eq!(error.status, 400);
        assert!(error.message.contains("line 2 column 8"), "{}", error.message);
    }

    #[test]
    fn an_empty_body_is_undefined() {
        assert_eq!(parse_payload(b" \n"), Ok(Payload::UNDEFINED));
    }

    #[tokio::test]
    async fn a_body_above_its_bound_is_refused() {
        let error = read(Body::from("12345"), 4).await.expect_err("five bytes");
        assert_eq!(error.status, 413);
        assert_eq!(read(Body::from("1234"), 4).await.map(|bytes| bytes.len()), Ok(4));
    }
}
