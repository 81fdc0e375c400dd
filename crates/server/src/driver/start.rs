//! How a run starts: what the shim must know of the instance and its history, read from committed state in pieces.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::value::RawValue;
use stepwell_engine::cron::{FiringOf, firing_of};
use stepwell_engine::engine::{Fresh, Start};
use stepwell_engine::{
    CallId, Entry, ErrorRecord, Millis, Outcome as Settled, Payload, Recorded, RunId, StepConfig, StepKind, error_text,
};
use stepwell_runtime::protocol::{Config, Outcome, PastCall, Schedule, Settlement, ToShim};
use stepwell_runtime::session::{FRAME_BYTES_MAX, SessionSender};
use stepwell_runtime::translate::{Frame, write_error, write_value};
use stepwell_store::HistoryPage;
use stepwell_store::{ReadError, Store};

use super::session_io::SessionCatalog;

/// Values above this stay in the store until the run asks for them.
const INLINE_BYTES_MAX: usize = 16 << 10;
/// Bytes of a piece of history, by estimate: well within a frame.
const PIECE_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;
/// What a message weighs beside its texts.
const MESSAGE_BYTES: usize = 64;
/// What code takes on its way to a call is told where it is longer.
const WAY_MS_MIN: Millis = 3_000;
/// Entries read at once.
const PAGE_ROWS: usize = 2_000;

/// What a start message says of the workflow.
#[derive(Debug)]
pub struct StartInfo {
    /// Workflow name.
    pub workflow: String,
    /// Exported class.
    pub class: String,
    /// Limits and defaults.
    pub settings: Box<RawValue>,
}

/// Large values of a run's history: the entry that holds the value of a call.
pub type LargeValues = HashMap<CallId, u64>;

/// Appends the start message of an instance.
pub fn write_start(start: &Start, fresh: &Fresh, info: &StartInfo, frame: &mut Frame) {
    frame.push(&ToShim::Start {
        run: start.run.0,
        class: &info.class,
        workflow: &info.workflow,
        instance: &fresh.id,
        at: fresh.created_at,
        params: write_value(&fresh.params),
        settings: &info.settings,
        calls: start.calls,
        paused: false,
        careful: start.careful,
        rolls_back: start.rolls_back,
        schedule: firing_of(&fresh.id).map(|FiringOf { cron, at }| Schedule { cron, at }),
    });
}

/// What became of a start.
#[derive(Debug)]
pub enum StartSent {
    /// The session has it all but for these values.
    Whole(LargeValues),
    /// The instance was deleted or restarted meanwhile: the session has heard nothing of the run.
    InstanceGone,
    /// The session is over, as its other half tells.
    SessionOver,
    /// The session cannot run the workflow.
    Unknown,
}

/// Reads what a run must know and sends it.
pub async fn send_start(
    start: &Start,
    catalog: &SessionCatalog,
    store: &Store,
    sender: &SessionSender,
) -> Result<StartSent, ReadError> {
    let Some(row) = store.instance(start.key).await? else { return Ok(StartSent::InstanceGone) };
    let mut history = History::default();
    let mut fresh = None;
    let mut from_seq = 0;
    let mut frame = Frame::default();
    while from_seq < start.history_end_seq {
        let page =
            HistoryPage { from_seq, until_seq: start.history_end_seq, rows_max: PAGE_ROWS, bytes_max: FRAME_BYTES_MAX };
        let entries = store.history(start.key, page).await?;
        // It was deleted between two pages: what is left is no history to run on.
        let Some(last) = entries.last() else { return Ok(StartSent::InstanceGone) };
        from_seq = last.seq + 1;
        for recorded in entries {
            match recorded.entry {
                Entry::Created { params, .. } => {
                    fresh = Some(Fresh {
                        workflow: row.workflow,
                        id: Arc::clone(&row.id),
                        created_at: row.created_at,
                        params,
                    });
                }
                _ => history.take(recorded),
            }
        }
    }
    let (Some(fresh), Some(info)) = (fresh, catalog.start_info(row.workflow)) else { return Ok(StartSent::Unknown) };
    write_start(start, &fresh, info, &mut frame);
    let sent =
        if start.calls == 0 { sender.send(frame.take()).await } else { history.send(start, frame, sender).await };
    Ok(if sent { StartSent::Whole(history.large) } else { StartSent::SessionOver })
}

/// The calls and settlements of a history, in order.
#[derive(Default)]
struct History {
    calls: Vec<Call>,
    settled: Vec<(CallId, Outcomes)>,
    events: BTreeMap<u64, (String, i64, Payload)>,
    waits: HashMap<CallId, u64>,
    large: LargeValues,
    /// When something last let the code go on, or the code made a call.
    went_on_at: Option<Millis>,
}

