//! A JSON value as an argument: written in place, or `@FILE`, or `@-` for standard input. JSON never begins with `@`.

use std::fs;

use serde_json::value::RawValue;

use super::text::{cut, one_line};
use super::{CliError, prompt};

const SHOWN_CHARS: usize = 100;

/// JSON text as it was typed, so that no number loses a digit on the way.
///
/// # Errors
/// When it is none, or its file cannot be read; `what` names the argument.
pub fn json(what: &str, given: &str) -> Result<Box<RawValue>, CliError> {
    let text = text(what, given)?;
    let is_in_place = !given.starts_with('@');
    serde_json::from_str(&text).map_err(|error| {
        let message = match is_in_place {
            true => format!(
                "{what} is not JSON: {error}\n  {}\nQuote strings within, and all of it for the shell: '{{\"key\": \"value\"}}'",
                cut(&one_line(&text), SHOWN_CHARS)
            ),
            false => format!("{what}: {} is not JSON: {error}", place(given)),
        };
        CliError::Usage(message)
    })
}

/// What an argument stands for.
///
/// # Errors
/// When its file or standard input cannot be read.
pub fn text(what: &str, given: &str) -> Result<String, CliError> {
    match given.strip_prefix('@') {
        None => Ok(given.to_owned()),
        Some("-") => prompt::input(),
        Some(file) => fs::read_to_string(file)
            .map_err(|error| CliError::Usage(format!("{what}: cannot read {}: {error}", one_line(file)))),
    }
}

fn place(given: &str) -> String {
    match given {
        "@-" => "standard input".to_owned(),
        other => one_line(other.trim_start_matches('@')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_as_it_was_written() {
        let digits = r#"{"n": 12345678901234567890}"#;
        assert_eq!(json("--params", digits).ok().map(|json| json.get().to_owned()).as_deref(), Some(digits));
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), digits).expect("written");
        let given = format!("@{}", file.path().display());
        assert_eq!(json("--params", &given).ok().map(|json| json.get().to_owned()).as_deref(), Some(digits));
    }

    #[test]
    fn what_is_no_value_is_told_with_its_place() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "{broken").expect("written");
        let given = format!("@{}", file.path().display());
        for (given, told) in [("{broken", "Quote strings"), ("@/nonexistent", "cannot read"), (&given, "is not JSON")] {
            let error = json("--params", given).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(told) && error.contains("--params"), "{error}");
        }
    }
}
