//! What follows from an input: entries to record and words for the live run. Changes nothing.

use std::sync::Arc;

use super::open_call::{DoState, OpenCall};
use super::{BeginKind, Decision, Input, Instance, Leaving, Phase, Rejection, Report, Settlement, Severity, Tell};
use crate::limits::{
    CALLS_MAX, DELAY_MS_MAX, EVENTS_BUFFERED_BYTES_MAX, EVENTS_BUFFERED_MAX, QUIESCE_MS, STEPS_MAX, VALUE_BYTES_MAX,
    WORKER_KILLS_MAX,
};
use crate::{
    CallId, DeploymentId, End, Entry, ErrorRecord, Millis, Outcome, Payload, Source, StepConfig, StepKind, StreamPlace,
    error_text, names,
};

impl Instance {
    /// What follows from `input` at `now`; fills `decision`, which must be empty.
    ///
    /// # Errors
    /// A [`Rejection`] where the state does not allow it.
    pub fn decide(&self, input: Input, now: Millis, decision: &mut Decision) -> Result<(), Rejection> {
        match input {
            Input::Due => self.decide_due(now, decision),
            Input::Attach(deployment) => self.decide_attach(deployment, decision),
            Input::Lost { charged } => self.decide_lost(charged, decision),
            Input::Placed if matches!(self.phase, Phase::Running { .. }) => self.grant_ready(decision),
            Input::Placed if self.is_rolling_back() => self.grant_handler(decision),
            Input::Placed => {}
            Input::Report(report) => return self.decide_report(report, now, decision),
            Input::Suspend => {
                if self.run.is_some_and(|run| run.leaving == Leaving::No) && self.only_waits() {
                    decision.tells.push(Tell::Forget { force: false });
                }
            }
            Input::SendEvent { event_type, payload } => {
                return self.decide_event(event_type, payload, now, decision);
            }
            Input::Pause => self.decide_pause(decision),
            Input::Resume => self.decide_resume(decision),
            Input::Terminate(source) => return self.decide_terminate(source, decision),
            Input::RollBack(source) => return self.decide_roll_back(source, decision),
        }
        Ok(())
    }

    fn decide_due(&self, now: Millis, decision: &mut Decision) {
        if matches!(self.phase, Phase::Paused { .. } | Phase::Ended(_)) {
            return;
        }
        if self.is_rolling_back() {
            return self.decide_rollback_due(now, decision);
        }
        let pausing = matches!(self.phase, Phase::Pausing { .. });
        if pausing && self.run.is_none() {
            return decision.entries.push(Entry::Paused);
        }
        let mut due: Vec<_> = self
            .open
            .iter()
            .filter_map(|(id, call)| Some((call.due()?, *id, call)))
            .filter(|(at, _, call)| *at <= now && !(pausing && call.is_waiting()))
            .collect();
        due.sort_by_key(|(at, id, _)| (*at, *id));
        for (_, id, call) in due {
            self.decide_due_call(id, call, now, decision);
        }
        if let Phase::Pausing { since } = self.phase
            && since + QUIESCE_MS <= now
            && !self.has_attempt_within(now)
        {
            // A callback that has outlived its attempt may never end: such a run does not quiesce.
            decision.entries.push(Entry::Paused);
            decision.tells.push(Tell::Forget { force: true });
        }
    }

    fn has_attempt_within(&self, now: Millis) -> bool {
        self.open.values().any(|call| call.attempt_deadline().is_some_and(|at| at > now))
    }

    fn decide_due_call(&self, id: CallId, call: &OpenCall, now: Millis, decision: &mut Decision) {
        match call {
            OpenCall::Sleep { .. } => decision.settle(id, Outcome::Slept, Settlement::Slept),
            OpenCall::Wait(waiting) => {
                let error = error_text::timed_out(waiting.timeout_ms);
                decision.settle(id, Outcome::TimedOut, Settlement::Error(error));
            }
            OpenCall::Do { attempt, state: DoState::Delayed { .. }, .. } => {
                decision.ready.push(id);
                if self.has_place() {
                    decision.tells.push(Tell::Attempt(id, *attempt));
                }
            }
            OpenCall::Do { config, attempt, state: DoState::InFlight { .. } } => {
                let error = error_text::timed_out(config.timeout_ms);
                if !self.decide_retry(id, config, *attempt, error.clone(), None, now, decision) {
                    decision.tells.push(Tell::Settle(id, Settlement::Error(error)));
                }
            }
            OpenCall::Do { .. } => {}
        }
    }

