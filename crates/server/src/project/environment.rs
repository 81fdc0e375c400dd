//! One view of a wrangler configuration for one environment: the named `[env.*]` table over the top level, with wrangler's
//! rules of what is inherited and its warnings where something is not.

use super::diagnostics::{Diagnostics, did_you_mean};
use super::document::{Node, Table, Value};
use super::keys::{self, Handling, KEYS, Scope};
use super::section::Section;

/// The tables that answer for the chosen environment.
#[derive(Debug)]
pub(super) struct Environment<'a> {
    top: &'a Table,
    named: Option<Named<'a>>,
}

#[derive(Debug)]
struct Named<'a> {
    name: String,
    line: u32,
    table: &'a Table,
}

/// A value with the path under which the user wrote it.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub path: String,
    pub node: &'a Node,
}

impl<'a> Environment<'a> {
    pub fn choose(top: &'a Table, name: Option<&str>, diagnostics: &mut Diagnostics) -> Self {
        let named = name.and_then(|name| named_table(top, name, diagnostics));
        Self { top, named }
    }

    /// The value of a top-level key for this environment.
    pub fn get(&self, key: &str) -> Option<Field<'a>> {
        if let Some(named) = &self.named
            && let Some(node) = named.table.get(key)
        {
            return Some(Field { path: format!("env.{}.{key}", named.name), node });
        }
        let scope = keys::find(key).map_or(Scope::TopLevel, |key| key.scope);
        if self.named.is_some() && scope == Scope::PerEnvironment {
            return None;
        }
        self.top.get(key).map(|node| Field { path: key.to_owned(), node })
    }

    /// True when the environment itself says it, so that a name gets no suffix.
    pub fn overrides(&self, key: &str) -> bool {
        self.named.as_ref().is_some_and(|named| named.table.get(key).is_some())
    }

    /// The table in which `key` stands, for the typed getters.
    pub fn section_with(&self, key: &str) -> Section<'a> {
        match &self.named {
            Some(named) if named.table.get(key).is_some() => {
                Section { path: format!("env.{}", named.name), line: named.line, table: named.table }
            }
            _ => Section { path: String::new(), line: 1, table: self.top },
        }
    }

    pub fn section(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Section<'a>> {
        let field = self.get(key)?;
        Section::of(field.node, field.path, diagnostics)
    }

    pub fn sections(&self, key: &str, diagnostics: &mut Diagnostics) -> Vec<Section<'a>> {
        self.get(key).map_or_else(Vec::new, |field| Section::sections_of(field.node, &field.path, diagnostics))
    }

    /// Unknown keys, keys that are not inherited, and keys for what Stepwell does not do.
    pub fn check_keys(&self, diagnostics: &mut Diagnostics) {
        warn_of_unknown("", self.top, &keys::names().collect::<Vec<_>>(), diagnostics);
        if let Some(named) = &self.named {
            let path = format!("env.{}", named.name);
            warn_of_unknown(&path, named.table, &keys::environment_names().collect::<Vec<_>>(), diagnostics);
            self.warn_of_not_inherited(named, diagnostics);
        }
        for key in KEYS {
            if let Some(field) = self.get(key.name) {
                check_handling(key.handling, &field, diagnostics);
            }
        }
    }

    fn warn_of_not_inherited(&self, named: &Named<'_>, diagnostics: &mut Diagnostics) {
        for key in KEYS.iter().filter(|key| key.scope == Scope::PerEnvironment) {
            let Some(top) = self.top.get(key.name) else { continue };
            let environment = &named.name;
            let Some(own) = named.table.get(key.name) else {
                diagnostics.warn(top.line, key.name, not_inherited(key.name, environment));
                continue;
            };
            if let (Value::Table(top), Value::Table(own), "vars" | "define") = (&top.value, &own.value, key.name) {
                for (entry, node) in top.iter().filter(|(entry, _)| own.get(entry).is_none()) {
                    let path = format!("{}.{entry}", key.name);
                    diagnostics.warn(node.line, path.clone(), not_inherited(&path, environment));
                }
            }
        }
    }
}

fn not_inherited(path: &str, environment: &str) -> String {
    format!(
        "exists at the top level, but not in env.{environment}, and is not inherited by environments; \
         add \"{path}\" to env.{environment}"
    )
}

/// As in wrangler: a name that is not there is an error when there are others, else a warning, and the top level serves.
fn named_table<'a>(top: &'a Table, name: &str, diagnostics: &mut Diagnostics) -> Option<Named<'a>> {
    let Some(environments) = top.get("env") else {
        diagnostics.warn(None, "env", format!("no environment \"{name}\" is configured; using the top level"));
        return None;
    };
    let section = Section::of(environments, "env".to_owned(), diagnostics)?;
    let Some(node) = section.table.get(name) else {
        let known: Vec<_> = section.table.iter().map(|(name, _)| name).collect();
        let suggestion = did_you_mean(name, known.iter().copied());
        let message = format!("there is no environment \"{name}\"{suggestion}; there are: {}", known.join(", "));
        diagnostics.error(section.line, "env", message);
        return None;
    };
    let section = section.section(name, diagnostics)?;
    Some(Named { name: name.to_owned(), line: node.line, table: section.table })
}

fn warn_of_unknown(path: &str, table: &Table, known: &[&str], diagnostics: &mut Diagnostics) {
    Section { path: path.to_owned(), line: 1, table }.warn_of_unknown(known, diagnostics);
}

fn check_handling(handling: Handling, field: &Field<'_>, diagnostics: &mut Diagnostics) {
    if declares_nothing(&field.node.value) {
        return;
    }
    match handling {
        Handling::Read | Handling::NoEffect => {}
        Handling::Warned(what) => {
            diagnostics.warn(field.node.line, field.path.as_str(), format!("ignored: {what} yet"));
        }
        Handling::Refused(what) => {
            let message = format!("Stepwell does not have {what} yet; remove it to run this Worker here");
            diagnostics.error(field.node.line, field.path.as_str(), message);
        }
    }
}

/// Also `{ bindings = [] }`, `crons = []`, `no_bundle = false`.
fn declares_nothing(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Table(table) => table.iter().all(|(_, node)| node.value.is_empty()),
        other => other.is_empty(),
    }
}
