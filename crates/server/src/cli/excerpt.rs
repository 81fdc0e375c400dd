//! The steps of a long instance that fit what a person reads: the first, the last, and between them those that did not go well
//! at once. What is left out is counted, and can be had.

use super::detail::{Do, Step, Wait};

/// Up to so many steps are shown as they are: a few screens.
pub const STEPS_MAX: usize = 200;
/// How the instance began, and what it does again and again.
const FIRST: usize = 20;
/// Where it has got to.
const LAST: usize = 60;
/// Of those in between the newest that are worth a look: together no more than are shown of a shorter instance.
const NOTABLE: usize = STEPS_MAX - FIRST - LAST;

/// A part of what is shown.
#[derive(Debug)]
pub enum Part<'a> {
    Shown(&'a Step),
    LeftOut(&'a [Step]),
}

/// The parts of a timeline, in order.
pub fn excerpt(steps: &[Step]) -> Vec<Part<'_>> {
    if steps.len() <= STEPS_MAX {
        return steps.iter().map(Part::Shown).collect();
    }
    let between = FIRST..steps.len() - LAST;
    let mut shown: Vec<usize> =
        between.clone().rev().filter(|place| is_notable(&steps[*place])).take(NOTABLE).collect();
    shown.reverse();
    let places = (0..between.start).chain(shown).chain(between.end..steps.len());
    let mut parts = Vec::new();
    let mut next = 0;
    for place in places {
        if next < place {
            parts.push(Part::LeftOut(&steps[next..place]));
        }
        parts.push(Part::Shown(&steps[place]));
        next = place + 1;
    }
    parts
}

/// How many of these failed, are open, or were tried again.
pub fn notable(steps: &[Step]) -> usize {
    steps.iter().filter(|step| is_notable(step)).count()
}

fn is_notable(step: &Step) -> bool {
    match step {
        Step::Do(step) | Step::Rollback(step) => step.success != Some(true) || tells_attempts(step),
        Step::Sleep(Wait { finished, error, .. }) | Step::WaitForEvent(Wait { finished, error, .. }) => {
            !finished || error.is_some()
        }
        Step::Termination {} | Step::Unknown => true,
    }
}

/// One attempt that went well needs no line of its own.
pub fn tells_attempts(step: &Do) -> bool {
    step.attempts.len() > 1 || step.attempts.iter().any(|attempt| attempt.error.is_some() || attempt.interruptions > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TIME: &str = "2026-11-21T12:00:00Z";

    /// Steps of which those at some places failed.
    fn steps(count: usize, failed: &[usize]) -> Vec<Step> {
        let step = |place| {
            let success = !failed.contains(&place);
            json!({ "type": "step", "name": place.to_string(), "start": TIME, "end": TIME, "success": success })
        };
        (0..count).map(|place| serde_json::from_value(step(place)).expect("a step")).collect()
    }

    /// The parts in few words: `#` for shown ones side by side, with their number.
    fn told(steps: &[Step]) -> String {
        let mut told: Vec<(char, usize)> = Vec::new();
        for part in excerpt(steps) {
            match (part, told.last_mut()) {
                (Part::Shown(_), Some(('#', count))) => *count += 1,
                (Part::Shown(_), _) => told.push(('#', 1)),
                (Part::LeftOut(out), _) => told.push(('-', out.len())),
            }
        }
        told.iter().map(|(sign, count)| format!("{sign}{count}")).collect()
    }

    #[test]
    fn a_short_timeline_is_shown_whole_and_of_a_long_one_its_ends_and_what_went_wrong() {
        assert_eq!(told(&steps(0, &[])), "");
        assert_eq!(told(&steps(STEPS_MAX, &[])), "#200");
        assert_eq!(told(&steps(STEPS_MAX + 1, &[])), "#20-121#60");
        assert_eq!(told(&steps(10_000, &[5, 20, 5_000, 9_939, 9_999])), "#21-4979#1-4938#61");
    }

    #[test]
    fn of_many_that_went_wrong_the_newest_are_shown() {
        let all: Vec<usize> = (0..1_000).collect();
        let steps = steps(1_000, &all);
        assert_eq!(told(&steps), "#20-800#180");
        let Part::LeftOut(out) = &excerpt(&steps)[20] else { panic!("a step") };
        assert_eq!(notable(out), 800);
    }
}
