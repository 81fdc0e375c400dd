//! How long an instance is kept after its end.

use crate::{Millis, Status};

/// How long ended instances are kept. What is `None` is not said here: then the next answer counts, of the instance, of its
/// workflow, of the operator, and where nobody says anything they are kept for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// After completion, in milliseconds.
    pub success_ms: Option<u64>,
    /// After an error or a termination, in milliseconds.
    pub error_ms: Option<u64>,
}

impl Retention {
    /// What is not said here is as there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { success_ms: self.success_ms.or(other.success_ms), error_ms: self.error_ms.or(other.error_ms) }
    }

    /// When an instance that ended so is to go; `None` for one that stays.
    #[must_use]
    pub fn expires_at(self, status: Status, ended_at: Millis) -> Option<Millis> {
        let kept_ms = if status == Status::Complete { self.success_ms } else { self.error_ms }?;
        Some(ended_at.saturating_add_unsigned(kept_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_counts() {
        let own = Retention { success_ms: Some(1), error_ms: None };
        let default = Retention { success_ms: Some(2), error_ms: Some(3) };
        assert_eq!(own.or(default), Retention { success_ms: Some(1), error_ms: Some(3) });
    }

    #[test]
    fn terminated_instances_are_kept_as_errored_ones() {
        let retention = Retention { success_ms: Some(5), error_ms: Some(7) };
        for (status, expected) in [(Status::Complete, 105), (Status::Errored, 107), (Status::Terminated, 107)] {
            assert_eq!(retention.expires_at(status, 100), Some(expected), "{status}");
        }
        assert_eq!(Retention::default().expires_at(Status::Complete, 100), None);
    }
}
