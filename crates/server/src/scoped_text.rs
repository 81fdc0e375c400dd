//! Scoped names in JSON: their one text. (For `#[serde(with = "…")]`.)

use serde::{Deserialize, Deserializer, Serializer};
use stepwell_store::ScopedName;

/// Writes a name.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(name: &ScopedName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(name)
}

/// Reads a name.
///
/// # Errors
/// Where it is no text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ScopedName, D::Error> {
    String::deserialize(deserializer).map(|text| ScopedName::parse(&text))
}
