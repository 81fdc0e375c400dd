//! A file of secrets, for `secret bulk` and for uploads: JSON or `.env`, as wrangler takes it. Values are taken as they are written;
//! nothing in them is expanded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use serde_json::Value;

use super::text::one_line;
use super::{CliError, prompt};
use crate::project::{BYTE_ORDER_MARK, parse_dot_env};

/// Cloudflare's bound for one request.
const SECRETS_MAX: usize = 100;
/// A hundred values of the largest size, and names.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Names and values; none where the secret is to be deleted. `file` is a path; without it, standard input is read.
///
/// # Errors
/// Where it cannot be read or holds no secrets, saying where.
pub fn read(file: Option<&str>) -> Result<BTreeMap<String, Option<String>>, CliError> {
    let (text, place) = match file {
        Some(file) => (text_of(file)?, one_line(file)),
        None => (prompt::input()?, "standard input".to_owned()),
    };
    let secrets = parse(&text).map_err(|why| CliError::Usage(format!("{place}: {why}")))?;
    if secrets.len() > SECRETS_MAX {
        let count = secrets.len();
        return Err(CliError::Usage(format!("{place} holds {count} secrets; {SECRETS_MAX} can be set at once")));
    }
    Ok(secrets)
}

/// Those of a file that only sets secrets.
///
/// # Errors
/// As [`read`], and where one is to be deleted.
pub fn read_set(file: &str) -> Result<BTreeMap<String, String>, CliError> {
    let set = |(name, text): (String, Option<String>)| match text {
        Some(text) => Ok((name, text)),
        None => Err(CliError::Usage(format!(
            "{}: \"{}\" has no value; an upload sets secrets, `stepwell secret delete` deletes them",
            one_line(file),
            one_line(&name)
        ))),
    };
    read(Some(file))?.into_iter().map(set).collect()
}

fn text_of(file: &str) -> Result<String, CliError> {
    let failed = |error| CliError::Usage(format!("cannot read {}: {error}", one_line(file)));
    let mut text = String::new();
    File::open(file).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(CliError::Usage(format!("{} has more than {FILE_BYTES_MAX} bytes", one_line(file))));
    }
    Ok(text)
}

fn parse(text: &str) -> Result<BTreeMap<String, Option<String>>, String> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => members.into_iter().map(|(name, value)| member(name, value)).collect(),
        Ok(_) => Err("an object of names and values is expected, as in {\"NAME\": \"value\"}".to_owned()),
        Err(error) if text.trim_start().starts_with('{') => Err(format!("not JSON: {error}")),
        Err(_) => {
            let secrets = parse_dot_env(text);
            match secrets.is_empty() {
                true => Err("neither {\"NAME\": \"value\"} nor lines NAME=value are in it".to_owned()),
                false => Ok(secrets.into_iter().map(|(name, value)| (name, Some(value))).collect()),
            }
        }
    }
}

fn member(name: String, value: Value) -> Result<(String, Option<String>), String> {
    match value {
        Value::String(text) => Ok((name, Some(text))),
        Value::Null => Ok((name, None)),
        _ => Err(format!("the value of \"{}\" is no text; put it in quotes, or null to delete it", one_line(&name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[(&str, Option<&str>)], &str>) {
        match (parse(text), expected) {
            (Ok(read), Ok(expected)) => {
                let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
                assert_eq!(read, expected, "{text}");
            }
            (Err(told), Err(expected)) => assert!(told.contains(expected), "{text}: {told}"),
            (read, _) => panic!("{text}: {read:?}"),
        }
    }

    #[test]
    fn a_file_is_json_or_lines_of_names_and_values() {
        check(r#"{"A": "1", "B": null}"#, Ok(&[("A", Some("1")), ("B", None)]));
        check("A=1\nexport B='x y'\n", Ok(&[("A", Some("1")), ("B", Some("x y"))]));
        check("PRICE=$5", Ok(&[("PRICE", Some("$5"))]));
        check("{}", Ok(&[]));
    }

    #[test]
    fn an_upload_deletes_no_secret() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let told = |text: &str| {
            std::fs::write(file.path(), text).expect("written");
            read_set(file.path().to_str().expect("text")).map_err(|error| error.to_string())
        };
        assert_eq!(told("A=1"), Ok([("A".to_owned(), "1".to_owned())].into()));
        let refused = told(r#"{"A": "1", "B": null}"#).expect_err("a deletion");
        assert!(refused.contains("\"B\" has no value"), "{refused}");
    }

    #[test]
    fn what_holds_no_secrets_is_refused_with_what_is_expected() {
        check(r#"{"A": 1}"#, Err("\"A\" is no text"));
        check(r#"["A"]"#, Err("an object"));
        check(r#"{"A": "1""#, Err("not JSON"));
        check("", Err("NAME=value"));
        check("nonsense", Err("NAME=value"));
    }
}
