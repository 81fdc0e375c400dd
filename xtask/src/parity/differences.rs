//! The intended differences from Miniflare, and from a run without a kill of the server, each with a stable id and its
//! reason. A deviation that no difference covers fails the suite, and so does a difference that no longer occurs.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value as Json;

use super::compare::{Deviation, Rule};

/// Stands for a value that is not there.
const ABSENT: &str = "$absent";

/// An intended difference.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Stable: `SW-` and a number.
    pub id: String,
    /// In a few words.
    pub title: String,
    /// What Miniflare does.
    #[serde(default)]
    miniflare: Option<String>,
    /// What Stepwell itself does where nothing kills it; one of the two is given.
    #[serde(default)]
    calm: Option<String>,
    /// What Stepwell does.
    pub stepwell: String,
    /// Why, with the source.
    pub why: String,
    /// Behaviours, by id, that are to be had in another way.
    pub behaviours: Vec<String>,
    /// Where it is seen.
    pub at: Vec<Place>,
}

/// What is compared with Stepwell, and what that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other<'a> {
    /// Miniflare.
    Miniflare(&'a str),
    /// Stepwell itself, where nothing kills it.
    Calm(&'a str),
}

impl Difference {
    /// What is compared with Stepwell.
    pub fn other(&self) -> Other<'_> {
        match (&self.miniflare, &self.calm) {
            (Some(does), _) => Other::Miniflare(does),
            (None, does) => Other::Calm(does.as_deref().unwrap_or_default()),
        }
    }
}

/// A field of a case; `*` stands for any text in both.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The case.
    pub case: String,
    /// The field, or the beginning of one before a dot.
    pub field: String,
    /// What Stepwell's value is, where that is to be held fast; [`ABSENT`] where it has none.
    #[serde(default)]
    pub is: Option<Json>,
    /// How the two values are related.
    #[serde(default)]
    pub rule: Option<Rule>,
    /// It depends on how long things take: it need not occur.
    #[serde(default)]
    pub sometimes: bool,
}

#[derive(Deserialize)]
struct DifferenceFile {
    #[serde(default)]
    difference: Vec<Difference>,
}

/// All intended differences, and which of their places have been seen.
pub struct Differences {
    all: Vec<Difference>,
    seen: HashSet<(usize, usize)>,
}

impl Differences {
    /// Reads them.
    ///
    /// # Errors
    /// The file cannot be read, or two have one id.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let file: DifferenceFile = toml::from_str(text)?;
        let mut ids = HashSet::new();
        for difference in &file.difference {
            let number = difference.id.strip_prefix("SW-").unwrap_or_default();
            ensure!(
                number.len() == 3 && number.parse::<u16>().is_ok(),
                "{:?} is not SW- and three digits",
                difference.id
            );
            ensure!(ids.insert(difference.id.clone()), "two differences are {:?}", difference.id);
            ensure!(!difference.at.is_empty(), "{} is nowhere", difference.id);
            let has_one = difference.miniflare.is_some() != difference.calm.is_some();
            ensure!(has_one, "{} differs from one of `miniflare` and `calm`", difference.id);
        }
        Ok(Self { all: file.difference, seen: HashSet::new() })
    }

    /// Every one.
    pub fn all(&self) -> &[Difference] {
        &self.all
    }

    /// Whether a deviation from Miniflare is intended; notes that it was seen.
    pub fn covers(&mut self, case: &str, deviation: &Deviation) -> bool {
        self.covers_in(case, deviation, |other| matches!(other, Other::Miniflare(_)))
    }

    /// The same for a deviation that a kill has made.
    pub fn covers_kill(&mut self, case: &str, deviation: &Deviation) -> bool {
        self.covers_in(case, deviation, |other| matches!(other, Other::Calm(_)))
    }

    fn covers_in(&mut self, case: &str, deviation: &Deviation, is_meant: impl Fn(Other<'_>) -> bool) -> bool {
        for (index, difference) in self.all.iter().enumerate().filter(|(_, one)| is_meant(one.other())) {
            for (number, place) in difference.at.iter().enumerate() {
                if place.covers(case, deviation) {
                    self.seen.insert((index, number));
                    return true;
                }
            }
        }
        false
    }

    /// Places at which nothing differed.
    pub fn unseen(&self) -> Vec<String> {
        let mut unseen = Vec::new();
        for (index, difference) in self.all.iter().enumerate() {
            for (number, place) in difference.at.iter().enumerate() {
                if !place.sometimes && !self.seen.contains(&(index, number)) {
                    unseen.push(format!("{} at {} {}", difference.id, place.case, place.field));
                }
            }
        }
        unseen
    }

    /// Names of cases that exist nowhere.
    pub fn unknown_cases(&self, names: &HashSet<&str>) -> Vec<String> {
        let places = self.all.iter().flat_map(|one| one.at.iter().map(move |place| (&one.id, &place.case)));
        let unknown = places.filter(|(_, case)| !names.iter().any(|name| matches(case, name)));
        unknown.map(|(id, case)| format!("{id} names the case {case:?}, which does not exist")).collect()
    }
}

