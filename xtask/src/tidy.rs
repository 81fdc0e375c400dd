//! Rules for files that no other tool checks: how long they may be, that they say why they exist, and that
//! nothing unfinished is left in them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::project;

/// A file is one noun; one longer than this holds two.
const LINES_MAX: usize = 600;

/// What must not be left behind, in pieces so that this file does not hold it.
const REFUSED: [(&str, &str); 7] = [
    (concat!("TO", "DO"), "finish it or open an issue"),
    (concat!("FIX", "ME"), "fix it or open an issue"),
    (concat!("XX", "X"), "say it in a sentence"),
    (concat!("dbg", "!("), "use tracing"),
    (concat!("todo", "!("), "finish it"),
    (concat!("unimplemented", "!("), "finish it"),
    (concat!("#[ig", "nore"), "a test runs or is deleted"),
];

/// Checks every Rust and JavaScript file of the project.
///
/// # Errors
/// All faults at once, each with its place.
pub fn check() -> Result<()> {
    let mut faults = Vec::new();
    for path in project::files()?.iter().filter(|path| is_code(path) && !project::is_foreign(path)) {
        let text = fs::read_to_string(project::root().join(path)).with_context(|| path.display().to_string())?;
        let found = faults_in(&text, is_rust(path));
        faults.extend(found.into_iter().map(|fault| format!("{}:{fault}", path.display())));
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn is_code(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "js" | "mjs" | "ts"))
}

fn faults_in(text: &str, is_rust: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if is_rust && !text.starts_with("//!") {
        faults.push("1: the file does not begin by saying why it exists (`//! …`)".to_owned());
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{lines}: longer than {LINES_MAX} lines; split it by noun"));
    }
    for (index, line) in text.lines().enumerate() {
        let refused = REFUSED.iter().filter(|(word, _)| line.contains(word));
        faults.extend(refused.map(|(word, instead)| format!("{}: `{word}`: {instead}", index + 1)));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_file_has_no_faults() {
        assert_eq!(faults_in("//! Why.\n\nfn main() {}\n", true), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_does_not_say_why_it_exists_is_refused() {
        assert_eq!(faults_in("fn main() {}\n", true).len(), 1);
        assert_eq!(faults_in("export {};\n", false), Vec::<String>::new());
    }

    #[test]
    fn a_long_file_is_refused() {
        let text = format!("//! Why.\n{}", "// x\n".repeat(LINES_MAX));
        assert_eq!(faults_in(&text, true), ["601: longer than 600 lines; split it by noun"]);
    }

    #[test]
    fn unfinished_work_is_found_with_its_line() {
        for (word, instead) in REFUSED {
            assert_eq!(faults_in(&format!("//! Why.\n{word}"), true), [format!("2: `{word}`: {instead}")]);
        }
    }
}
