//! What happened in an instance, as people read it: a fold over its entries, page by page. Pure.
//!
//! It holds what the answer will hold and no more: step outputs up to a bound, payloads of events until they are
//! delivered. Statuses, times of the instance and its version are in its row and stay out.

mod rollback;

use std::collections::HashMap;
use std::sync::Arc;

use stepwell_engine::{
    CallId, Entry, ErrorRecord, Millis, Outcome, Payload, Recorded, StepConfig, StepKind, error_text,
};

use rollback::Handler;

use super::detail::{Attempt, Config, Do, ErrorView, RollbackView, Step, Trigger, Wait};
use super::times::Iso;

/// Instead of a sensitive step's output.
pub const REDACTED: &str = "[REDACTED]";
/// Instead of an output that the answer has no room for.
pub const LEFT_OUT: &str = "[output left out: read it with GET …/step?name=…]";

/// Which step outputs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// All, until they have so many bytes.
    Bytes(usize),
    /// Those of the steps of this name (with its count).
    OfStep(String),
}

/// A history as far as it was read.
#[derive(Debug)]
pub struct Timeline {
    keep: Keep,
    params: Payload,
    trigger: Trigger,
    steps: Vec<Step>,
    open: HashMap<CallId, Open>,
    handlers: HashMap<CallId, Handler>,
    rollback: Option<RollbackView>,
    events: HashMap<u64, Option<Arc<str>>>,
    paused_at: Option<Millis>,
    diverged: Option<String>,
    output: Option<Payload>,
    error: Option<ErrorRecord>,
}

/// A call that has not settled.
#[derive(Debug)]
struct Open {
    place: usize,
    sensitive: bool,
    timeout_ms: u64,
}

/// What a timeline adds up to.
#[derive(Debug)]
pub struct Folded {
    /// `event.payload`.
    pub params: Payload,
    /// Where it came from.
    pub trigger: Trigger,
    /// In the order in which they began.
    pub steps: Vec<Step>,
    /// How its rollback ended.
    pub rollback: Option<RollbackView>,
    /// What its code no longer does as recorded.
    pub diverged: Option<String>,
    /// Output, once complete.
    pub output: Option<Payload>,
    /// Error, once errored.
    pub error: Option<ErrorRecord>,
}

