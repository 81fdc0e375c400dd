//! The bytes of a value that is sent as JSON: the same that the shim counts, so that escapes and white space do not
//! count against the limit. A text within the limit is not looked into.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use stepwell_engine::Payload;
use stepwell_engine::limits::VALUE_BYTES_MAX;

/// Of an array or an object, beside its members.
const COLLECTION_BYTES: u64 = 8;
const NUMBER_BYTES: u64 = 8;
/// Most integers are shorter than other numbers.
const INTEGER_BYTES: u64 = 4;

/// A value that JSON carries, with its size.
pub fn payload(json: &str) -> Payload {
    let mut payload = Payload::from_json(Arc::<str>::from(json));
    if payload.value_bytes > VALUE_BYTES_MAX
        && let Ok(Size(bytes)) = serde_json::from_str(json)
    {
        payload.value_bytes = bytes;
    }
    payload
}

struct Size(u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Measure)
    }
}

struct Measure;

impl<'de> Visitor<'de> for Measure {
    type Value = Size;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Size, E> {
        Ok(Size(1))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Size, E> {
        Ok(Size(1))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Size, E> {
        Ok(Size(if i32::try_from(number).is_ok() { INTEGER_BYTES } else { NUMBER_BYTES }))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Size, E> {
        Ok(Size(if i32::try_from(number).is_ok() { INTEGER_BYTES } else { NUMBER_BYTES }))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Size, E> {
        Ok(Size(NUMBER_BYTES))
    }

    fn visit_str<E>(self, text: &str) -> Result<Size, E> {
        Ok(Size(text_bytes(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Size, A::Error> {
        let mut bytes = COLLECTION_BYTES;
        while let Some(Size(member)) = members.next_element()? {
            bytes += member;
        }
        Ok(Size(bytes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Size, A::Error> {
        let mut bytes = COLLECTION_BYTES;
        while let Some((Size(name), Size(member))) = members.next_entry()? {
            bytes += name + member;
        }
        Ok(Size(bytes))
    }
}

/// V8 has one byte for each character of a text where that is enough for all, and two otherwise. Nothing counts as nothing.
fn text_bytes(text: &str) -> u64 {
    let (mut units, mut widest) = (0, '\0');
    for char in text.chars() {
        units += char.len_utf16() as u64;
        widest = widest.max(char);
    }
    if widest <= '\u{ff}' { units.max(1) } else { units * 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_white_space_do_not_count() {
        let check = |value: &serde_json::Value, bytes| {
            let padded = format!("{}{value}", " ".repeat(1 << 20));
            assert_eq!(payload(&padded).value_bytes, bytes, "{value}");
        };
        check(&serde_json::json!("\"\n\u{1}é"), 4);
        check(&serde_json::json!(""), 1);
        check(&serde_json::json!("漢é"), 4);
        check(&serde_json::json!("🚀"), 4);
        check(&serde_json::json!([1, -1, 1.5, 3_000_000_000_u64, true, null]), 8 + 4 + 4 + 8 + 8 + 1 + 1);
        check(&serde_json::json!({ "ab": "c", "d": {} }), 8 + 2 + 1 + 1 + 8);
        assert_eq!(payload("[1, 2]").value_bytes, 6);
    }
}
