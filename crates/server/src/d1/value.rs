//! A value as it crosses between D1's JSON and SQLite.
//!
//! D1 binds every number as a float, as JavaScript has it; a column's affinity makes integers of them.
//! Integers read back beyond 2^53 lose precision in the Worker's `JSON.parse`, as on Cloudflare.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};

use super::error::D1Error;
use super::limits::VALUE_OVERHEAD_BYTES;

/// One parameter or one cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL `NULL`; NaN and the infinities become it in JSON.
    Null,
    /// Only ever read; a bound number is `Real`.
    Integer(i64),
    /// A floating point number.
    Real(f64),
    /// UTF-8 text; what is not UTF-8 is replaced when read.
    Text(String),
    /// Bytes; an array of numbers in JSON.
    Blob(Vec<u8>),
}

impl Value {
    /// Reads a parameter: null, number, string, boolean (as 0 or 1) or an array of bytes.
    ///
    /// # Errors
    /// An object, or an array of anything but numbers.
    pub fn from_json(json: serde_json::Value) -> Result<Self, D1Error> {
        Ok(match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(truth) => Self::Real(f64::from(u8::from(truth))),
            serde_json::Value::Number(number) => Self::Real(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(bytes) => Self::Blob(bytes.iter().map(byte).collect::<Result<_, _>>()?),
            serde_json::Value::Object(_) => {
                return Err(D1Error::Request(
                    "a bound parameter is an object; bind null, a number, a string, a boolean or an array of bytes"
                        .to_owned(),
                ));
            }
        })
    }

    /// Copies a cell out of SQLite.
    pub fn from_sql(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(bytes) => Self::Text(String::from_utf8_lossy(bytes).into_owned()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }

    /// Roughly what the value costs in memory.
    pub fn bytes(&self) -> usize {
        VALUE_OVERHEAD_BYTES
            + match self {
                Self::Null | Self::Integer(_) | Self::Real(_) => 0,
                Self::Text(text) => text.len(),
                Self::Blob(bytes) => bytes.len(),
            }
    }
}

/// An element of a bound array, wrapped to eight bits as JavaScript's `Uint8Array` does.
fn byte(json: &serde_json::Value) -> Result<u8, D1Error> {
    let number = match json {
        serde_json::Value::Null => 0.0,
        other => other.as_f64().ok_or_else(|| {
            D1Error::Request("a bound array holds something other than numbers; arrays are bytes".to_owned())
        })?,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..256 by rem_euclid")]
    Ok(number.trunc().rem_euclid(256.0) as u8)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Real(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Blob(bytes) => serializer.collect_seq(bytes),
        }
    }
}
