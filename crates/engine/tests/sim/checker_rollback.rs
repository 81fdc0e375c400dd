//! What must hold of rollbacks: handlers run one at a time, the last step first, each until it has succeeded once, and only
//! then the instance ends; none runs where there was no failure.

use stepwell_engine::{CallId, Entry, InstanceKey, Millis};

use super::checker::Checker;
use super::program::Program;
use super::store::Row;

impl Checker {
    /// The server asks for a handler. `wall_max`: the latest time that the clock has shown.
    pub fn told_to_undo(&mut self, key: InstanceKey, row: &Row, call: CallId, attempt: u32, wall_max: Millis) {
        self.require(row.handler_started(call, attempt), || {
            format!("{key} is told to undo call {call} (attempt {attempt}), which is not durable")
        });
        if let Some(at) = row.handler_due(call, attempt).filter(|at| wall_max < *at) {
            self.fail(format!("attempt {attempt} to undo call {call} of {key} is {} ms early", at - wall_max));
        }
    }

    /// A handler runs.
    pub fn saw_handler(&mut self, key: InstanceKey, row: Option<&Row>, call: CallId, at_most_once: bool) {
        if at_most_once {
            let times = self.handlers.entry((key, call)).or_insert(0);
            *times += 1;
            let twice = *times > 1;
            self.require(!twice, || format!("the handler of call {call} of {key} has no retries and runs twice"));
        }
        let Some(row) = row.filter(|row| !row.summary.status.is_final()) else { return };
        let next = row.handlers_left().last().copied();
        self.require(next == Some(call), || format!("{key} undoes call {call} when {next:?} is next"));
    }

    /// The rollback in a durable history is sound.
    pub fn rollback(&mut self, key: InstanceKey, row: &Row, program: &Program) {
        let mut registered = Vec::new();
        let mut begun = Vec::new();
        let mut rolls_back = false;
        let mut ended = None;
        let mut started_at = None;
        let mut nested = Vec::new();
        for recorded in &row.entries {
            match &recorded.entry {
                // What a restart carries over may have been undone before.
                Entry::Started { .. } if started_at.is_none() => {
                    started_at = Some(recorded.at);
                    begun.clear();
                }
                Entry::Begun { call, name, parent, .. } | Entry::Did { call, name, parent, .. } => {
                    nested.extend(parent.map(|_| *call));
                    self.require(!rolls_back, || format!("call {call} of {key} begins during its rollback"));
                    begun.extend(program.has_handler(name).then_some(*call));
                }
                Entry::RollbackRegistered { call, .. } => registered.push(*call),
                Entry::RollbackStarted { .. } => rolls_back = true,
                Entry::RolledBack { call, .. } => {
                    let next = registered.pop();
                    self.require(next == Some(*call), || format!("{key} has undone {call} when {next:?} was next"));
                }
                Entry::RollbackEnded { error } => {
                    let name = error.as_ref().map(|error| error.name.clone());
                    self.require(error.is_some() || registered.is_empty(), || {
                        format!("the rollback of {key} is complete and {registered:?} are left")
                    });
                    // A step in another's callback is not made again once that has ended, nor its handler; and code that
                    // waits by itself on one branch may be behind when it throws on another.
                    let by_itself = !program.root.is_sequential() && program.root.has_timer();
                    let may_miss = by_itself || registered.last().is_some_and(|call| nested.contains(call));
                    self.require(may_miss || name.as_deref() != Some("RollbackMissing"), || {
                        format!("{key} has lost a handler that its code has")
                    });
                    ended = Some(name);
                }
                Entry::Completed { .. } => {
                    self.require(!rolls_back, || format!("{key} is complete after a rollback"));
                }
                Entry::Errored { error } => {
                    let thrown = error.message == "thrown by run()";
                    self.require(!rolls_back || ended.is_some(), || format!("{key} ends before its rollback"));
                    self.require(!thrown || rolls_back || begun.is_empty(), || {
                        format!("{key} fails and {begun:?} are not undone")
                    });
                }
                Entry::Terminated { .. } => {
                    self.require(!rolls_back || ended.is_some(), || format!("{key} ends before its rollback"));
                }
                _ => {}
            }
        }
    }
}
