//! The compatibility table: each API member with its behaviours, and what shows that they work. Its states are derived: a
//! behaviour works where a case or a test shows it, and only there.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::case::Case;
use super::differences::Differences;
use super::kills::Kills;
use crate::project;

/// An API member of Cloudflare Workflows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// As users write it.
    pub name: String,
    /// Heading that it stands under.
    pub group: String,
    /// What it does.
    pub behaviours: Vec<Behaviour>,
}

/// Something that a member does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// Stable name, which cases say that they prove.
    pub id: String,
    /// In words.
    pub is: String,
    /// Tests of ours that show it, where Miniflare cannot do it: `file::function`.
    #[serde(default)]
    pub tests: Vec<String>,
    /// Tests that show how it fails.
    #[serde(default)]
    pub failure_tests: Vec<String>,
    /// Why it does not work yet.
    #[serde(default)]
    pub missing: Option<String>,
    /// Why it is not to be had.
    #[serde(default)]
    pub excluded: Option<String>,
}

/// Names that Cloudflare's own tests have, and our programs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Where they are from.
    pub name: String,
    /// The names.
    pub items: Vec<Item>,
}

/// One such name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What it is about.
    pub name: String,
    /// Cases and tests that stand for it.
    #[serde(default)]
    pub by: Vec<String>,
    /// Why nothing does yet.
    #[serde(default)]
    pub missing: Option<String>,
    /// Why nothing shall.
    #[serde(default)]
    pub excluded: Option<String>,
}

/// Whether a behaviour is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As with Miniflare.
    Works,
    /// In its own, intended way.
    Differs,
    /// Not yet.
    Missing,
    /// Nor will it be.
    Excluded,
}

/// Everything that the table is made from.
pub struct Table<'a> {
    /// All members, in the order of the file.
    pub members: Vec<Member>,
    /// All acceptance lists.
    pub acceptance: Vec<Group>,
    /// All differences.
    pub differences: &'a Differences,
    /// Which cases are killed in their middle.
    pub kills: &'a Kills,
    /// All cases.
    pub cases: &'a [&'a Case],
}

