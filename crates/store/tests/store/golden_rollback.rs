//! Entries of rollbacks, which came after format 1: each kind in its forms.

use stepwell_engine::{CallId, End, Entry, ErrorRecord, RetryLimit, Source, StepConfig};

pub fn entries() -> Vec<Entry> {
    let config = StepConfig { limit: RetryLimit::Times(2), delay_ms: None, ..StepConfig::DEFAULT };
    let (call, attempt) = (CallId(3), 2);
    vec![
        Entry::RollbackRegistered { call, config: Box::new(config) },
        Entry::RollbackStarted { cause: failure(), end: End::Terminated(Source::Unknown) },
        Entry::RollbackStarted { cause: ErrorRecord::new("A", "b"), end: End::Errored(failure()) },
        Entry::RollbackAttemptStarted { call, attempt },
        Entry::RollbackAttemptFailed { call, attempt, error: failure(), retry_at: Some(44) },
        Entry::RollbackAttemptFailed { call, attempt, error: failure(), retry_at: None },
        Entry::RolledBack { call, attempt },
        Entry::RollbackEnded { error: Some(failure()) },
        Entry::RollbackEnded { error: None },
    ]
}

fn failure() -> ErrorRecord {
    let stack = Some("at a\nat b".to_owned());
    ErrorRecord { stack, ..ErrorRecord::new("TypeError", "\"quoted\" ü") }
}
