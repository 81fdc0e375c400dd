//! How much each database was used in the last day, by the hour, for whoever asks how much it is used.
//!
//! The numbers are since the server's start and for hosts only: nothing depends on them, and nothing is kept on disk.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use stepwell_engine::Millis;
use stepwell_store::DatabaseKey;

use super::database::Meta;
use crate::locks::lock;

/// Hours that are remembered.
const HOURS_MAX: usize = 25;
const HOUR_MS: Millis = 3_600_000;

/// What was done in one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hour {
    /// When the hour begins.
    pub begins_at: Millis,
    /// Queries that changed nothing.
    pub read_queries: u64,
    /// Queries that changed something.
    pub write_queries: u64,
    /// Rows that they read.
    pub rows_read: u64,
    /// Rows that they wrote.
    pub rows_written: u64,
}

/// The usage of all databases. Clones share it.
#[derive(Clone, Default)]
pub struct Usage(Arc<Mutex<HashMap<DatabaseKey, VecDeque<Hour>>>>);

impl Usage {
    /// Counts what the queries of a call, or an import, cost at this time.
    pub fn count<'a>(&self, key: &DatabaseKey, queries: impl IntoIterator<Item = &'a Meta>, now: Millis) {
        let begins_at = now - now.rem_euclid(HOUR_MS);
        let mut usage = lock(&self.0);
        let hours = usage.entry(key.clone()).or_default();
        if hours.back().is_none_or(|last| last.begins_at < begins_at) {
            hours.push_back(Hour { begins_at, ..Hour::default() });
            hours.retain(|hour| hour.begins_at > begins_at - HOURS_MAX as Millis * HOUR_MS);
        }
        let Some(hour) = hours.back_mut() else { return };
        for meta in queries {
            *(if meta.changed_db { &mut hour.write_queries } else { &mut hour.read_queries }) += 1;
            hour.rows_read += meta.rows_read;
            hour.rows_written += meta.rows_written;
        }
    }

    /// The hours of a database that begin in this span, both ends included.
    #[must_use]
    pub fn hours(&self, key: &DatabaseKey, from: Millis, until: Millis) -> Vec<Hour> {
        let usage = lock(&self.0);
        let hours = usage.get(key).into_iter().flatten();
        hours.filter(|hour| (from..=until).contains(&hour.begins_at)).copied().collect()
    }

    /// Forgets a database.
    pub fn forget(&self, key: &DatabaseKey) {
        lock(&self.0).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stepwell_store::AccountId;

    use super::*;

    fn query(rows_read: u64, rows_written: u64) -> Meta {
        Meta {
            duration: Duration::ZERO,
            changes: rows_written,
            last_row_id: 0,
            changed_db: rows_written > 0,
            size_after_bytes: 0,
            rows_read,
            rows_written,
        }
    }

    #[test]
    fn queries_are_counted_by_the_hour_and_forgotten_after_a_day() {
        let key = DatabaseKey { account: AccountId::DEFAULT, id: "1".to_owned() };
        let usage = Usage::default();
        usage.count(&key, &[query(2, 0), query(0, 3)], 5);
        usage.count(&key, &[query(1, 0)], HOUR_MS - 1);
        usage.count(&key, &[query(1, 0)], HOUR_MS);
        let first = Hour { begins_at: 0, read_queries: 2, write_queries: 1, rows_read: 3, rows_written: 3 };
        assert_eq!(usage.hours(&key, 0, 0), [first]);
        assert_eq!(usage.hours(&key, 0, HOUR_MS).len(), 2);
        usage.count(&key, &[query(1, 0)], 25 * HOUR_MS);
        assert_eq!(usage.hours(&key, 0, i64::MAX).len(), 2, "the first hour is gone");
    }
}