struct Call {
    call: CallId,
    parent: Option<CallId>,
    kind: &'static str,
    name: String,
    count: u32,
    config: Option<StepConfig>,
    /// Attempts that were started.
    attempts: u32,
    has_handler: bool,
    took_ms: Option<u64>,
}

enum Outcomes {
    Value(Payload),
    Large(u64),
    Slept,
    Event(String, i64, Option<Payload>),
    Error(ErrorRecord),
}

impl History {
    fn take(&mut self, recorded: Recorded) {
        let seq = recorded.seq;
        let took_ms = self.note_way(&recorded);
        match recorded.entry {
            Entry::Begun { call, parent, name, count, kind, started } => {
                let word = kind.word();
                if let StepKind::Wait { timeout_ms, .. } = kind {
                    self.waits.insert(call, timeout_ms);
                }
                let config = if let StepKind::Do(config) = kind { Some(config) } else { None };
                let attempts = u32::from(started);
                let has_handler = false;
                self.calls.push(Call { call, parent, kind: word, name, count, config, attempts, has_handler, took_ms });
            }
            Entry::Did { call, parent, name, count, value, .. } => {
                let (kind, config, attempts, has_handler) = ("do", None, 1, false);
                self.calls.push(Call { call, parent, kind, name, count, config, attempts, has_handler, took_ms });
                self.settle_value(call, seq, value);
            }
            Entry::AttemptStarted { call, attempt } => self.note_attempt(call, attempt),
            Entry::AttemptFailed { call, attempt, error, retry_at } => {
                self.note_attempt(call, attempt);
                if retry_at.is_none() {
                    self.settled.push((call, Outcomes::Error(error)));
                }
            }
            Entry::RollbackRegistered { .. } => {
                if let Some(call) = self.calls.last_mut() {
                    call.has_handler = true;
                }
            }
            Entry::Settled { call, outcome } => self.settle(call, seq, outcome),
            Entry::EventReceived { event_type, payload } => {
                self.events.insert(seq, (event_type, recorded.at, payload));
            }
            _ => {}
        }
    }

    /// How long the code has been on its way, where it has reached a call after long.
    fn note_way(&mut self, recorded: &Recorded) -> Option<u64> {
        let goes_on = match &recorded.entry {
            Entry::Started { .. } | Entry::Begun { .. } | Entry::Did { .. } | Entry::Settled { .. } => true,
            Entry::AttemptFailed { retry_at, .. } => retry_at.is_none(),
            _ => false,
        };
        let since = if goes_on { self.went_on_at.replace(recorded.at) } else { None };
        since.map(|since| recorded.at - since).filter(|ms| *ms >= WAY_MS_MIN).and_then(|ms| u64::try_from(ms).ok())
    }

    fn note_attempt(&mut self, call: CallId, attempt: u32) {
        // Calls are numbered in the order in which they began.
        if let Some(call) = self.calls.get_mut(call.0 as usize) {
            call.attempts = call.attempts.max(attempt);
        }
    }

    fn settle(&mut self, call: CallId, seq: u64, outcome: Settled) {
        let outcome = match outcome {
            Settled::Done { attempt, value } => {
                self.note_attempt(call, attempt);
                return self.settle_value(call, seq, value);
            }
            Settled::Streamed { attempt, stream, .. } => {
                self.note_attempt(call, attempt);
                self.large.insert(call, seq);
                Outcomes::Large(stream.bytes)
            }
            Settled::Slept => Outcomes::Slept,
            Settled::Lost(error) => Outcomes::Error(error),
            Settled::TimedOut => Outcomes::Error(error_text::timed_out(self.waits.get(&call).copied().unwrap_or(0))),
            Settled::Event { seq } => {
                let Some((event_type, at, payload)) = self.events.remove(&seq) else { return };
                let inline = payload.stored_bytes() <= INLINE_BYTES_MAX;
                if !inline {
                    self.large.insert(call, seq);
                }
                Outcomes::Event(event_type, at, inline.then_some(payload))
            }
        };
        self.settled.push((call, outcome));
    }

    fn settle_value(&mut self, call: CallId, seq: u64, value: Payload) {
        let outcome = if value.stored_bytes() <= INLINE_BYTES_MAX {
            Outcomes::Value(value)
        } else {
            self.large.insert(call, seq);
            Outcomes::Large(value.value_bytes)
        };
        self.settled.push((call, outcome));
    }

    /// Sends the history behind the start message in `frame`, cut into frames. False where the session is gone.
    async fn send(&self, start: &Start, mut frame: Frame, sender: &SessionSender) -> bool {
        let grants: HashMap<CallId, u32> = start.grants.iter().copied().collect();
        let mut sent = Sent::default();
        loop {
            let last = self.write_piece(start.run, &grants, &mut sent, &mut frame);
            if !sender.send(frame.take()).await {
                return false;
            }
            if last {
                return true;
            }
        }
    }

