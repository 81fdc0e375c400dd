//! Bugs planted into the layer around the engine, one of each kind, to see that the simulator catches them.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Some due instances are not reported by the store.
    LostWakeUp,
    /// The engine hears that a batch is durable when it is only on its way.
    AckBeforeCommit,
    /// A run counts as gone as soon as it is told to go.
    DoubleRun,
    /// The history that a restart from a step rests on lacks its latest entries.
    StaleHistory,
    /// Timers are looked at with a clock that is ahead.
    EarlyTimer,
    /// Some events are acknowledged and not recorded.
    LostEvent,
    /// Attempts after the first are never started.
    ForgottenRetry,
    /// A run that was started for a rollback does not find one of the handlers again.
    LostHandler,
    /// Some handlers are not recorded with their steps.
    UnrecordedHandler,
    /// Handlers run in the order in which their steps began.
    RollbackOrder,
    /// The engine does not hear of streams whose attempts have ended meanwhile.
    ForgottenStream,
    /// That a worker was killed from outside is told as a crash of its own.
    BlamedForKill,
    /// The end of sessions that were closed in order is not reported.
    PlaceLeak,
    /// A server that starts believes that schedules were looked at some minutes before they were.
    DoubleFiring,
    /// A server that starts knows no schedules.
    MissedFiring,
    /// Some due instances are said to have ended.
    LiveExpiry,
    /// All instances move to the newest deployment, those as well that are pinned.
    MovedWhilePinned,
    /// No instance moves to the newest deployment.
    LeftBehind,
}