    /// Records a failed attempt; says whether another follows.
    #[expect(clippy::too_many_arguments, reason = "one call's failure, spelled out")]
    fn decide_retry(
        &self,
        call: CallId,
        config: &StepConfig,
        attempt: u32,
        error: ErrorRecord,
        delay_ms: Option<u64>,
        now: Millis,
        decision: &mut Decision,
    ) -> bool {
        let retry_at = config
            .limit
            .allows_after(attempt)
            .then(|| now.saturating_add_unsigned(config.delay_after(attempt, delay_ms)));
        decision.entries.push(Entry::AttemptFailed { call, attempt, error, retry_at });
        retry_at.is_some()
    }

    fn decide_attach(&self, deployment: DeploymentId, decision: &mut Decision) {
        if matches!(self.phase, Phase::Queued { .. }) || deployment != self.deployment {
            decision.entries.push(Entry::Started { deployment });
        }
        for (id, call) in &self.open {
            let OpenCall::Do { config, attempt, state } = call else { continue };
            match state {
                DoState::Interrupted if config.is_at_most_once() => {
                    let outcome = Outcome::Lost(error_text::attempt_lost());
                    decision.entries.push(Entry::Settled { call: *id, outcome });
                }
                DoState::Ready if config.is_at_most_once() => {
                    decision.entries.push(Entry::AttemptStarted { call: *id, attempt: *attempt });
                }
                _ => {}
            }
        }
    }

    fn decide_lost(&self, charged: bool, decision: &mut Decision) {
        decision.detach = true;
        if matches!(self.phase, Phase::Pausing { .. }) {
            decision.entries.push(Entry::Paused);
        }
        if charged && !self.is_final() {
            decision.entries.push(Entry::WorkerKilled);
            let kills = self.kills + 1;
            if self.is_rolling_back() {
                self.decide_killed_in_rollback(kills, decision);
            } else if kills >= WORKER_KILLS_MAX {
                let error = error_text::worker_killed(kills);
                self.decide_failure(error.clone(), End::Errored(error), decision);
            }
        }
    }

    fn decide_report(&self, report: Report, now: Millis, decision: &mut Decision) -> Result<(), Rejection> {
        match report {
            Report::Forgotten => self.decide_forgotten(decision),
            Report::Completed(_) | Report::Threw(_) if self.is_final() => decision.detach = true,
            _ if self.is_final() => {}
            report if self.is_rolling_back() => self.decide_rollback_report(report, now, decision),
            Report::Begin { call, parent, name, count, kind, started } => {
                self.check_new_call(call, &name, matches!(kind, BeginKind::Do(_)))?;
                if started && matches!(&kind, BeginKind::Do(config) if config.is_at_most_once()) {
                    return Err(Rejection::Protocol("an attempt without retries that was not granted"));
                }
                self.decide_begin(call, parent, name, count, kind, started, now, decision);
            }
            Report::Did { call, parent, name, count, config, value } => {
                self.check_new_call(call, &name, true)?;
                if config.as_ref().is_some_and(|config| config.is_at_most_once()) {
                    return Err(Rejection::Protocol("an attempt without retries that was not granted"));
                }
                check_size(&value).map_err(|_| Rejection::Protocol("a result above 1 MiB"))?;
                decision.entries.push(Entry::Did { call, parent, name, count, config, value });
                decision.tells.push(Tell::Held(call));
            }
            Report::Started { call, attempt } => return self.decide_started(call, attempt, decision),
            Report::Succeeded { call, attempt, value } => {
                check_size(&value).map_err(|_| Rejection::Protocol("a result above 1 MiB"))?;
                if self.in_flight(call, attempt).is_some() {
                    decision.entries.push(Entry::Settled { call, outcome: Outcome::Done { attempt, value } });
                    decision.tells.push(Tell::Held(call));
                }
            }
            Report::Streamed { call, attempt, stream, preview } => {
                check_size(&preview).map_err(|_| Rejection::Protocol("a preview above 1 MiB"))?;
                if self.in_flight(call, attempt).is_some() {
                    let outcome = Outcome::Streamed { attempt, stream, preview };
                    decision.entries.push(Entry::Settled { call, outcome });
                    decision.tells.push(Tell::Held(call));
                }
            }
            Report::Failed { call, attempt, error, severity, delay_ms } => {
                if let Some(config) = self.in_flight(call, attempt) {
                    self.decide_failed(call, config, attempt, error, severity, delay_ms, now, decision);
                }
            }
            Report::Completed(output) => {
                check_size(&output).map_err(|_| Rejection::Protocol("an output above 1 MiB"))?;
                decision.entries.push(Entry::Completed { output });
                decision.detach = true;
            }
            Report::Threw(error) => {
                self.decide_failure(error.clone(), End::Errored(error), decision);
                decision.detach = true;
            }
            Report::Undoing { error, cause } => self.decide_undoing(error, cause, decision),
            Report::RollbackRegistered { call, config } => {
                if call.0 + 1 != self.calls {
                    return Err(Rejection::Protocol("a rollback handler of a call that did not just begin"));
                }
                decision.entries.push(Entry::RollbackRegistered { call, config });
            }
            Report::UndoReady | Report::Undone { .. } => {}
            Report::Quiesced(stop) => {
                let is_latest = self.run.is_some_and(|run| run.stops == stop);
                if is_latest && matches!(self.phase, Phase::Pausing { .. }) {
                    decision.entries.push(Entry::Paused);
                    decision.tells.push(Tell::Forget { force: true });
                }
            }
            Report::Busy | Report::Ahead => {}
            Report::Diverged { message, stuck } => {
                decision.entries.push(Entry::Diverged { message, stuck });
                if stuck {
                    decision.tells.push(Tell::Forget { force: true });
                }
            }
        }
        Ok(())
    }

