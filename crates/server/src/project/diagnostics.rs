//! What is said about a configuration file: problems with file, line, key and advice, collected so that a user sees all of
//! them at once, and "did you mean" for keys that nobody knows.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

/// One thing wrong in a file. The message says what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// 1-based.
    pub line: Option<u32>,
    /// As in `workflows[0].name`; empty when it is about the whole file.
    pub key: String,
    pub message: String,
}

impl Problem {
    /// `wrangler.toml:12: workflows[0].name: …`
    fn write(&self, out: &mut impl fmt::Write, file: &str) -> fmt::Result {
        write!(out, "{file}")?;
        if let Some(line) = self.line {
            write!(out, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(out, ": {}", self.key)?;
        }
        write!(out, ": {}", self.message)
    }
}

/// Why a project cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No configuration file where one was looked for.
    #[error("no wrangler.json, wrangler.jsonc or wrangler.toml in {}.{advice}", .directory.display())]
    Missing { directory: PathBuf, advice: String },
    /// A file of another kind, such as a source.
    #[error(
        "{} is no wrangler configuration: name the directory of a Workers project, or its wrangler.json, wrangler.jsonc or \
         wrangler.toml", .file.display()
    )]
    NotConfiguration { file: PathBuf },
    /// The file is there and the system does not give it out.
    #[error("{}: {cause}", .file.display())]
    Unreadable { file: PathBuf, cause: io::Error },
    /// Not TOML, not JSON.
    #[error("{}:{line}: {message}", .file.display())]
    Syntax { file: PathBuf, line: u32, message: String },
    /// Readable, but some values are wrong.
    #[error("{}", Listed { file, problems, warnings })]
    Invalid { file: PathBuf, problems: Vec<Problem>, warnings: Vec<Problem> },
}

/// Warnings come too: a misspelt key is one, and the reason why another key is missing.
struct Listed<'a> {
    file: &'a Path,
    problems: &'a [Problem],
    warnings: &'a [Problem],
}

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display().to_string();
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            problem.write(f, &file)?;
        }
        for warning in self.warnings {
            f.write_str("\nwarning: ")?;
            warning.write(f, &file)?;
        }
        Ok(())
    }
}

/// Collects while a file is read.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Diagnostics {
    pub fn error(&mut self, line: impl Into<Option<u32>>, key: impl Into<String>, message: impl Into<String>) {
        self.errors.push(Problem { line: line.into(), key: key.into(), message: message.into() });
    }

    pub fn warn(&mut self, line: impl Into<Option<u32>>, key: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(Problem { line: line.into(), key: key.into(), message: message.into() });
    }

    /// The warnings in the order of the file, or an error with every problem in that order.
    pub fn finish(mut self, file: &Path) -> Result<Vec<String>, ConfigError> {
        self.errors.sort_by_key(|problem| problem.line);
        self.warnings.sort_by_key(|problem| problem.line);
        if !self.errors.is_empty() {
            return Err(ConfigError::Invalid { file: file.to_owned(), problems: self.errors, warnings: self.warnings });
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(self.warnings.iter().map(|warning| written(warning, &name)).collect())
    }
}

fn written(problem: &Problem, file: &str) -> String {
    let mut text = String::new();
    problem.write(&mut text, file).expect("writing to a string does not fail");
    text
}

/// ` (did you mean "…"?)` when a known word is near, else nothing.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let distances = known.into_iter().map(|candidate| (edit_distance(word, candidate), candidate));
    match distances.min() {
        Some((distance, candidate)) if distance <= farthest(word) || candidate.starts_with(word) => {
            format!(" (did you mean \"{candidate}\"?)")
        }
        _ => String::new(),
    }
}

/// Half of a short word's letters may be wrong, three of a long one's; more is another word.
fn farthest(word: &str) -> usize {
    (word.chars().count() / 2).clamp(1, 3)
}

fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["compatibility_date", "compatibility_flags", "name", "vars"];
        let check = |word: &str, expected: &str| assert_eq!(did_you_mean(word, known), expected, "{word}");
        check("compatability_date", " (did you mean \"compatibility_date\"?)");
        check("var", " (did you mean \"vars\"?)");
        check("nam", " (did you mean \"name\"?)");
        check("nmae", " (did you mean \"name\"?)");
        check("zebra", "");
    }
}
