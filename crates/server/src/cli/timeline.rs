//! What an instance did, as people like to read it: a summary, its steps, and how it ended. Pure: detail in, text out.

use jiff::Timestamp;

use super::detail::{Detail, ErrorView, Rollback, json_text};
use super::excerpt::{Part, excerpt};
use super::screen::{Screen, Tone};
use super::steps::{StepView, name_width};
use super::text::{columns, cut, expand_json, one_line, pad, printable, wrap};
use super::{status, times};

/// Wide enough for the longest label of the summary.
const LABEL_WIDTH: usize = 11;
/// Values of files without a width: what fits on most screens.
const VALUE_WIDTH: usize = 100;
/// The places that matter are the innermost.
const ERROR_STACK_LINES_MAX: usize = 12;

/// So long may code between two steps take without being worth a word.
const QUIET_MS_MIN: i64 = 30_000;

/// How a timeline is shown.
#[derive(Debug, Clone)]
pub struct Timeline<'a> {
    pub screen: &'a Screen,
    pub shows_step_output: bool,
    /// Also of a long instance.
    pub shows_all_steps: bool,
    /// Characters of each output; 0 shows all.
    pub output_chars_max: usize,
    /// How many instances of the workflow run at once, where no further one can.
    pub places: Option<u64>,
}