impl<'a> Table<'a> {
    /// Reads members and acceptance lists from the suite's directory.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn load(
        directory: &Path,
        cases: &'a [&'a Case],
        differences: &'a Differences,
        kills: &'a Kills,
    ) -> Result<Self> {
        #[derive(Deserialize)]
        struct Members {
            member: Vec<Member>,
        }
        #[derive(Deserialize)]
        struct Groups {
            group: Vec<Group>,
        }
        let members: Members = read(&directory.join("members.toml"))?;
        let acceptance: Groups = read(&directory.join("acceptance.toml"))?;
        Ok(Self { members: members.member, acceptance: acceptance.group, differences, kills, cases })
    }

    /// The names of the cases that show a behaviour.
    pub fn cases_of(&self, behaviour: &Behaviour) -> Vec<&'a str> {
        self.proving(behaviour).map(|case| case.name.as_str()).collect()
    }

    /// The ids of its differences.
    pub fn differences_of(&self, behaviour: &Behaviour) -> Vec<&str> {
        let all = self.differences.all().iter().filter(|one| one.behaviours.contains(&behaviour.id));
        all.map(|one| one.id.as_str()).collect()
    }

    /// Whether a behaviour is to be had.
    pub fn state(&self, behaviour: &Behaviour) -> State {
        if behaviour.excluded.is_some() {
            return State::Excluded;
        }
        let is_shown = self.proving(behaviour).next().is_some()
            || !behaviour.tests.is_empty()
            || !behaviour.failure_tests.is_empty();
        match (behaviour.missing.is_some() || !is_shown, self.differences_of(behaviour).is_empty()) {
            (true, _) => State::Missing,
            (false, true) => State::Works,
            (false, false) => State::Differs,
        }
    }

    fn proving(&self, behaviour: &Behaviour) -> impl Iterator<Item = &'a Case> {
        let id = behaviour.id.clone();
        self.cases.iter().copied().filter(move |case| case.proves.contains(&id))
    }

    /// What is wrong with the table itself.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.unknown_names();
        faults.extend(self.cases.iter().filter_map(|case| self.kills.fault(case)));
        for member in &self.members {
            faults.extend(self.faults_of(member));
        }
        let references = self.members.iter().flat_map(|member| &member.behaviours);
        let tests = references.flat_map(|behaviour| behaviour.tests.iter().chain(&behaviour.failure_tests));
        faults.extend(tests.filter_map(|test| missing_test(test)));
        for item in self.acceptance.iter().flat_map(|group| &group.items) {
            faults.extend(self.faults_of_item(item));
        }
        faults
    }

    fn faults_of(&self, member: &Member) -> Vec<String> {
        let mut faults = Vec::new();
        let name = &member.name;
        for behaviour in &member.behaviours {
            let is_shown = self.proving(behaviour).next().is_some() || !behaviour.tests.is_empty();
            let is_excused = behaviour.missing.is_some() || behaviour.excluded.is_some();
            if !is_shown && behaviour.failure_tests.is_empty() && !is_excused {
                faults.push(format!("{name}: nothing shows {:?}: add a case, or say why there is none", behaviour.id));
            }
            if is_shown && is_excused {
                faults.push(format!("{name}: {:?} is shown and said to be missing or excluded", behaviour.id));
            }
        }
        let has = |wanted: &[State]| member.behaviours.iter().any(|one| wanted.contains(&self.state(one)));
        let fails = |one: &Behaviour| !one.failure_tests.is_empty() || self.proving(one).any(|case| case.is_failure);
        if has(&[State::Works, State::Differs]) && !member.behaviours.iter().any(fails) {
            faults.push(format!("{name}: it has no case of failure"));
        }
        faults
    }

    /// Behaviours that cases and differences name and no member has, and those that two have.
    fn unknown_names(&self) -> Vec<String> {
        let mut known = BTreeMap::new();
        for behaviour in self.members.iter().flat_map(|member| &member.behaviours) {
            *known.entry(behaviour.id.as_str()).or_insert(0) += 1;
        }
        let twice = known.iter().filter(|(_, times)| **times > 1).map(|(id, _)| format!("{id:?} is listed twice"));
        let mut faults: Vec<String> = twice.collect();
        for case in self.cases {
            let unknown = case.proves.iter().filter(|id| !known.contains_key(id.as_str()));
            faults.extend(unknown.map(|id| format!("{}: no member does {id:?}", case.name)));
        }
        for difference in self.differences.all() {
            let unknown = difference.behaviours.iter().filter(|id| !known.contains_key(id.as_str()));
            faults.extend(unknown.map(|id| format!("{}: no member does {id:?}", difference.id)));
        }
        faults
    }

    fn faults_of_item(&self, item: &Item) -> Vec<String> {
        let names: HashSet<&str> = self.cases.iter().map(|case| case.name.as_str()).collect();
        let is_excused = item.missing.is_some() || item.excluded.is_some();
        if item.by.is_empty() && !is_excused {
            return vec![format!("acceptance: {:?}: name a case, or say why there is none", item.name)];
        }
        let unknown = item.by.iter().filter_map(|by| {
            if by.contains("::") {
                missing_test(by)
            } else {
                (!names.contains(by.as_str())).then(|| format!("there is no case {by:?}"))
            }
        });
        unknown.map(|fault| format!("acceptance: {:?}: {fault}", item.name)).collect()
    }
}

/// What is wrong with the name of a test, `file::function`.
fn missing_test(test: &str) -> Option<String> {
    let (file, function) = test.split_once("::")?;
    let text = fs::read_to_string(project::root().join(file)).unwrap_or_default();
    (!text.contains(&format!("fn {function}("))).then(|| format!("there is no test {test:?}"))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}
