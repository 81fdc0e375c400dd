//! What user code did against what is recorded.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::load::id;
use crate::support::Line;

/// Steps in the order in which each needs the one before. The parts need only `first`.
const CHAIN: [&str; 8] = ["first", "flaky", "once", "last 0", "last 1", "last 2", "last 3", "last 4"];

/// Checks every instance; `details` are in the order of their numbers.
pub fn check(details: &[Json], lines: &[Line]) {
    let mut of_instance: HashMap<&str, Vec<&Line>> = HashMap::new();
    for line in lines {
        of_instance.entry(&line.instance).or_default().push(line);
    }
    for (n, detail) in (0..).zip(details) {
        let id = id(n);
        let lines = &of_instance[id.as_str()];
        check_output(n, detail);
        check_recorded_once(&id, detail, lines);
        check_order(&id, lines);
        let once = lines.iter().filter(|line| line.step == "once").count();
        assert!(once <= 1, "{id}: an at-most-once step ran {once} times");
    }
}

fn check_output(n: u64, detail: &Json) {
    assert_eq!(detail["status"], "complete", "{detail:#}");
    let output: Json = serde_json::from_str(detail["output"].as_str().expect("an output")).expect("JSON");
    let first = n * 2;
    let once = &output["once"];
    assert!(once == "once" || once == "Attempt failed due to internal workflows error", "{once}");
    let expected = json!({
        "n": n, "first": first, "parts": [first, first + 1, first + 2], "flaky": 3, "once": once, "sent": { "event": n }, "sum": 10,
    });
    assert_eq!(output, expected);
}

/// No callback began after the result of its step was recorded, and every step has a result and a callback.
fn check_recorded_once(id: &str, detail: &Json, lines: &[&Line]) {
    let steps = detail["steps"].as_array().expect("steps");
    for step in steps.iter().filter(|step| step["type"] == "step") {
        let name = step["name"].as_str().and_then(|name| name.strip_suffix("-1")).expect("a step that is used once");
        let end = step["end"].as_str().expect("a step that ended").parse::<Timestamp>().expect("a time");
        let began: Vec<_> = lines.iter().filter(|line| line.step == name).map(|line| line.at).collect();
        assert!(!began.is_empty() || name == "once", "{id}: {name} has a result and never ran");
        let late = began.iter().find(|at| **at > end.as_millisecond());
        assert_eq!(late, None, "{id}: {name} was recorded at {} and ran again: {began:?}", end.as_millisecond());
    }
    let names = steps.iter().filter_map(|step| step["name"].as_str());
    assert_eq!(names.count(), CHAIN.len() + 3 + 2, "{id}: {steps:#?}");
}

/// A step that another one needs was durable before that one began: it did not begin afterwards.
fn check_order(id: &str, lines: &[&Line]) {
    let first_of = |step: &str| lines.iter().filter(|line| line.step == step).map(|line| line.at).min();
    let last_of = |step: &str| lines.iter().filter(|line| line.step == step).map(|line| line.at).max();
    let parts =
        (0..3).flat_map(|i| [("first".to_owned(), format!("part {i}")), (format!("part {i}"), "flaky".to_owned())]);
    let chain = CHAIN.windows(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned()));
    for (earlier, later) in parts.chain(chain) {
        let (Some(last), Some(first)) = (last_of(&earlier), first_of(&later)) else { continue };
        assert!(last <= first, "{id}: {earlier} began at {last}, after {later} had begun at {first}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: &str, at: i64) -> Line {
        Line { instance: id(0), step: step.to_owned(), at }
    }

    #[test]
    #[should_panic(expected = "was recorded at 1000 and ran again")]
    fn the_audit_finds_a_callback_behind_its_recorded_result() {
        let detail = json!({ "steps": [{ "type": "step", "name": "first-1", "end": "1970-01-01T00:00:01Z" }] });
        check_recorded_once(&id(0), &detail, &[&line("first", 900), &line("first", 1_001)]);
    }

    #[test]
    #[should_panic(expected = "first began at 31, after part 1 had begun at 30")]
    fn the_audit_finds_a_step_that_runs_again_after_one_that_needs_it() {
        check_order(&id(0), &[&line("first", 10), &line("part 1", 30), &line("first", 31)]);
    }
}