    /// Writes the next piece of the history; says whether it was the last.
    fn write_piece(&self, run: RunId, grants: &HashMap<CallId, u32>, sent: &mut Sent, frame: &mut Frame) -> bool {
        let (mut calls, mut settled, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < PIECE_BYTES_MAX
            && let Some(call) = self.calls.get(sent.calls)
        {
            sent.calls += 1;
            bytes += call.name.len() + MESSAGE_BYTES;
            calls.push(call.past(grants));
        }
        while bytes < PIECE_BYTES_MAX
            && let Some((call, outcome)) = self.settled.get(sent.settled)
        {
            sent.settled += 1;
            let settlement = outcome.settlement(*call);
            bytes += MESSAGE_BYTES + settlement_bytes(&settlement);
            settled.push(settlement);
        }
        let last = sent.calls == self.calls.len() && sent.settled == self.settled.len();
        frame.push(&ToShim::History { run: run.0, calls, settled, last });
        last
    }
}

/// How much of a history has been sent.
#[derive(Default)]
struct Sent {
    calls: usize,
    settled: usize,
}

impl Call {
    fn past(&self, grants: &HashMap<CallId, u32>) -> PastCall<'_> {
        PastCall {
            call: self.call.0,
            parent: self.parent.map(|parent| parent.0),
            kind: self.kind,
            name: &self.name,
            count: self.count,
            config: self.config.as_ref().map(write_config),
            attempts: self.has_handler.then_some(self.attempts),
            attempt: grants.get(&self.call).copied(),
            took_ms: self.took_ms,
        }
    }
}

impl Outcomes {
    fn settlement(&self, call: CallId) -> Settlement<'_> {
        let outcome = match self {
            Self::Value(payload) => Outcome::Value(write_value(payload)),
            Self::Large(bytes) => Outcome::Large(*bytes),
            Self::Slept => Outcome::Slept(true),
            Self::Event(kind, at, payload) => {
                Outcome::Event { kind, at: *at, payload: payload.as_ref().map(write_value) }
            }
            Self::Error(error) => write_error(error),
        };
        Settlement { call: call.0, outcome }
    }
}

fn settlement_bytes(settlement: &Settlement<'_>) -> usize {
    let value_bytes = |value: &stepwell_runtime::protocol::Value<'_>| {
        value.v.map_or(0, |raw| raw.get().len()) + value.x.map_or(0, |raw| raw.get().len())
    };
    match &settlement.outcome {
        Outcome::Value(value) => value_bytes(value),
        Outcome::Event { payload, .. } => payload.as_ref().map_or(0, value_bytes),
        Outcome::Error { name, message, stack, cause } => {
            name.len() + message.len() + stack.map_or(0, str::len) + cause.map_or(0, str::len)
        }
        Outcome::Large(_) | Outcome::Slept(_) => 0,
    }
}

fn write_config(config: &StepConfig) -> Config {
    Config {
        limit: Some(match config.limit {
            stepwell_engine::RetryLimit::Times(times) => f64::from(times),
            stepwell_engine::RetryLimit::Unlimited => 1e308,
        }),
        delay_ms: config.delay_ms.map(|ms| ms as f64),
        dynamic: config.delay_ms.is_none(),
        backoff: Some(config.backoff.as_str().to_owned()),
        timeout_ms: Some(config.timeout_ms as f64),
        sensitive: config.sensitive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleep(call: u32) -> Entry {
        let kind = StepKind::Sleep { until: 0 };
        Entry::Begun { call: CallId(call), parent: None, name: "s".to_owned(), count: call + 1, kind, started: false }
    }

    #[test]
    fn a_call_knows_how_long_the_code_was_on_its_way_to_it() {
        let event = Entry::EventReceived { event_type: "e".to_owned(), payload: Payload::UNDEFINED };
        let slept = Entry::Settled { call: CallId(0), outcome: Settled::Slept };
        let entries = [
            (100, Entry::Started { deployment: stepwell_engine::DeploymentId(1) }),
            (200, sleep(0)),
            (90_000, slept),
            (95_000, event),
            (130_000, sleep(1)),
            (131_000, sleep(2)),
        ];
        let mut history = History::default();
        for (seq, (at, entry)) in (1..).zip(entries) {
            history.take(Recorded { seq, at, entry });
        }
        let told: Vec<_> = history.calls.iter().map(|call| call.past(&HashMap::new()).took_ms).collect();
        assert_eq!(told, [None, Some(40_000), None]);
    }
}
