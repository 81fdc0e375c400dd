//! Local secrets, found and read as wrangler finds and reads them: `.dev.vars.<env>` else `.dev.vars`; without either,
//! `.env`, `.env.local`, `.env.<env>` and `.env.<env>.local`, later files over earlier ones, with `$NAME` expanded. Left out: the
//! whole environment of the process as secrets (`CLOUDFLARE_INCLUDE_PROCESS_ENV`).

use std::collections::BTreeMap;
use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::diagnostics::ConfigError;
use super::document::{self, BYTE_ORDER_MARK};

/// Names and values, and every file that was or would be read, for watching.
#[derive(Debug, Default)]
pub(super) struct LocalSecrets {
    pub values: BTreeMap<String, String>,
    pub candidates: Vec<PathBuf>,
}

impl LocalSecrets {
    pub fn load(root: &Path, environment: Option<&str>) -> Result<Self, ConfigError> {
        let mut secrets = Self::default();
        let dev_vars = environment.map(|name| format!(".dev.vars.{name}")).into_iter().chain([".dev.vars".to_owned()]);
        for name in dev_vars {
            if let Some(text) = secrets.read(&root.join(name))? {
                secrets.values = parse(&text);
                return Ok(secrets);
            }
        }
        if switched_off("CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV") {
            return Ok(secrets);
        }
        let mut values = BTreeMap::new();
        for name in dot_env_names(environment) {
            let text = secrets.read(&root.join(name))?;
            values.extend(text.as_deref().map(parse).unwrap_or_default());
        }
        secrets.values = expand(&values);
        Ok(secrets)
    }

    fn read(&mut self, path: &Path) -> Result<Option<String>, ConfigError> {
        self.candidates.push(path.to_owned());
        match document::text(path) {
            Ok(text) => text.map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(ConfigError::Unreadable { file: path.to_owned(), cause }),
        }
    }
}

fn switched_off(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| value.eq_ignore_ascii_case("false"))
}

fn dot_env_names(environment: Option<&str>) -> Vec<String> {
    let mut names = vec![".env".to_owned(), ".env.local".to_owned()];
    if let Some(environment) = environment {
        names.extend([format!(".env.{environment}"), format!(".env.{environment}.local")]);
    }
    names
}

/// npm `dotenv`'s grammar: `export` allowed, `=` or `:`, three kinds of quotes over several lines, `#` comments; lines that
/// are none of this are skipped.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).replace("\r\n", "\n");
    let mut values = BTreeMap::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        if let Some((key, value, after)) = entry(rest) {
            values.insert(key.to_owned(), value);
            rest = after;
        }
        rest = rest.split_once('\n').map_or("", |(_, after)| after);
    }
    values
}

/// The entry that starts on the first line, and the text after its value (still on the value's last line).
fn entry(text: &str) -> Option<(&str, String, &str)> {
    let line = text.trim_start_matches([' ', '\t']);
    let line = line
        .strip_prefix("export")
        .filter(|rest| rest.starts_with([' ', '\t']))
        .unwrap_or(line)
        .trim_start_matches([' ', '\t']);
    let key_end = line.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))?;
    let (key, rest) = line.split_at(key_end);
    let after_separator = rest
        .trim_start_matches([' ', '\t'])
        .strip_prefix('=')
        .or_else(|| rest.strip_prefix(':').filter(|rest| rest.starts_with([' ', '\t'])))?;
    if key.is_empty() {
        return None;
    }
    let value = after_separator.trim_start_matches([' ', '\t']);
    let (value, after) = quoted(value).unwrap_or_else(|| unquoted(value));
    Some((key, value, after))
}

/// A quoted value counts only when nothing but a comment follows it on its line.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let inner = &text[1..];
    let end = closing(inner, quote)?;
    let after = &inner[end + 1..];
    let remainder = after.split('\n').next().unwrap_or_default().trim();
    if !(remainder.is_empty() || remainder.starts_with('#')) {
        return None;
    }
    let value = &inner[..end];
    let value = if quote == '"' { value.replace("\\n", "\n").replace("\\r", "\r") } else { value.to_owned() };
    Some((value, after))
}

fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        if c == quote && !escaped {
            return Some(index);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

fn unquoted(text: &str) -> (String, &str) {
    let end = text.find(['#', '\n']).unwrap_or(text.len());
    (text[..end].trim().to_owned(), &text[end..])
}

/// `$NAME`, `${NAME}` and `${NAME:-default}`, from the same files; `\$` is a dollar.
fn expand(values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    values.iter().map(|(key, value)| (key.clone(), expand_value(value, values, EXPANSION_DEPTH_MAX))).collect()
}

/// Names that refer to each other in a circle end here.
const EXPANSION_DEPTH_MAX: usize = 8;

fn expand_value(value: &str, values: &BTreeMap<String, String>, depth: usize) -> String {
    let Some(at) = value.find('$').filter(|_| depth > 0) else { return value.to_owned() };
    let (before, rest) = (&value[..at], &value[at + 1..]);
    if let Some(before) = before.strip_suffix('\\') {
        return format!("{before}${}", expand_value(rest, values, depth));
    }
    let Some((name, default, after)) = reference(rest) else {
        return format!("{before}${}", expand_value(rest, values, depth));
    };
    let found = values.get(name).filter(|value| !value.is_empty()).map_or(default, String::as_str);
    format!("{before}{}{}", expand_value(found, values, depth - 1), expand_value(after, values, depth))
}

/// The name, its default and what follows, from the text after a `$`.
fn reference(text: &str) -> Option<(&str, &str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        let (inside, after) = braced.split_once('}')?;
        let (name, default) = inside.split_once(":-").or_else(|| inside.split_once('-')).unwrap_or((inside, ""));
        return Some((name, default, after));
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], "", &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::{expand, parse};

    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = parse(text);
        let found: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn files_are_read_as_the_npm_package_reads_them() {
        check("A=1\nB = two # comment\n", &[("A", "1"), ("B", "two")]);
        check("export A='x y'\r\nB: yaml\n", &[("A", "x y"), ("B", "yaml")]);
        check("A=\"line\\nnext\"\nB='line\\nnext'\n", &[("A", "line\nnext"), ("B", "line\\nnext")]);
        check("KEY=\"-----BEGIN\nabc#1\n-----END\"\nB=2", &[("B", "2"), ("KEY", "-----BEGIN\nabc#1\n-----END")]);
        check("EMPTY=\nA=1", &[("A", "1"), ("EMPTY", "")]);
        check("# A=1\nnonsense\n=x\n", &[]);
        check("A=\"x\" y", &[("A", "\"x\" y")]);
        check("JSON='{\"a\": \"b#c\"}'", &[("JSON", "{\"a\": \"b#c\"}")]);
        check("A=1\nA=2", &[("A", "2")]);
        check("\u{feff}A=1\nB=2", &[("A", "1"), ("B", "2")]);
        check("A='it\\'s'", &[("A", "it\\'s")]);
    }

    #[test]
    fn names_are_expanded_and_circles_end() {
        let values = parse("HOST=db\nURL=pg://${HOST}:$PORT/${NAME:-main}\nPRICE='\\$5'\nX=$Y\nY=$X");
        let expanded = expand(&values);
        assert_eq!(expanded["URL"], "pg://db:/main");
        assert_eq!(expanded["PRICE"], "$5");
        assert!(expanded.contains_key("X"));
    }
}