impl Place {
    fn covers(&self, case: &str, deviation: &Deviation) -> bool {
        let is_here = matches(&self.field, &deviation.field) || matches(&format!("{}.*", self.field), &deviation.field);
        let is_so = match (&self.is, &deviation.found) {
            (None, _) => true,
            (Some(is), None) => is == ABSENT,
            (Some(is), Some(found)) => is == found,
        };
        matches(&self.case, case) && is_here && is_so && self.rule == deviation.rule
    }
}

/// Whether a text is as a pattern says, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    rest.char_indices().map(|(index, _)| index).chain([rest.len()]).any(|index| matches(after, &rest[index..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "[[difference]]\nid = 'SW-001'\ntitle = ''\nminiflare = ''\nstepwell = ''\nwhy = ''\nbehaviours = []\n\
                        at = [{ case = 'a-*', field = 'x.*.y' }, { case = 'b', field = 'z', is = 5 }]";

    fn deviation(field: &str, found: Json) -> Deviation {
        Deviation { field: field.into(), expected: None, found: Some(found), rule: None }
    }

    #[test]
    fn a_difference_covers_what_it_names_and_no_more() {
        let mut differences = Differences::parse(TEXT).unwrap();
        for (case, field, found, covered) in [
            ("a-1", "x.0.y", 1, true),
            ("a-1", "x.0.y.deeper", 1, true),
            ("a-1", "x.0", 1, false),
            ("c", "x.0.y", 1, false),
            ("b", "z", 5, true),
            ("b", "z", 6, false),
        ] {
            assert_eq!(differences.covers(case, &deviation(field, json!(found))), covered, "{case} {field} {found}");
        }
    }

    #[test]
    fn a_difference_that_is_not_seen_is_told() {
        let mut differences = Differences::parse(TEXT).unwrap();
        assert!(differences.covers("b", &deviation("z", json!(5))));
        assert_eq!(differences.unseen(), ["SW-001 at a-* x.*.y"]);
        assert_eq!(differences.unknown_cases(&HashSet::from(["b"])).len(), 1);
    }

    #[test]
    fn what_a_kill_may_change_is_no_difference_from_miniflare() {
        let calm = TEXT.replace("miniflare = ''", "calm = ''").replace("is = 5 }", "is = 5, sometimes = true }");
        let mut differences = Differences::parse(&calm).unwrap();
        let found = deviation("x.0.y", json!(1));
        assert!(!differences.covers("a-1", &found));
        assert!(differences.covers_kill("a-1", &found));
        assert_eq!(differences.unseen(), [""; 0]);
    }

    #[test]
    fn two_differences_of_one_id_are_refused() {
        assert!(Differences::parse(&format!("{TEXT}\n{TEXT}")).is_err());
    }

    #[test]
    fn a_difference_is_from_one_thing() {
        assert!(Differences::parse(&TEXT.replace("miniflare = ''", "miniflare = ''\ncalm = ''")).is_err());
        assert!(Differences::parse(&TEXT.replace("miniflare = ''\n", "")).is_err());
    }
}
