//! `docs/COMPATIBILITY.md` for people and `docs/compatibility.json`, which the binary carries, both written from the table.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value as Json, json};

use super::differences::Other;
use super::table::{Behaviour, Item, State, Table};
use crate::project;

const DOCUMENT: &str = "docs/COMPATIBILITY.md";
const DATA: &str = "docs/compatibility.json";

/// Both files as they should be: path and text.
pub fn files(table: &Table<'_>) -> Result<[(&'static str, String); 2]> {
    let data = serde_json::to_string_pretty(&data(table))?;
    Ok([(DOCUMENT, document(table)), (DATA, format!("{data}\n"))])
}

/// Writes them.
///
/// # Errors
/// They cannot be written.
pub fn write(table: &Table<'_>) -> Result<()> {
    for (path, text) in files(table)? {
        let path = project::root().join(path);
        fs::create_dir_all(path.parent().context("a file without a directory")?)?;
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Sees whether the files in the repository are what would be written.
///
/// # Errors
/// They are not.
pub fn check(table: &Table<'_>) -> Result<()> {
    for (path, text) in files(table)? {
        let is_current = fs::read_to_string(project::root().join(path)).is_ok_and(|written| written == text);
        ensure!(is_current, "{path} is not current: run `cargo xtask parity` and commit what it writes");
    }
    Ok(())
}

impl State {
    /// For people.
    fn words(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Differs => "works, differs",
            Self::Missing => "not yet",
            Self::Excluded => "out of scope",
        }
    }
}

fn data(table: &Table<'_>) -> Json {
    let behaviours: Vec<Json> = rows(table)
        .map(|(group, member, behaviour)| {
            json!({
                "group": group,
                "member": member,
                "id": behaviour.id,
                "behaviour": behaviour.is,
                "state": table.state(behaviour).words(),
                "cases": table.cases_of(behaviour),
                "tests": tests(behaviour),
                "differences": table.differences_of(behaviour),
                "note": note(behaviour),
            })
        })
        .collect();
    let differences: Vec<Json> = table
        .differences
        .all()
        .iter()
        .map(|one| {
            let (other, does) = match one.other() {
                Other::Miniflare(does) => ("miniflare", does),
                Other::Calm(does) => ("calm", does),
            };
            json!({ "id": one.id, "title": one.title, other: does, "stepwell": one.stepwell, "why": one.why })
        })
        .collect();
    json!({ "behaviours": behaviours, "differences": differences })
}

fn rows<'a>(table: &'a Table<'_>) -> impl Iterator<Item = (&'a str, &'a str, &'a Behaviour)> {
    table.members.iter().flat_map(|member| {
        member.behaviours.iter().map(move |behaviour| (member.group.as_str(), member.name.as_str(), behaviour))
    })
}

fn tests(behaviour: &Behaviour) -> Vec<&str> {
    behaviour.tests.iter().chain(&behaviour.failure_tests).map(String::as_str).collect()
}

fn note(behaviour: &Behaviour) -> Option<&str> {
    behaviour.missing.as_deref().or(behaviour.excluded.as_deref())
}

const HEAD: &str = "# Compatibility with Cloudflare Workflows

What a Worker or its configuration can say, and what Stepwell does with it. `cargo xtask parity` writes this file: each
case below is an ordinary Worker that runs on Miniflare and on Stepwell, and what it observes is compared field by field. A behaviour
is listed as working only where a case or a test shows it; every difference is intended and has its reason. The cases are in
[`tests/parity`](../tests/parity/README.md). `stepwell capabilities` prints the same table.

";

fn document(table: &Table<'_>) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(&summary(table));
    let mut group = "";
    let mut member = "";
    for (own_group, own_member, behaviour) in rows(table) {
        if own_group != group {
            let _ = write!(
                text,
                "\n## {own_group}\n\n| member | behaviour | state | shown by | differences |\n|---|---|---|---|---|\n"
            );
            (group, member) = (own_group, "");
        }
        let shown_member = if own_member == member { String::new() } else { format!("`{own_member}`") };
        member = own_member;
        let _ = writeln!(text, "{}", row(table, &shown_member, behaviour));
    }
    text.push_str(&differences(table));
    text.push_str(&runs(table));
    text.push_str(&acceptance(table));
    text
}

