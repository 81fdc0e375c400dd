//! JSON in which an object is wanted wherever a struct is read. serde's derived structs take arrays too, their members in
//! the order of the declaration, which is nobody's interface.
//!
//! What is read by `#[serde(flatten)]`, `tag` or `untagged` goes through serde's own buffer and is not seen here.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Reads a value.
///
/// # Errors
/// With line and column, and the members of the object that was wanted.
pub fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let value = T::deserialize(Objects(&mut json))?;
    json.end()?;
    Ok(value)
}

/// Reads a value further.
///
/// # Errors
/// With the members of the object that was wanted.
pub fn read_value<T: DeserializeOwned>(value: &Value) -> serde_json::Result<T> {
    T::deserialize(Objects(value))
}

/// Reads structs from objects only, at every depth.
struct Objects<T>(T);

/// What is to become of a value, with the members of the object that it must be.
struct Wanted<V> {
    visitor: V,
    members: &'static [&'static str],
}

impl<V> Wanted<V> {
    fn any(visitor: V) -> Self {
        Self { visitor, members: &[] }
    }
}

macro_rules! deserialize {
    ($($method:ident($($name:ident: $kind:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($name,)* Wanted::any(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Wanted { visitor, members })
    }

    deserialize! {
        deserialize_any() deserialize_bool() deserialize_char() deserialize_str() deserialize_string()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_bytes() deserialize_byte_buf()
        deserialize_option() deserialize_unit() deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str) deserialize_seq() deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize) deserialize_map()
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
        deserialize_identifier() deserialize_ignored_any()
    }
}

macro_rules! visit {
    ($($method:ident($kind:ty))*) => {$(
        fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Wanted<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.members {
            [] => self.visitor.expecting(f),
            members => write!(f, "an object with {}", members.join(", ")),
        }
    }

    visit! {
        visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64)
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Objects(value))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, value: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Objects(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Objects(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Objects(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, word: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(word)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        self.0.deserialize(Objects(deserializer))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        inner: Option<Inner>,
        #[serde(default)]
        listed: Vec<Inner>,
        #[serde(default)]
        named: BTreeMap<String, Inner>,
        #[serde(default)]
        any: Value,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        a: u32,
    }

    fn check(json: &str, expected: &str) {
        let refused = read::<Outer>(json.as_bytes()).expect_err(json);
        assert_eq!(refused.to_string(), expected, "{json}");
    }

    #[test]
    fn an_array_is_no_object_at_any_depth() {
        check("[null]", "invalid type: sequence, expected an object with inner, listed, named, any at line 1 column 0");
        check(r#"{"inner":[1]}"#, "invalid type: sequence, expected an object with a at line 1 column 9");
        check(r#"{"listed":[{"a":1},[1]]}"#, "invalid type: sequence, expected an object with a at line 1 column 19");
        check(r#"{"named":{"x":[1]}}"#, "invalid type: sequence, expected an object with a at line 1 column 14");
        check(r#"{"inner":7}"#, "invalid type: integer `7`, expected an object with a at line 1 column 10");
        check("{} {}", "trailing characters at line 1 column 4");
    }

    #[test]
    fn everything_else_is_read_as_ever() {
        let read: Outer = read(br#"{"inner":null,"listed":[{"a":1}],"named":{"x":{"a":2}},"any":[1,"x",{"y":[]}]}"#)
            .expect("an object");
        assert_eq!((read.inner, read.listed), (None, vec![Inner { a: 1 }]));
        assert_eq!((read.named["x"].a, read.any), (2, serde_json::json!([1, "x", { "y": [] }])));
    }

    #[test]
    fn raw_values_keep_their_text() {
        let all: BTreeMap<&str, &RawValue> = read(br#"{"a":[1, 2],"b":"x"}"#).expect("an object");
        assert_eq!((all["a"].get(), all["b"].get()), ("[1, 2]", "\"x\""));
    }
}