impl Timeline {
    /// Nothing read yet.
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            params: Payload::UNDEFINED,
            trigger: Trigger::of(""),
            steps: Vec::new(),
            open: HashMap::new(),
            handlers: HashMap::new(),
            rollback: None,
            events: HashMap::new(),
            paused_at: None,
            diverged: None,
            output: None,
            error: None,
        }
    }

    /// What was read adds up to this.
    pub fn finish(self) -> Folded {
        let Self { params, trigger, steps, rollback, diverged, output, error, .. } = self;
        Folded { params, trigger, steps, rollback, diverged, output, error }
    }

    /// Reads the next entry.
    pub fn push(&mut self, recorded: Recorded) {
        let Recorded { seq, at, entry } = recorded;
        match entry {
            Entry::Created { params, trigger, .. } => {
                self.params = params;
                self.trigger = Trigger::of(&trigger);
            }
            Entry::Started { .. } | Entry::PauseRequested | Entry::WorkerKilled | Entry::RollbackStarted { .. } => {}
            Entry::Begun { call, name, count, kind, started, .. } => self.begin(call, &name, count, kind, started, at),
            Entry::Did { name, count, config, value, .. } => self.did(&name, count, config.as_deref(), value, at),
            Entry::AttemptStarted { call, attempt } => self.start_attempt(call, attempt, at),
            Entry::AttemptFailed { call, attempt, error, retry_at } => {
                self.fail_attempt(call, attempt, error, retry_at, at);
            }
            Entry::Settled { call, outcome } => self.settle(call, outcome, at),
            Entry::EventReceived { payload, .. } => {
                self.events.insert(seq, payload.json);
            }
            Entry::Paused => self.paused_at = Some(at),
            Entry::Resumed => self.resume(at),
            Entry::RollbackRegistered { call, config } => self.register_handler(call, *config),
            Entry::RollbackAttemptStarted { call, attempt } => self.start_handler(call, attempt, at),
            Entry::RollbackAttemptFailed { call, error, retry_at, .. } => {
                self.end_handler(call, Some(error), retry_at, at);
            }
            Entry::RolledBack { call, .. } => self.end_handler(call, None, None, at),
            Entry::RollbackEnded { error } => self.end_rollback(error),
            Entry::Diverged { message } => self.diverged = Some(message),
            Entry::Completed { output } => self.output = Some(output),
            Entry::Errored { error } => self.error = Some(error),
            Entry::Terminated => self.steps.push(Step::Termination { trigger: Trigger::of("") }),
        }
    }

    fn begin(&mut self, call: CallId, name: &str, count: u32, kind: StepKind, started: bool, at: Millis) {
        let name = format!("{name}-{count}");
        let mut open = Open { place: self.steps.len(), sensitive: false, timeout_ms: 0 };
        let wait = |name, until, event_type| Wait {
            name,
            start: Iso(at),
            end: Iso(until),
            finished: false,
            error: None,
            output: None,
            event_type,
        };
        let step = match kind {
            StepKind::Do(config) => {
                open.sensitive = config.sensitive;
                let attempts = if started { vec![begun_attempt(at)] } else { Vec::new() };
                Step::Do(new_step(name, &config, at, attempts))
            }
            StepKind::Sleep { until } | StepKind::SleepUntil { until } => Step::Sleep(wait(name, until, None)),
            StepKind::Wait { event_type, timeout_ms, until } => {
                open.timeout_ms = timeout_ms;
                Step::WaitForEvent(wait(name, until, Some(event_type)))
            }
        };
        self.steps.push(step);
        self.open.insert(call, open);
    }

    fn did(&mut self, name: &str, count: u32, config: Option<&StepConfig>, value: Payload, at: Millis) {
        let config = config.unwrap_or(&StepConfig::DEFAULT);
        let attempt = Attempt { end: Some(Iso(at)), success: Some(true), ..begun_attempt(at) };
        let mut step = new_step(format!("{name}-{count}"), config, at, vec![attempt]);
        step.end = Some(Iso(at));
        step.success = Some(true);
        step.output = self.output_of(&step.name, config.sensitive, value);
        self.steps.push(Step::Do(step));
    }

    fn start_attempt(&mut self, call: CallId, number: u32, at: Millis) {
        if let Some(attempt) = self.attempt(call, number, at)
            && attempt.start != Iso(at)
        {
            attempt.interruptions += 1;
            attempt.start = Iso(at);
        }
        if let Some(step) = self.step(call) {
            step.retry_at = None;
        }
    }

    fn fail_attempt(&mut self, call: CallId, number: u32, error: ErrorRecord, retry_at: Option<Millis>, at: Millis) {
        if let Some(attempt) = self.attempt(call, number, at) {
            attempt.end = Some(Iso(at));
            attempt.success = Some(false);
            attempt.error = Some(error.into());
        }
        let Some(step) = self.step(call) else { return };
        step.retry_at = retry_at.map(Iso);
        if retry_at.is_none() {
            step.end = Some(Iso(at));
            step.success = Some(false);
            self.open.remove(&call);
        }
    }

    fn settle(&mut self, call: CallId, outcome: Outcome, at: Millis) {
        match outcome {
            Outcome::Done { attempt, value } => self.succeed(call, attempt, value, at),
            Outcome::Lost(error) => {
                let number = self.step(call).map_or(1, |step| step.attempts.len().max(1));
                self.fail_attempt(call, u32::try_from(number).unwrap_or(u32::MAX), error, None, at);
            }
            Outcome::Streamed { attempt, stream, preview } => {
                let place = self.open.get(&call).filter(|open| !open.sensitive).map(|open| open.place);
                self.succeed(call, attempt, preview, at);
                if let Some(Step::Do(step)) = place.and_then(|place| self.steps.get_mut(place)) {
                    step.stream = Some(stream);
                }
            }
            Outcome::Slept => self.end_wait(call, None, None, at),
            Outcome::Event { seq } => {
                let payload = self.events.remove(&seq).flatten();
                self.end_wait(call, None, payload, at);
            }
            Outcome::TimedOut => {
                let timeout_ms = self.open.get(&call).map_or(0, |open| open.timeout_ms);
                self.end_wait(call, Some(error_text::timed_out(timeout_ms).into()), None, at);
            }
        }
    }

    fn succeed(&mut self, call: CallId, number: u32, value: Payload, at: Millis) {
        if let Some(attempt) = self.attempt(call, number, at) {
            attempt.end = Some(Iso(at));
            attempt.success = Some(true);
        }
        let Some(open) = self.open.remove(&call) else { return };
        let Some(Step::Do(step)) = self.steps.get(open.place) else { return };
        let name = step.name.clone();
        let output = self.output_of(&name, open.sensitive, value);
        if let Some(Step::Do(step)) = self.steps.get_mut(open.place) {
            step.end = Some(Iso(at));
            step.success = Some(true);
            step.output = output;
        }
    }

    fn end_wait(&mut self, call: CallId, error: Option<ErrorView>, output: Option<Arc<str>>, at: Millis) {
        let Some(open) = self.open.remove(&call) else { return };
        let output = output.map(|text| self.within_bound(text));
        if let Some(Step::Sleep(wait) | Step::WaitForEvent(wait)) = self.steps.get_mut(open.place) {
            wait.end = Iso(at);
            wait.finished = true;
            wait.error = error;
            wait.output = output;
        }
    }

    /// Due times move by the time paused.
    fn resume(&mut self, at: Millis) {
        let Some(since) = self.paused_at.take() else { return };
        let paused_ms = (at - since).max(0);
        for open in self.open.values() {
            match self.steps.get_mut(open.place) {
                Some(Step::Sleep(wait) | Step::WaitForEvent(wait)) => wait.end.0 += paused_ms,
                Some(Step::Do(step)) => step.retry_at = step.retry_at.map(|Iso(due)| Iso(due + paused_ms)),
                _ => {}
            }
        }
    }

    fn step(&mut self, call: CallId) -> Option<&mut Do> {
        let place = self.open.get(&call)?.place;
        match self.steps.get_mut(place)? {
            Step::Do(step) => Some(step),
            _ => None,
        }
    }

    /// An attempt of an open step; one whose beginning was not recorded begins where it is first heard of.
    fn attempt(&mut self, call: CallId, number: u32, at: Millis) -> Option<&mut Attempt> {
        let step = self.step(call)?;
        let place = number.saturating_sub(1) as usize;
        if place >= step.attempts.len() {
            step.attempts.push(begun_attempt(at));
            return step.attempts.last_mut();
        }
        step.attempts.get_mut(place)
    }

    fn output_of(&mut self, name: &str, sensitive: bool, value: Payload) -> Option<Arc<str>> {
        if sensitive {
            return Some(REDACTED.into());
        }
        match &self.keep {
            Keep::OfStep(wanted) if wanted != name => None,
            Keep::OfStep(_) => value.json,
            Keep::Bytes(_) => value.json.map(|text| self.within_bound(text)),
        }
    }

    fn within_bound(&mut self, text: Arc<str>) -> Arc<str> {
        let Keep::Bytes(left) = &mut self.keep else { return text };
        match left.checked_sub(text.len()) {
            Some(rest) => {
                *left = rest;
                text
            }
            None => LEFT_OUT.into(),
        }
    }
}

