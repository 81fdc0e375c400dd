//! One table of a configuration file, read key by key: each getter checks the type, reports what is wrong with the full key
//! path, and returns nothing then, so that reading goes on and finds the next problem.

use super::diagnostics::{Diagnostics, did_you_mean};
use super::document::{Node, Table, Value};

#[derive(Debug, Clone)]
pub(super) struct Section<'a> {
    pub path: String,
    pub line: u32,
    pub table: &'a Table,
}

impl<'a> Section<'a> {
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub fn line_of(&self, key: &str) -> u32 {
        self.table.get(key).map_or(self.line, |node| node.line)
    }

    pub fn text(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<String> {
        match &self.table.get(key)?.value {
            Value::Text(text) => Some(text.clone()),
            other => self.wrong(key, "a string", other, diagnostics),
        }
    }

    /// As [`Self::text`]; absent and empty are errors too.
    pub fn required_text(&self, key: &str, meaning: &str, diagnostics: &mut Diagnostics) -> Option<String> {
        if self.table.get(key).is_none() {
            diagnostics.error(self.line, self.path.clone(), format!("\"{key}\" is missing; it is {meaning}"));
            return None;
        }
        let text = self.text(key, diagnostics)?;
        if text.is_empty() {
            diagnostics.error(self.line_of(key), self.key(key), format!("must not be empty; it is {meaning}"));
            return None;
        }
        Some(text)
    }

    pub fn boolean(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<bool> {
        match &self.table.get(key)?.value {
            Value::Bool(value) => Some(*value),
            other => self.wrong(key, "true or false", other, diagnostics),
        }
    }

    pub fn positive_integer(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<u32> {
        let value = &self.table.get(key)?.value;
        let number = match value {
            Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        number.filter(|number| *number > 0).or_else(|| self.wrong(key, "a whole number from 1 on", value, diagnostics))
    }

    pub fn texts(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
        let value = &self.table.get(key)?.value;
        let Value::List(items) = value else { return self.wrong(key, "a list of strings", value, diagnostics) };
        let texts: Option<Vec<_>> = items
            .iter()
            .map(|item| match &item.value {
                Value::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect();
        texts.or_else(|| {
            diagnostics.error(self.line_of(key), self.key(key), "should be a list of strings");
            None
        })
    }

    pub fn section(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Section<'a>> {
        let node = self.table.get(key)?;
        Self::of(node, self.key(key), diagnostics)
    }

    /// A list of tables, as in `[[workflows]]`.
    pub fn sections_of(node: &'a Node, path: &str, diagnostics: &mut Diagnostics) -> Vec<Section<'a>> {
        let Value::List(items) = &node.value else {
            let message = format!("should be a list of tables but is {}", node.value.describe());
            diagnostics.error(node.line, path, message);
            return Vec::new();
        };
        let sections = items.iter().enumerate();
        sections.filter_map(|(index, item)| Self::of(item, format!("{path}[{index}]"), diagnostics)).collect()
    }

    pub fn of(node: &'a Node, path: String, diagnostics: &mut Diagnostics) -> Option<Section<'a>> {
        let Value::Table(table) = &node.value else {
            let message = format!("should be a table but is {}", node.value.describe());
            diagnostics.error(node.line, path, message);
            return None;
        };
        Some(Section { path, line: node.line, table })
    }

    /// Keys outside `known` are warnings, as wrangler has it.
    pub fn warn_of_unknown(&self, known: &[&str], diagnostics: &mut Diagnostics) {
        for (key, node) in self.unknown(known) {
            let suggestion = did_you_mean(key, known.iter().copied());
            diagnostics.warn(node.line, self.key(key), format!("unexpected field, ignored{suggestion}"));
        }
    }

    /// Keys outside `known` are errors, as in files of our own.
    pub fn refuse_unknown(&self, known: &[&str], diagnostics: &mut Diagnostics) {
        for (key, node) in self.unknown(known) {
            let suggestion = did_you_mean(key, known.iter().copied());
            let message = format!("unknown key{suggestion}; known here: {}", known.join(", "));
            diagnostics.error(node.line, self.key(key), message);
        }
    }

    fn unknown(&self, known: &[&str]) -> impl Iterator<Item = (&'a str, &'a Node)> {
        self.table.iter().filter(move |(key, _)| !known.contains(key))
    }

    fn wrong<T>(&self, key: &str, expected: &str, value: &Value, diagnostics: &mut Diagnostics) -> Option<T> {
        let message = format!("should be {expected} but is {}", value.describe());
        diagnostics.error(self.line_of(key), self.key(key), message);
        None
    }
}
