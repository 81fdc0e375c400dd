//! A configuration file as a tree of values that remember their lines, the same tree for TOML and for JSON with comments.
//!
//! Reading into the tree first, instead of into typed structs, lets one report name every problem of a file with its line,
//! and lets unknown keys be a warning. Nothing here knows what a key means.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jsonc_parser::ast::Value as JsonValue;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::ConfigError;

/// Of UTF-8, where it says nothing.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// A value and the 1-based line it stands on.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub value: Value,
    pub line: u32,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    /// A date or time of TOML, which JSON has not.
    Date(String),
    List(Vec<Node>),
    Table(Table),
}

/// Keys in the order of the file; the line of an entry is that of its key.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    entries: Vec<(String, Node)>,
}

impl Table {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries.iter().map(|(name, node)| (name.as_str(), node))
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// As in JavaScript, the last of two equal keys of a JSON object counts.
    fn insert(&mut self, key: String, node: Node) {
        self.entries.retain(|(name, _)| *name != key);
        self.entries.push((key, node));
    }
}

impl Value {
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Words for "but is …" in a message.
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(text) => format!("{text:?}"),
            Self::Date(text) => format!("the TOML date {text}"),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
        }
    }

    /// The value as JSON; a TOML date becomes its text.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Number(value) => value.clone().into(),
            Self::Text(text) | Self::Date(text) => text.clone().into(),
            Self::List(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Table(table) => table.iter().map(|(key, node)| (key.to_owned(), node.value.to_json())).collect(),
        }
    }

    /// True for what declares nothing: null, `[]`, `{}`.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::List(items) => items.is_empty(),
            Self::Table(table) => table.is_empty(),
            _ => false,
        }
    }
}

/// Reads a `.toml` file as TOML and any other as JSON with comments and trailing commas.
pub(super) fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = text(path).map_err(|cause| ConfigError::Unreadable { file: path.to_owned(), cause })??;
    let lines = Lines { path, text: &text };
    if path.extension().is_some_and(|extension| extension == "toml") { lines.toml() } else { lines.json() }
}

/// The text of a file, without the mark that some editors put at its beginning.
///
/// # Errors
/// Those of the system, for the caller to tell; within, that it is no text.
pub(super) fn text(path: &Path) -> io::Result<Result<String, ConfigError>> {
    let text = String::from_utf8(fs::read(path)?);
    Ok(match text {
        Ok(text) => Ok(match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => rest.to_owned(),
            None => text,
        }),
        Err(_) => Err(syntax(path, 1, "the file is not UTF-8; save it as UTF-8")),
    })
}

fn syntax(path: &Path, line: u32, message: &str) -> ConfigError {
    ConfigError::Syntax { file: PathBuf::from(path), line, message: message.trim_end().to_owned() }
}

struct Lines<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Lines<'_> {
    fn line_at(&self, offset: usize) -> u32 {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let newlines = before.iter().filter(|byte| **byte == b'\n').count();
        u32::try_from(newlines + 1).unwrap_or(u32::MAX)
    }

    fn toml(&self) -> Result<Table, ConfigError> {
        let root = DeTable::parse(self.text).map_err(|error| {
            let line = error.span().map_or(1, |span| self.line_at(span.start));
            syntax(self.path, line, error.message())
        })?;
        Ok(self.toml_table(root.get_ref()))
    }

    fn toml_table(&self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut result = Table::default();
        for (key, value) in entries {
            result.insert(key.get_ref().to_string(), self.toml_node(value, key.span().start));
        }
        result
    }

    fn toml_node(&self, node: &Spanned<DeValue<'_>>, offset: usize) -> Node {
        let value = match node.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => integer(number.as_str(), number.radix()),
            DeValue::Float(number) => float(number.as_str()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.toml_node(item, item.span().start)).collect())
            }
            DeValue::Table(table) => Value::Table(self.toml_table(table)),
        };
        Node { value, line: self.line_at(offset) }
    }

    fn json(&self) -> Result<Table, ConfigError> {
        let options = ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
        };
        let parsed = parse_to_ast(self.text, &CollectOptions::default(), &options)
            .map_err(|error| syntax(self.path, self.line_at(error.range().start), &error.kind().to_string()))?;
        match parsed.value.map(|value| self.json_node(&value, 0).value) {
            Some(Value::Table(table)) => Ok(table),
            _ => Err(syntax(self.path, 1, "the file should hold one object, as in { \"name\": … }")),
        }
    }

    fn json_node(&self, value: &JsonValue<'_>, offset: usize) -> Node {
        let value = match value {
            JsonValue::NullKeyword(_) => Value::Null,
            JsonValue::BooleanLit(literal) => Value::Bool(literal.value),
            JsonValue::NumberLit(literal) => literal.value.parse().map_or(Value::Null, Value::Number),
            JsonValue::StringLit(literal) => Value::Text(literal.value.to_string()),
            JsonValue::Array(array) => {
                Value::List(array.elements.iter().map(|item| self.json_node(item, item.range().start)).collect())
            }
            JsonValue::Object(object) => {
                let mut table = Table::default();
                for property in &object.properties {
                    let node = self.json_node(&property.value, property.range.start);
                    table.insert(property.name.as_str().to_owned(), node);
                }
                Value::Table(table)
            }
        };
        Node { value, line: self.line_at(offset) }
    }
}

fn integer(digits: &str, radix: u32) -> Value {
    i64::from_str_radix(digits, radix).map_or_else(|_| float(digits), |number| Value::Number(number.into()))
}

/// JSON has no infinity and no NaN: as in `JSON.stringify`, they become null.
fn float(digits: &str) -> Value {
    let number = digits.parse().ok().and_then(serde_json::Number::from_f64);
    number.map_or(Value::Null, Value::Number)
}
