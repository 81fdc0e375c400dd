//! One step of a timeline: a line that says how it stands, and below it what explains that.

use jiff::Timestamp;

use super::detail::{Attempt, Do, ErrorView, Step, Wait, json_text};
use super::excerpt::{Part, notable, tells_attempts};
use super::screen::Tone;
use super::text::{columns, counted, cut, one_line, pad, printable, wrap};
use super::timeline::{Timeline, frames, hanging};
use super::times;

const STEP_INDENT: usize = 2;
const BELOW_INDENT: usize = 6;
const KIND_WIDTH: usize = 12;
const GAP: usize = 2;
/// Names longer than this do not push the rest of every line to the right.
const NAME_WIDTH_MAX: usize = 40;
/// A step may be tried 10,000 times: the first and the last tries tell the story.
const FIRST_ATTEMPTS_SHOWN: usize = 2;
const LAST_ATTEMPTS_SHOWN: usize = 8;
/// Columns that stay for what follows a name.
const AFTER_NAME_WIDTH: usize = 34;

/// How steps are shown.
pub struct StepView<'a> {
    pub timeline: &'a Timeline<'a>,
    pub name_width: usize,
    /// Times of that day need no date.
    pub began: Timestamp,
    /// What has not ended in an instance that has will never end.
    pub has_ended: bool,
}

/// The columns for names.
pub fn name_width(parts: &[Part<'_>], width: Option<usize>) -> usize {
    let widest = parts.iter().filter_map(name).map(|name| columns(&one_line(name))).max().unwrap_or(0);
    let room = width.map_or(NAME_WIDTH_MAX, |width| width.saturating_sub(AFTER_NAME_WIDTH));
    widest.min(NAME_WIDTH_MAX).min(room)
}

fn name<'a>(part: &Part<'a>) -> Option<&'a str> {
    let Part::Shown(step) = part else { return None };
    match step {
        Step::Do(step) | Step::Rollback(step) => Some(&step.name),
        Step::Sleep(wait) | Step::WaitForEvent(wait) => Some(&wait.name),
        Step::Termination {} | Step::Unknown => None,
    }
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Done,
    Failed,
    Busy,
    Waiting,
    /// It was open when the instance ended.
    Abandoned,
}

impl Stand {
    fn sign(self) -> (&'static str, Tone) {
        match self {
            Self::Done => ("✓", Tone::Good),
            Self::Failed => ("✗", Tone::Bad),
            Self::Busy => ("●", Tone::Busy),
            Self::Waiting => ("◷", Tone::Waiting),
            Self::Abandoned => ("■", Tone::Dim),
        }
    }
}

