//! What goes into the engine and what comes out: two closed enums.

use std::sync::Arc;

use crate::instance::{Rejection, Report, StepTarget, Tell};
use crate::{
    CallId, DeploymentId, Instance, InstanceKey, Millis, Payload, Recorded, ReplyId, Retention, RunId, Schedule,
    SessionId, Source, Status, StreamId, WorkflowId, scheduler::Pool,
};

/// Anything that wakes the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A workflow is new, or its settings have changed.
    Workflow(WorkflowId, WorkflowSettings),
    /// All schedules of a workflow whose settings are known, as the store has them.
    Schedules(WorkflowId, Vec<Schedule>),
    /// Someone wants a new instance.
    Create {
        /// Who.
        reply: ReplyId,
        /// Of which workflow.
        workflow: WorkflowId,
        /// Its id, valid.
        id: Arc<str>,
        /// `event.payload`, within its size.
        params: Payload,
        /// Where it came from.
        trigger: String,
        /// How long it is kept, where that is not as usual in its workflow.
        retention: Retention,
    },
    /// Someone wants something of an instance.
    Command {
        /// Who.
        reply: ReplyId,
        /// Of which incarnation.
        key: InstanceKey,
        /// What.
        command: Command,
    },
    /// Answer to [`Output::Load`]: `None` where there is no such instance.
    Loaded(InstanceKey, Option<Box<Instance>>),
    /// Answer to [`Output::ReadHistory`]: whole, as it is durable; payloads may lack their texts.
    HistoryRead(InstanceKey, Vec<Recorded>),
    /// Answer to [`Output::ReadDue`].
    DueRead {
        /// Up to where it was read.
        until: Millis,
        /// In order of (time, key).
        due: Vec<Due>,
        /// Nothing more is due until `until`.
        complete: bool,
    },
    /// A session takes runs.
    SessionUp(SessionId, Pool),
    /// A session takes no further runs; those it has go on.
    SessionDraining(SessionId),
    /// A session is gone, with its runs.
    SessionDown(SessionId, Fault),
    /// A live run said something.
    Report(SessionId, RunId, Report),
    /// An attempt of a run has begun to write a stream, which is durable so far.
    StreamOpened(RunId, CallId, u32, StreamId),
    /// A batch is durable, but for these creations, whose ids are taken.
    Committed(crate::CommitId, Vec<InstanceKey>),
    /// Time has passed.
    Tick,
}

/// An instance that wants attention, as its row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Millis,
    /// Which.
    pub key: InstanceKey,
    /// When it ended: then it is to go. Where both times are the same, nobody has said yet how long it is kept.
    pub ended_at: Option<Millis>,
}

/// What a user wants of an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Send an event.
    SendEvent {
        /// Event type.
        event_type: String,
        /// Payload.
        payload: Payload,
    },
    /// Pause.
    Pause,
    /// Resume.
    Resume,
    /// Terminate.
    Terminate(Source),
    /// Terminate, once what its steps did is undone.
    RollBack(Source),
    /// Start anew.
    Restart,
    /// Start anew from a step: what began before it stays.
    RestartFrom(StepTarget),
    /// Remove with all data.
    Delete,
}

/// What the engine must know of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkflowSettings {
    /// New instances start on it.
    pub deployment: DeploymentId,
    /// Instances move to the newest deployment whenever a run of theirs starts.
    pub follows_newest: bool,
    /// Instances that may run at once.
    pub concurrency: Option<usize>,
    /// How long ended instances are kept, where their creator did not say; applied when they end.
    pub retention: Retention,
}

/// Why a session is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It was closed in order, or its end was nobody's fault.
    None,
    /// Its process died. `alive_at`: when it last said anything.
    Crashed {
        /// Last sign of life.
        alive_at: Millis,
    },
    /// Its process was killed, and not by this server: by an operator, or by the kernel when memory ran out.
    Killed {
        /// Last sign of life.
        alive_at: Millis,
    },
    /// It was killed because it did not answer.
    Hung {
        /// Last sign of life.
        alive_at: Millis,
    },
}

/// What the engine wants done. All of it may be done at once: what must wait for a commit comes out after it.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Read an instance: [`Input::Loaded`].
    Load(InstanceKey),
    /// Read the history of an instance: [`Input::HistoryRead`].
    ReadHistory(InstanceKey),
    /// Read what is due after `after` until `until`: [`Input::DueRead`].
    ReadDue {
        /// Exclusive.
        after: (Millis, InstanceKey),
        /// Inclusive.
        until: Millis,
    },
    /// Start a worker process for this pool: [`Input::SessionUp`].
    WantSession(Pool),
    /// The worker breaks the rules: end it ([`Input::SessionDown`]).
    Fault(SessionId, &'static str),
    /// Start a run.
    Start(Box<Start>),
    /// Say something to a live run.
    Tell(SessionId, RunId, Tell),
    /// Answer someone.
    Reply(ReplyId, Result<Answer, Rejection>),
    /// An instance has ended.
    Ended(InstanceKey, Status),
}

/// A run to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Where.
    pub session: SessionId,
    /// Its number.
    pub run: RunId,
    /// Whose.
    pub key: InstanceKey,
    /// Of which workflow.
    pub workflow: WorkflowId,
    /// What the run must know stands in the entries before this number; all of them are durable.
    pub history_end_seq: u64,
    /// Calls in them.
    pub calls: u32,
    /// Attempts that may start when their call is made.
    pub grants: Vec<(CallId, u32)>,
    /// Nothing of a step may run before its beginning is told.
    pub careful: bool,
    /// It is started for the rollback handlers: no step begins.
    pub rolls_back: bool,
    /// What a first run needs to know, where it is still at hand.
    pub fresh: Option<Fresh>,
}

/// A new instance as its creator described it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fresh {
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Its id.
    pub id: Arc<str>,
    /// When it was created.
    pub created_at: Millis,
    /// `event.payload`.
    pub params: Payload,
}

/// A good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The incarnation that it concerns: the new one after a restart.
    pub key: InstanceKey,
    /// Its status afterwards.
    pub status: Status,
}