    fn check_new_call(&self, call: CallId, name: &str, is_step: bool) -> Result<(), Rejection> {
        if call.0 != self.calls {
            return Err(Rejection::Protocol("a call out of order"));
        }
        if !names::is_step_name(name) {
            return Err(Rejection::Protocol("a step name that is not valid"));
        }
        if self.calls >= CALLS_MAX || (is_step && self.steps >= STEPS_MAX) {
            return Err(Rejection::Protocol("more calls than an instance may make"));
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one message")]
    fn decide_begin(
        &self,
        call: CallId,
        parent: Option<CallId>,
        name: String,
        count: u32,
        kind: BeginKind,
        started: bool,
        now: Millis,
        decision: &mut Decision,
    ) {
        let in_time = |ms: u64| now.saturating_add_unsigned(ms.min(DELAY_MS_MAX));
        let mut after = None;
        let kind = match kind {
            BeginKind::Do(config) => {
                if !started && matches!(self.phase, Phase::Running { .. }) && self.has_place() {
                    after = Some(config.is_at_most_once());
                }
                StepKind::Do(config)
            }
            BeginKind::Sleep { ms } => StepKind::Sleep { until: in_time(ms) },
            BeginKind::SleepUntil { at } => StepKind::SleepUntil { until: at.min(in_time(DELAY_MS_MAX)) },
            BeginKind::Wait { event_type, timeout_ms } => {
                StepKind::Wait { event_type, timeout_ms, until: in_time(timeout_ms) }
            }
        };
        let buffered = match &kind {
            StepKind::Wait { event_type, .. } => self.events.iter().find(|event| *event.event_type == **event_type),
            _ => None,
        };
        decision.entries.push(Entry::Begun { call, parent, name, count, kind, started });
        if let Some(at_most_once) = after {
            if at_most_once {
                decision.entries.push(Entry::AttemptStarted { call, attempt: 1 });
            }
            decision.tells.push(Tell::Attempt(call, 1));
        }
        if let Some(event) = buffered {
            let (seq, at, event_type) = (event.seq, event.at, Arc::clone(&event.event_type));
            decision.settle(call, Outcome::Event { seq }, Settlement::Event { seq, at, event_type, payload: None });
        }
    }

    fn decide_started(&self, call: CallId, number: u32, decision: &mut Decision) -> Result<(), Rejection> {
        let Some(OpenCall::Do { attempt, state, .. }) = self.open.get(&call) else { return Ok(()) };
        match state {
            _ if *attempt != number => {}
            DoState::InFlight { .. } => {}
            DoState::Granted => decision.entries.push(Entry::AttemptStarted { call, attempt: number }),
            DoState::Ready | DoState::Delayed { .. } | DoState::Interrupted => {
                return Err(Rejection::Protocol("an attempt that was not granted"));
            }
        }
        Ok(())
    }

    fn decide_forgotten(&self, decision: &mut Decision) {
        decision.detach = true;
        if matches!(self.phase, Phase::Pausing { .. }) {
            decision.entries.push(Entry::Paused);
        }
        let unaware = self.run.is_none_or(|run| run.leaving != Leaving::Asked { news: false });
        decision.park = !unaware && self.only_waits();
    }

    /// Whether an attempt in the live run may write a stream.
    pub(crate) fn attempt_place(&self, call: CallId, number: u32) -> StreamPlace {
        match self.open.get(&call) {
            None if call.0 >= self.calls && !self.is_final() => StreamPlace::NotYet,
            Some(OpenCall::Do { attempt, state: DoState::InFlight { .. }, .. }) if *attempt == number => {
                StreamPlace::Open(self.key)
            }
            Some(OpenCall::Do { attempt, state: DoState::Granted, .. }) if *attempt == number => StreamPlace::NotYet,
            _ => StreamPlace::Over,
        }
    }

    /// The configuration of a call whose attempt `number` is in flight; a report about any other comes too late.
    fn in_flight(&self, call: CallId, number: u32) -> Option<&StepConfig> {
        match self.open.get(&call) {
            Some(OpenCall::Do { config, attempt, state: DoState::InFlight { .. } }) if *attempt == number => {
                Some(config)
            }
            _ => None,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one message")]
    fn decide_failed(
        &self,
        call: CallId,
        config: &StepConfig,
        attempt: u32,
        error: ErrorRecord,
        severity: Severity,
        delay_ms: Option<u64>,
        now: Millis,
        decision: &mut Decision,
    ) {
        match severity {
            Severity::Ordinary => {
                if !self.decide_retry(call, config, attempt, error, delay_ms, now, decision) {
                    decision.tells.push(Tell::Held(call));
                }
            }
            Severity::NonRetryable => {
                decision.entries.push(Entry::AttemptFailed { call, attempt, error, retry_at: None });
                decision.tells.push(Tell::Held(call));
            }
            Severity::Fatal(ended) => {
                let failed = Entry::AttemptFailed { call, attempt, error, retry_at: None };
                decision.entries.extend([failed, Entry::Errored { error: ended }]);
                decision.tells.push(Tell::Forget { force: true });
            }
        }
    }

    fn decide_event(
        &self,
        event_type: String,
        payload: Payload,
        now: Millis,
        decision: &mut Decision,
    ) -> Result<(), Rejection> {
        if self.is_final() {
            return Err(Rejection::InFiniteState);
        }
        if !names::is_event_type(&event_type) {
            return Err(Rejection::InvalidEventType);
        }
        check_size(&payload)?;
        let waiter = self.open.iter().find_map(|(id, call)| match call {
            OpenCall::Wait(waiting) if *waiting.event_type == *event_type => Some(*id),
            _ => None,
        });
        let full = self.events.len() >= EVENTS_BUFFERED_MAX
            || self.events_bytes + payload.value_bytes > EVENTS_BUFFERED_BYTES_MAX;
        if waiter.is_none() && full {
            return Err(Rejection::TooManyEvents);
        }
        let seq = self.next_seq;
        decision.entries.push(Entry::EventReceived { event_type: event_type.clone(), payload: payload.clone() });
        if let Some(call) = waiter {
            let settlement =
                Settlement::Event { seq, at: now, event_type: Arc::from(event_type), payload: Some(payload) };
            decision.settle(call, Outcome::Event { seq }, settlement);
        }
        Ok(())
    }

    fn decide_pause(&self, decision: &mut Decision) {
        match self.phase {
            Phase::Queued { .. } | Phase::Running { .. } if self.run.is_none() => decision.entries.push(Entry::Paused),
            Phase::Running { .. } if self.only_waits() => {
                decision.entries.push(Entry::Paused);
                decision.tells.push(Tell::Forget { force: true });
            }
            Phase::Queued { .. } | Phase::Running { .. } => {
                decision.entries.push(Entry::PauseRequested);
                decision.tells.push(Tell::Stop(self.run.map_or(0, |run| run.stops) + 1));
            }
            _ => {}
        }
    }

    fn decide_resume(&self, decision: &mut Decision) {
        match self.phase {
            Phase::Paused { .. } => decision.entries.push(Entry::Resumed),
            Phase::Pausing { .. } => {
                decision.entries.push(Entry::Resumed);
                decision.tells.push(Tell::Go);
                if self.has_place() {
                    self.grant_ready(decision);
                }
            }
            _ => {}
        }
    }

    /// Whether attempts may start in the live run: not in one that is on its way out, which would leave them undone.
    fn has_place(&self) -> bool {
        self.run.is_some_and(|run| run.has_place && run.leaving != Leaving::Told)
    }

    /// Attempts that had to wait for a place or for the end of a pause may start.
    fn grant_ready(&self, decision: &mut Decision) {
        for (id, call) in &self.open {
            if let OpenCall::Do { config, attempt, state: DoState::Ready } = call {
                if config.is_at_most_once() {
                    decision.entries.push(Entry::AttemptStarted { call: *id, attempt: *attempt });
                }
                decision.tells.push(Tell::Attempt(*id, *attempt));
            }
        }
    }

    fn decide_terminate(&self, source: Source, decision: &mut Decision) -> Result<(), Rejection> {
        if self.is_final() {
            return Err(Rejection::CannotTerminate);
        }
        if self.is_rolling_back() {
            self.decide_rollback_cut(source, decision);
            return Ok(());
        }
        decision.entries.push(Entry::Terminated { source });
        decision.tells.push(Tell::Forget { force: true });
        Ok(())
    }
}

fn check_size(payload: &Payload) -> Result<(), Rejection> {
    let bytes = payload.value_bytes;
    if bytes > VALUE_BYTES_MAX { Err(Rejection::ValueTooLarge { bytes }) } else { Ok(()) }
}