impl StepView<'_> {
    /// Lines without their ends.
    pub fn render(&self, part: &Part<'_>) -> Vec<String> {
        let step = match part {
            Part::Shown(step) => step,
            Part::LeftOut(steps) => return self.left_out(steps),
        };
        match step {
            Step::Do(step) => self.step(step, "step"),
            Step::Rollback(step) => self.step(step, "rollback"),
            Step::Sleep(wait) => self.wait(wait, "sleep"),
            Step::WaitForEvent(wait) => self.wait(wait, "waitForEvent"),
            Step::Termination {} => self.lines(Stand::Abandoned, "terminated", "", ""),
            Step::Unknown => self.lines(Stand::Abandoned, "(of a kind that this stepwell does not know)", "", ""),
        }
    }

    fn left_out(&self, steps: &[Step]) -> Vec<String> {
        let how = match notable(steps) {
            0 => "all done".to_owned(),
            count => format!("{count} of them failed, open or tried again"),
        };
        let text = format!("… {}, {how}; --all-steps shows all", counted(steps.len(), "more step"));
        let lines = wrap(&text, self.room(STEP_INDENT)).into_iter();
        lines.map(|line| " ".repeat(STEP_INDENT) + &self.paint(Tone::Dim, &line)).collect()
    }

    /// One line, or where the screen is too narrow for it, what follows the kind below.
    fn lines(&self, stand: Stand, name: &str, kind: &str, rest: &str) -> Vec<String> {
        let (sign, tone) = stand.sign();
        let name = one_line(name);
        let name = if kind.is_empty() { name } else { pad(&cut(&name, self.name_width), self.name_width + GAP) };
        let kind = pad(kind, KIND_WIDTH + GAP);
        let taken = STEP_INDENT + 2 + columns(&name) + columns(&kind);
        let fits = self.timeline.screen.width.is_none_or(|width| taken + columns(rest) <= width);
        let head =
            format!("{}{} {name}{}", " ".repeat(STEP_INDENT), self.paint(tone, sign), self.paint(Tone::Dim, &kind));
        if fits {
            return vec![(head + rest).trim_end().to_owned()];
        }
        let below = wrap(rest, self.room(BELOW_INDENT)).into_iter().map(|line| " ".repeat(BELOW_INDENT) + &line);
        std::iter::once(head.trim_end().to_owned()).chain(below).collect()
    }

    /// Columns right of an indentation.
    fn room(&self, indent: usize) -> Option<usize> {
        self.timeline.screen.width.map(|width| width.saturating_sub(indent).max(1))
    }

    fn step(&self, step: &Do, kind: &str) -> Vec<String> {
        let stand = match (step.success, self.has_ended) {
            (Some(true), _) => Stand::Done,
            (Some(false), _) => Stand::Failed,
            (None, true) => Stand::Abandoned,
            (None, false) if step.retry_at.is_some() => Stand::Waiting,
            (None, false) => Stand::Busy,
        };
        let mut lines = self.lines(stand, &step.name, kind, &self.took(step, stand));
        if tells_attempts(step) {
            lines.extend(self.attempts(step));
        }
        if stand == Stand::Waiting {
            lines.extend(step.retry_at.map(|at| self.next_attempt(step, at)));
        }
        if self.timeline.shows_step_output
            && let Some(output) = &step.output
        {
            lines.extend(self.timeline.value(&json_text(output), "→ ", BELOW_INDENT));
        }
        lines
    }

    fn took(&self, step: &Do, stand: Stand) -> String {
        let tries = match step.attempts.len() {
            0 | 1 => String::new(),
            count => format!("  {count} attempts"),
        };
        let took = match (step.end, stand) {
            (Some(end), _) => times::duration(times::millis(step.start, end)),
            (None, Stand::Abandoned) => "not finished".to_owned(),
            (None, _) => format!("{} so far", times::duration(times::millis(step.start, self.timeline.screen.now()))),
        };
        took + &tries
    }

    fn attempts(&self, step: &Do) -> Vec<String> {
        let count = step.attempts.len();
        let is_shown = |place: usize| place < FIRST_ATTEMPTS_SHOWN || place + LAST_ATTEMPTS_SHOWN >= count;
        let left_out = count.saturating_sub(FIRST_ATTEMPTS_SHOWN + LAST_ATTEMPTS_SHOWN);
        let mut lines = Vec::new();
        for (place, attempt) in step.attempts.iter().enumerate() {
            if is_shown(place) {
                let before = place.checked_sub(1).map(|before| &step.attempts[before]);
                let was_shown = before.filter(|_| is_shown(place - 1));
                let is_repeated =
                    was_shown.is_some_and(|before| attempt.error.is_some() && attempt.error == before.error);
                lines.extend(self.attempt(place + 1, attempt, before, is_repeated));
            } else if place == FIRST_ATTEMPTS_SHOWN {
                lines.push(self.paint(Tone::Dim, &format!("{}… {left_out} more attempts", " ".repeat(BELOW_INDENT))));
            }
        }
        lines
    }

    /// `is_repeated`: its error stands a line above already.
    fn attempt(&self, number: usize, attempt: &Attempt, before: Option<&Attempt>, is_repeated: bool) -> Vec<String> {
        let stand = match (attempt.success, attempt.end) {
            (Some(true), _) => Stand::Done,
            (Some(false), _) => Stand::Failed,
            (None, _) if self.has_ended => Stand::Abandoned,
            (None, _) => Stand::Busy,
        };
        let (sign, tone) = stand.sign();
        let mut facts = self.facts(attempt, before);
        if is_repeated {
            facts.push("the same error".to_owned());
        }
        let head = format!("{}attempt {number}  ", " ".repeat(BELOW_INDENT));
        let indent = columns(&head) + 2;
        let facts = wrap(&facts.join(", "), self.room(indent));
        let lines = hanging(&format!("{head}{} ", self.paint(tone, sign)), indent, facts);
        let error = attempt.error.iter().filter(|_| !is_repeated).flat_map(|error| self.error(error, indent));
        lines.into_iter().chain(error).collect()
    }

    fn facts(&self, attempt: &Attempt, before: Option<&Attempt>) -> Vec<String> {
        let between = |from, to| times::duration(times::millis(from, to));
        let mut facts = vec![self.clock(attempt.start)];
        let ended_before = before.and_then(|before| before.end);
        facts.extend(ended_before.map(|end| format!("after {}", between(end, attempt.start))));
        facts.extend(attempt.end.map(|end| format!("took {}", between(attempt.start, end))));
        match attempt.interruptions {
            0 => {}
            1 => facts.push("begun again as its worker was lost".to_owned()),
            times => facts.push(format!("begun again {times} times as its worker was lost")),
        }
        facts
    }

    fn next_attempt(&self, step: &Do, at: Timestamp) -> String {
        let limit =
            step.config.as_ref().and_then(|config| config.retries.as_ref()).and_then(|retries| retries.limit.as_u64());
        let of = limit.map_or_else(String::new, |limit| format!(" of {}", limit + 1));
        let number = step.attempts.len() + 1;
        let text = format!("attempt {number}{of} at {} ({})", self.clock(at), self.relative(at));
        format!("{}{}", " ".repeat(BELOW_INDENT), self.paint(Tone::Waiting, &text))
    }

    fn wait(&self, wait: &Wait, kind: &str) -> Vec<String> {
        let stand = match (&wait.error, wait.finished) {
            (Some(_), _) => Stand::Failed,
            (None, true) => Stand::Done,
            (None, false) if self.has_ended => Stand::Abandoned,
            (None, false) => Stand::Waiting,
        };
        let rest = match stand {
            Stand::Waiting => format!("until {} ({})", self.clock(wait.end), self.relative(wait.end)),
            Stand::Abandoned => "not finished".to_owned(),
            _ => times::duration(times::millis(wait.start, wait.end)),
        };
        let event =
            wait.event_type.as_ref().map_or_else(String::new, |event| format!("  event \"{}\"", one_line(event)));
        let mut lines = self.lines(stand, &wait.name, kind, &(rest + &event));
        lines.extend(wait.error.iter().flat_map(|error| self.error(error, BELOW_INDENT)));
        if self.timeline.shows_step_output
            && let Some(output) = &wait.output
        {
            lines.extend(self.timeline.value(&json_text(output), "→ ", BELOW_INDENT));
        }
        lines
    }

    /// What was thrown, and the innermost place in the user's code.
    fn error(&self, error: &ErrorView, indent: usize) -> Vec<String> {
        let told = wrap(&printable(&format!("{}: {}", error.name, error.message)), self.room(indent));
        let told = told.into_iter().map(|line| self.paint(Tone::Bad, &line)).collect();
        let margin = " ".repeat(indent);
        let mut lines = hanging(&margin, indent, told);
        let cause =
            error.cause.iter().flat_map(|cause| wrap(&printable(&format!("caused by {cause}")), self.room(indent)));
        lines.extend(cause.map(|line| format!("{margin}{line}")));
        let place = frames(error).next();
        lines.extend(place.map(|place| margin + &self.paint(Tone::Dim, &self.timeline.fitted(&place, indent))));
        lines
    }

    fn clock(&self, at: Timestamp) -> String {
        times::local_beside(at, self.began, &self.timeline.screen.zone)
    }

    fn relative(&self, at: Timestamp) -> String {
        times::relative(at, self.timeline.screen.now())
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        self.timeline.screen.paint(tone, text)
    }
}