fn summary(table: &Table<'_>) -> String {
    let count = |state| rows(table).filter(|(_, _, behaviour)| table.state(behaviour) == state).count();
    let [works, differs, missing, excluded] =
        [State::Works, State::Differs, State::Missing, State::Excluded].map(count);
    format!(
        "{works} behaviours work as in Miniflare, {differs} work and differ from it on purpose, {missing} are not there yet, \
         {excluded} are out of scope.\n"
    )
}

fn row(table: &Table<'_>, member: &str, behaviour: &Behaviour) -> String {
    let mut shown: Vec<String> = table.cases_of(behaviour).into_iter().map(|case| format!("`{case}`")).collect();
    shown.extend(tests(behaviour).into_iter().map(test_name));
    shown.extend(note(behaviour).map(str::to_owned));
    let state = table.state(behaviour).words();
    let differences: Vec<String> = table.differences_of(behaviour).into_iter().map(link).collect();
    format!(
        "| {member} | {} | {state} | {} | {} |",
        cell(&behaviour.is),
        cell(&shown.join(", ")),
        differences.join(", ")
    )
}

fn link(id: &str) -> String {
    format!("[{id}](#{})", id.to_lowercase())
}

/// A test's sentence.
fn test_name(test: &str) -> String {
    test.rsplit("::").next().unwrap_or(test).replace('_', " ")
}

/// Text within a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn differences(table: &Table<'_>) -> String {
    let mut text = "\n## Differences\n".to_owned();
    for one in table.differences.all() {
        let (other, does, stepwell) = match one.other() {
            Other::Miniflare(does) => ("Miniflare", does, "Stepwell"),
            Other::Calm(does) => ("Without a kill", does, "With a kill"),
        };
        let _ = write!(
            text,
            "\n### {}\n\n{}\n\n- {}: {}\n- {}: {}\n- Why: {}\n",
            one.id, one.title, other, does, stepwell, one.stepwell, one.why
        );
    }
    text
}

fn runs(table: &Table<'_>) -> String {
    let (all, killed) = (table.cases.len(), table.cases.iter().filter(|case| table.kills.kill(case)).count());
    let replayed = table.cases.iter().filter(|case| case.replays).count();
    let mut text = format!(
        "\n## Runs\n\nAll {all} cases run on Miniflare and on Stepwell; {replayed} of them run again with a replay forced after every \
         step, and {killed} with the server killed (`kill -9`) in their middle and started again, after which the same must be observed. \
         The others are not killed:\n\n"
    );
    for one in table.kills.unkilled() {
        let _ = writeln!(
            text,
            "- {} ({})",
            one.why,
            one.cases.iter().map(|case| format!("`{case}`")).collect::<Vec<_>>().join(", ")
        );
    }
    text
}

fn acceptance(table: &Table<'_>) -> String {
    let mut text =
        "\n## Acceptance\n\nThe names that Cloudflare's own tests have, and what stands for each here.\n".to_owned();
    for group in &table.acceptance {
        let _ = write!(text, "\n### {}\n\n| name | shown by |\n|---|---|\n", group.name);
        for item in &group.items {
            let _ = writeln!(text, "| {} | {} |", cell(&item.name), cell(&shown_by(item)));
        }
    }
    text
}

fn shown_by(item: &Item) -> String {
    let by = item.by.iter().map(|by| if by.contains("::") { test_name(by) } else { format!("`{by}`") });
    let missing = item.missing.iter().map(|why| format!("not yet: {why}"));
    let excluded = item.excluded.iter().map(|why| format!("out of scope: {why}"));
    by.chain(missing).chain(excluded).collect::<Vec<_>>().join(", ")
}
