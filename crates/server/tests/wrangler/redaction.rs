//! What differs from run to run and says nothing, replaced. Ids get numbers in the order of their appearance, so that a
//! transcript still shows which is which.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Identifiers: each kind with its pattern.
static IDS: LazyLock<[(&str, Regex); 2]> = LazyLock::new(|| {
    [
        ("id", regex(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")),
        ("hash", regex(r"\b[0-9a-f]{32,64}\b")),
    ]
});

/// Everything else, with what stands in its place; earlier ones first.
static REST: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\x1b\[[0-9;]*[A-Za-z]", ""),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}\b", "BOOKMARK"),
        // An instance that a worker still holds has none yet.
        (r#""wake_at": (null|"TIME")"#, r#""wake_at": WHEN"#),
        (r#""(sql_duration_ms|duration|wallTime|timestamp|eventTimestamp)": [0-9.e-]+"#, r#""$1": TIME"#),
        (r"\d{1,2}/\d{1,2}/\d{4}, \d{1,2}:\d\d:\d\d [AP]M", "TIME"),
        (r"\b[0-9a-f]{9,12}-[0-9a-f]{1,12}\b", "CURSOR"),
        (r"\b\d+(\.\d+)?( ms|ms| sec)\b", "TIME"),
        (r"\b(a|an|less than a|\d+) (few )?(milli)?(second|minute|hour)s?( ago)?\b", "A WHILE"),
        (r"\b\d+(\.\d+)? KiB\b", "SIZE"),
        (r"localhost:\d+", "localhost:PORT"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"(?m)^ *⛅️? *wrangler .*\n-+\n", ""),
        (r"(?m)^.*Logs were written to .*\n", ""),
        (r"\n\n  If you think this is a bug, please open an issue at: .*\n", "\n"),
        (r"(?m)─{3,}", "───"),
        (r"(?m)-{3,}", "---"),
        (r"(?m) {2,}", "  "),
        (r"(?m)[ \t]+$", ""),
        (r"\n{3,}", "\n\n"),
    ]
    .map(|(pattern, instead)| (regex(pattern), instead))
    .into()
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of ours")
}

/// Replaces what a transcript must not hold.
#[derive(Default)]
pub struct Redaction {
    /// Texts of one test: what they are called.
    names: Vec<(String, &'static str)>,
    ids: HashMap<String, String>,
    counts: HashMap<&'static str, usize>,
}

impl Redaction {
    /// Calls a text of this test by a name.
    pub fn name(&mut self, text: impl Into<String>, name: &'static str) {
        self.names.push((text.into(), name));
    }

    /// The text with everything replaced.
    pub fn apply(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, name) in &self.names {
            text = text.replace(from, name);
        }
        for (pattern, instead) in &*REST {
            text = pattern.replace_all(&text, *instead).into_owned();
        }
        for (kind, pattern) in &*IDS {
            text = pattern.replace_all(&text, |found: &Captures<'_>| self.id(kind, &found[0])).into_owned();
        }
        text
    }

    fn id(&mut self, kind: &'static str, id: &str) -> String {
        if let Some(known) = self.ids.get(id) {
            return known.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("<{kind} {count}>");
        self.ids.insert(id.to_owned(), name.clone());
        name
    }
}