fn new_step(name: String, config: &StepConfig, at: Millis, attempts: Vec<Attempt>) -> Do {
    let config = Config::from(config);
    Do { name, start: Iso(at), end: None, success: None, output: None, stream: None, config, attempts, retry_at: None }
}

fn begun_attempt(at: Millis) -> Attempt {
    Attempt { start: Iso(at), end: None, success: None, error: None, interruptions: 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use stepwell_engine::{DeploymentId, Retention};

    use super::*;

    /// Folds entries that happen a second apart, the first at 0.
    fn fold(keep: Keep, entries: impl IntoIterator<Item = Entry>) -> Folded {
        let mut timeline = Timeline::new(keep);
        for (seq, entry) in (0..).zip(entries) {
            timeline.push(Recorded { seq, at: 1_000 * seq as i64, entry });
        }
        timeline.finish()
    }

    fn steps(entries: Vec<Entry>) -> Value {
        let created = Entry::Created {
            params: Payload::from_json("{}"),
            trigger: "api".to_owned(),
            retention: Retention::default(),
        };
        let folded = fold(Keep::Bytes(1_000), [created].into_iter().chain(entries));
        serde_json::to_value(folded.steps).expect("JSON")
    }

    fn second(number: u32) -> String {
        format!("1970-01-01T00:00:{number:02}.000Z")
    }

    fn begun(call: u32, name: &str, kind: StepKind) -> Entry {
        let started = matches!(kind, StepKind::Do(_));
        Entry::Begun { call: CallId(call), parent: None, name: name.to_owned(), count: 1, kind, started }
    }

    fn begun_do(call: u32, name: &str) -> Entry {
        begun(call, name, StepKind::Do(StepConfig::DEFAULT))
    }

    fn did(name: &str, config: Option<StepConfig>, value: &str) -> Entry {
        let (name, value) = (name.to_owned(), Payload::from_json(value));
        Entry::Did { call: CallId(0), parent: None, name, count: 2, config: config.map(Box::new), value }
    }

    fn failed(call: u32, attempt: u32, retry_at: Option<Millis>) -> Entry {
        let error = ErrorRecord { stack: Some("at x".to_owned()), ..ErrorRecord::new("Error", "no") };
        Entry::AttemptFailed { call: CallId(call), attempt, error, retry_at }
    }

    fn done(call: u32, attempt: u32, value: &str) -> Entry {
        let value = Payload::from_json(value);
        Entry::Settled { call: CallId(call), outcome: Outcome::Done { attempt, value } }
    }

    fn default_config() -> Value {
        json!({"retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"}, "timeout": 600_000})
    }

    #[test]
    fn a_step_of_one_turn_has_one_successful_attempt() {
        let expected = json!([{
            "type": "step", "name": "a-2", "start": second(1), "end": second(1), "success": true, "output": "{\"x\":1}",
            "config": default_config(),
            "attempts": [{"start": second(1), "end": second(1), "success": true, "error": null}],
        }]);
        assert_eq!(steps(vec![did("a", None, "{\"x\":1}")]), expected);
    }

    #[test]
    fn a_retried_step_shows_its_attempts_with_errors_and_stacks() {
        let entries = vec![
            begun_do(0, "a"),
            failed(0, 1, Some(3_000)),
            Entry::AttemptStarted { call: CallId(0), attempt: 2 },
            done(0, 2, "7"),
        ];
        let error = json!({"name": "Error", "message": "no", "stack": "at x"});
        let expected = json!([{
            "type": "step", "name": "a-1", "start": second(1), "end": second(4), "success": true, "output": "7",
            "config": default_config(),
            "attempts": [
                {"start": second(1), "end": second(2), "success": false, "error": error},
                {"start": second(3), "end": second(4), "success": true, "error": null},
            ],
        }]);
        assert_eq!(steps(entries), expected);
    }

    #[test]
    fn a_step_that_waits_for_its_next_attempt_says_when_it_is_due() {
        let shown = steps(vec![begun_do(0, "a"), failed(0, 1, Some(30_000))]);
        assert_eq!(shown[0]["retry_at"], second(30));
        assert_eq!((&shown[0]["end"], &shown[0]["success"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_step_whose_last_attempt_failed_has_failed() {
        let shown = steps(vec![begun_do(0, "a"), failed(0, 1, None)]);
        assert_eq!((&shown[0]["end"], &shown[0]["success"]), (&json!(second(2)), &json!(false)));
        assert_eq!(shown[0]["attempts"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn an_attempt_begun_anew_with_its_number_counts_the_interruption() {
        let again = Entry::AttemptStarted { call: CallId(0), attempt: 1 };
        let shown = steps(vec![begun_do(0, "a"), again, done(0, 1, "1")]);
        assert_eq!(
            shown[0]["attempts"],
            json!([{"start": second(2), "end": second(3), "success": true, "error": null, "interruptions": 1}])
        );
    }

    #[test]
    fn a_lost_attempt_of_a_step_that_may_not_run_twice_fails_it() {
        let error = error_text::attempt_lost();
        let lost = Entry::Settled { call: CallId(0), outcome: Outcome::Lost(error.clone()) };
        let shown = steps(vec![begun_do(0, "a"), lost]);
        assert_eq!(shown[0]["success"], false);
        assert_eq!(shown[0]["attempts"][0]["error"]["message"], error.message);
    }

    #[test]
    fn a_sensitive_output_is_never_shown() {
        let config = StepConfig { sensitive: true, ..StepConfig::DEFAULT };
        let shown = steps(vec![
            did("a", Some(config.clone()), "\"secret\""),
            begun(1, "b", StepKind::Do(config)),
            done(1, 1, "\"secret\""),
        ]);
        assert!(!shown.to_string().contains("secret\\\""), "{shown}");
        for step in [&shown[0], &shown[1]] {
            assert_eq!((&step["output"], &step["config"]["sensitive"]), (&json!(REDACTED), &json!("output")));
        }
    }

    #[test]
    fn a_sleep_ends_when_due_and_a_pause_moves_that() {
        let shown = steps(vec![
            begun(0, "nap", StepKind::Sleep { until: 20_000 }),
            Entry::PauseRequested,
            Entry::Paused,
            Entry::Started { deployment: DeploymentId(1) },
            Entry::Resumed,
        ]);
        assert_eq!(
            shown,
            json!([{"type": "sleep", "name": "nap-1", "start": second(1), "end": second(22), "finished": false, "error": null}])
        );
    }

    #[test]
    fn a_wait_shows_the_event_it_got() {
        let kind = StepKind::Wait { event_type: "go".to_owned(), timeout_ms: 9_000, until: 11_000 };
        let event = Entry::EventReceived { event_type: "go".to_owned(), payload: Payload::from_json("[1]") };
        let shown = steps(vec![
            begun(0, "w", kind),
            event,
            Entry::Settled { call: CallId(0), outcome: Outcome::Event { seq: 2 } },
        ]);
        let expected = json!([{
            "type": "waitForEvent", "name": "w-1", "start": second(1), "end": second(3), "finished": true,
            "error": null, "output": "[1]", "event_type": "go",
        }]);
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_wait_that_timed_out_says_so() {
        let kind = StepKind::Wait { event_type: "go".to_owned(), timeout_ms: 1_000, until: 2_000 };
        let shown = steps(vec![begun(0, "w", kind), Entry::Settled { call: CallId(0), outcome: Outcome::TimedOut }]);
        assert_eq!(shown[0]["error"]["message"], "Execution timed out after 1000ms");
        assert_eq!(shown[0]["finished"], true);
    }

    #[test]
    fn outputs_beyond_the_bound_are_named_and_not_shown() {
        let entries = vec![did("a", None, "1234"), did("b", None, "12345"), did("c", None, "1")];
        let folded = fold(Keep::Bytes(5), entries);
        let outputs: Vec<_> =
            folded.steps.iter().map(|step| serde_json::to_value(step).expect("JSON")["output"].clone()).collect();
        assert_eq!(outputs, [json!("1234"), json!(LEFT_OUT), json!("1")]);
    }

    #[test]
    fn one_step_can_be_asked_for_alone() {
        let folded = fold(Keep::OfStep("b-2".to_owned()), vec![did("a", None, "1"), did("b", None, "2")]);
        let outputs: Vec<_> =
            folded.steps.iter().map(|step| serde_json::to_value(step).expect("JSON")["output"].clone()).collect();
        assert_eq!(outputs, [Value::Null, json!("2")]);
    }

    #[test]
    fn a_handler_is_a_step_of_its_own_with_its_attempts() {
        let call = CallId(0);
        let (config, cause) = (Box::new(StepConfig::DEFAULT), ErrorRecord::new("Error", "boom"));
        let entries = vec![
            did("a", None, "1"),
            Entry::RollbackRegistered { call, config },
            Entry::RollbackStarted { cause: cause.clone(), error: Some(cause) },
            Entry::RollbackAttemptStarted { call, attempt: 1 },
            Entry::RollbackAttemptFailed {
                call,
                attempt: 1,
                error: ErrorRecord::new("Error", "no"),
                retry_at: Some(6_000),
            },
            Entry::RollbackAttemptStarted { call, attempt: 2 },
            Entry::RollbackAttemptStarted { call, attempt: 2 },
            Entry::RolledBack { call, attempt: 2 },
            Entry::RollbackEnded { error: None },
        ];
        let error = json!({"name": "Error", "message": "no"});
        let expected = json!({
            "type": "rollback", "name": "a-2", "start": second(4), "end": second(8), "success": true, "output": null,
            "config": default_config(),
            "attempts": [
                {"start": second(4), "end": second(5), "success": false, "error": error},
                {"start": second(7), "end": second(8), "success": true, "error": null, "interruptions": 1},
            ],
        });
        assert_eq!(steps(entries)[1], expected);
    }

    #[test]
    fn ends_and_divergence_are_told() {
        let error = ErrorRecord::new("Error", "boom");
        let folded = fold(
            Keep::Bytes(0),
            vec![Entry::Diverged { message: "other step".to_owned() }, Entry::Errored { error: error.clone() }],
        );
        assert_eq!((folded.diverged.as_deref(), folded.error), (Some("other step"), Some(error)));
        let folded = fold(Keep::Bytes(0), vec![Entry::Completed { output: Payload::from_json("1") }]);
        assert_eq!(folded.output, Some(Payload::from_json("1")));
        assert_eq!(steps(vec![Entry::Terminated]), json!([{"type": "termination", "trigger": {"source": "unknown"}}]));
    }
}