impl Timeline<'_> {
    /// Lines without their ends.
    pub fn render(&self, detail: &Detail) -> Vec<String> {
        let mut lines = self.summary(detail);
        if !detail.steps.is_empty() {
            lines.push(String::new());
            lines.push(self.screen.paint(Tone::Heading, &format!("Steps ({})", detail.steps.len())));
            lines.extend(self.steps(detail));
        }
        if let Some(output) = &detail.output {
            lines.push(String::new());
            lines.push(self.screen.paint(Tone::Heading, "Output"));
            lines.extend(self.value(&json_text(output), "", 2));
        }
        if let Some(error) = &detail.error {
            lines.push(String::new());
            lines.push(self.screen.paint(Tone::Heading, "Error"));
            lines.extend(self.error(error));
        }
        lines
    }

    fn summary(&self, detail: &Detail) -> Vec<String> {
        let now = self.screen.now();
        let mut lines = Vec::new();
        let mut field = |label: &str, value: Option<String>| {
            if let Some(value) = value {
                lines.push(self.screen.paint(Tone::Dim, &pad(label, LABEL_WIDTH)) + &value);
            }
        };
        field("Workflow", detail.workflow.as_deref().map(|name| self.fitted(name, LABEL_WIDTH)));
        field("Instance", detail.id.as_deref().map(one_line));
        field("Status", Some(status::painted(&detail.status, self.screen)));
        field("Created", detail.queued.map(|at| self.time(at)));
        field("Started", detail.start.map(|at| self.time(at)));
        field("Ended", detail.end.map(|at| self.time(at)));
        field("Duration", detail.took_ms(now).map(|ms| duration(detail, ms)));
        field("Rollback", detail.rollback.as_ref().map(|rollback| self.rollback(rollback)));
        field("Wakes", detail.wake_at.filter(|_| !detail.has_ended()).map(|at| self.time(at)));
        field("Kept until", detail.expires_at.map(|at| self.time(at)));
        let fired = detail.schedule.as_ref();
        let fired = fired.and_then(|by| Some((by, Timestamp::from_millisecond(by.scheduled_time).ok()?)));
        field("Schedule", fired.map(|(by, at)| format!("{}, due {}", one_line(&by.cron), self.time(at))));
        field("Trigger", detail.trigger.as_ref().map(|trigger| one_line(&trigger.source)));
        field("Version", detail.version_id.as_deref().map(one_line));
        let params = detail.params.as_ref().map(|params| params.get()).filter(|text| *text != "null");
        if let Some(params) = params {
            lines.extend(self.value(params, &pad("Params", LABEL_WIDTH), 0));
        }
        if let Some(places) = self.places.filter(|_| detail.status == "queued") {
            let told = format!("a place: {places} of this workflow run, which is its concurrency limit");
            lines.extend(self.notice("Waits for", Tone::Waiting, &told));
        }
        if let Some(diverged) = &detail.diverged {
            lines.extend(self.notice("Diverged", Tone::Bad, diverged));
        }
        let quiet_ms = detail.quiet_since().map(|since| times::millis(since, now));
        if let Some(ms) = quiet_ms.filter(|ms| *ms >= QUIET_MS_MIN) {
            let told = format!(
                "nothing has happened for {}: run() waits for something outside its steps, or computes",
                times::duration(ms)
            );
            lines.extend(self.notice("Quiet", Tone::Waiting, &told));
        }
        lines
    }

    fn notice(&self, label: &str, tone: Tone, text: &str) -> Vec<String> {
        let width = self.screen.width.map(|width| width - LABEL_WIDTH);
        let label = self.screen.paint(tone, &pad(label, LABEL_WIDTH));
        hanging(&label, LABEL_WIDTH, wrap(&printable(text), width))
    }

    fn rollback(&self, rollback: &Rollback) -> String {
        let Some(error) = &rollback.error else { return one_line(&rollback.outcome) };
        let told = format!("{}: {}: {}", rollback.outcome, error.name, error.message);
        self.screen.paint(Tone::Bad, &self.fitted(&told, LABEL_WIDTH))
    }

    fn steps(&self, detail: &Detail) -> Vec<String> {
        let parts = match self.shows_all_steps {
            true => detail.steps.iter().map(Part::Shown).collect(),
            false => excerpt(&detail.steps),
        };
        let name_width = name_width(&parts, self.screen.width);
        let began = detail.queued.unwrap_or(Timestamp::UNIX_EPOCH);
        let view = StepView { timeline: self, name_width, began, has_ended: detail.has_ended() };
        parts.iter().flat_map(|part| view.render(part)).collect()
    }

    /// A value after `label`, on one line where it fits, else with a line for each member below.
    pub fn value(&self, text: &str, label: &str, indent: usize) -> Vec<String> {
        let margin = " ".repeat(indent);
        let whole = printable(text);
        let room = self.screen.width.unwrap_or(VALUE_WIDTH).saturating_sub(indent + columns(label));
        let label = self.screen.paint(Tone::Dim, label);
        if columns(&whole) <= room && !self.is_too_long(&whole) && !whole.contains('\n') {
            return vec![format!("{margin}{label}{whole}")];
        }
        let body = margin.clone() + "  ";
        let shown = self.truncated(&expand_json(&whole));
        let width = self.screen.width.map(|width| width.saturating_sub(body.len()).max(1));
        let lines = wrap(&shown, width).into_iter().map(|line| format!("{body}{line}"));
        let heading = (!label.is_empty()).then(|| format!("{margin}{}", label.trim_end()));
        heading.into_iter().chain(lines).collect()
    }

    fn is_too_long(&self, text: &str) -> bool {
        self.output_chars_max > 0 && text.chars().count() > self.output_chars_max
    }

    fn truncated(&self, text: &str) -> String {
        if !self.is_too_long(text) {
            return text.to_owned();
        }
        let kept: String = text.chars().take(self.output_chars_max).collect();
        let left_out = text.chars().count() - self.output_chars_max;
        format!("{kept}\n… {left_out} more characters; --truncate-output-limit 0 shows all")
    }

    fn error(&self, error: &ErrorView) -> Vec<String> {
        let width = self.screen.width.map(|width| width - 2);
        let told = printable(&format!("{}: {}", error.name, error.message));
        let message = wrap(&told, width).into_iter().map(|line| format!("  {}", self.screen.paint(Tone::Bad, &line)));
        let cause = error.cause.as_deref().map(|cause| printable(&format!("caused by {cause}")));
        let cause = cause.into_iter().flat_map(|cause| wrap(&cause, width));
        let message = message.chain(cause.map(|line| format!("  {line}")));
        let frames = frames(error).take(ERROR_STACK_LINES_MAX);
        let stack = frames.map(|line| self.screen.paint(Tone::Dim, &self.fitted(&format!("    {line}"), 0)));
        message.chain(stack).collect()
    }

    fn time(&self, at: Timestamp) -> String {
        times::local_and_relative(at, self.screen.now(), &self.screen.zone)
    }

    /// One line that leaves `taken` columns free.
    pub fn fitted(&self, text: &str, taken: usize) -> String {
        let text = one_line(text);
        self.screen.width.map_or_else(|| text.clone(), |width| cut(&text, width.saturating_sub(taken).max(1)))
    }
}

/// The lines of an error's stack that name a place in code.
pub fn frames(error: &ErrorView) -> impl Iterator<Item = String> {
    let lines = error.stack.as_deref().unwrap_or_default().lines().map(str::trim);
    lines.filter(|line| line.starts_with("at ")).map(one_line)
}

/// The first line after `label`, the others below the first.
pub fn hanging(label: &str, indent: usize, lines: Vec<String>) -> Vec<String> {
    let margin = " ".repeat(indent);
    let led = |(place, line)| if place == 0 { format!("{label}{line}") } else { format!("{margin}{line}") };
    lines.into_iter().enumerate().map(led).collect()
}

fn duration(detail: &Detail, ms: i64) -> String {
    let so_far = if detail.has_ended() { "" } else { " so far" };
    format!("{}{so_far}", times::duration(ms))
}
