//! User values between the adapter Worker and the server: texts that nobody in between reads.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use stepwell_engine::Payload;

/// A user value: JSON text, and a JSON string literal where that is not exact.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Travelling<'a> {
    #[serde(borrow, default, deserialize_with = "raw_or_null", skip_serializing_if = "Option::is_none")]
    json: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    exact: Option<&'a RawValue>,
    /// Bytes of the value itself, beside `exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// A `null` that is there is a value; serde would read it as absent.
pub fn raw_or_null<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Travelling<'a> {
    /// A kept value.
    ///
    /// # Errors
    /// Where a text is not JSON, which only a damaged store can hold.
    pub fn of(payload: &'a Payload) -> Result<Self, serde_json::Error> {
        let raw = |text: &'a Option<Arc<str>>| text.as_deref().map(serde_json::from_str::<&'a RawValue>).transpose();
        Ok(Self { json: raw(&payload.json)?, exact: raw(&payload.exact)?, bytes: None })
    }

    /// `undefined`.
    #[must_use]
    pub fn is_undefined(&self) -> bool {
        self.json.is_none() && self.exact.is_none()
    }
}

impl From<Travelling<'_>> for Payload {
    fn from(value: Travelling<'_>) -> Self {
        let text = |raw: Option<&RawValue>| raw.map(|raw| Arc::<str>::from(raw.get()));
        let (json, exact) = (text(value.json), text(value.exact));
        let value_bytes = value.bytes.unwrap_or_else(|| json.as_ref().map_or(0, |text| text.len() as u64));
        Self { json, exact, value_bytes }
    }
}
