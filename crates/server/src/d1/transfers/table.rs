//! What is under way, by token, until its time is over.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::TransferError;
use crate::d1::limits::{TRANSFER_KEPT, TRANSFERS_MAX};
use crate::locks::lock;

/// Transfers of one kind.
pub(super) struct Table<T> {
    entries: Mutex<HashMap<String, Entry<T>>>,
}

/// What can be under way.
pub(super) trait Transfer: Clone {
    /// Whether something works on it, so that it must not be forgotten.
    fn is_busy(&self) -> bool;
}

struct Entry<T> {
    value: T,
    until: Instant,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: Mutex::default() }
    }
}

impl<T: Transfer> Table<T> {
    /// Adds one, and answers its token. Where there are too many, the one that would be forgotten next is.
    ///
    /// # Errors
    /// [`TransferError::TooMany`] where all are busy.
    pub fn add(&self, value: T) -> Result<String, TransferError> {
        let mut entries = self.current();
        if entries.len() >= TRANSFERS_MAX {
            let idle = entries.iter().filter(|(_, entry)| !entry.value.is_busy());
            let next = idle.min_by_key(|(_, entry)| entry.until).map(|(token, _)| token.clone());
            entries.remove(&next.ok_or(TransferError::TooMany)?);
        }
        let token = new_token()?;
        entries.insert(token.clone(), Entry { value, until: Instant::now() + TRANSFER_KEPT });
        Ok(token)
    }

    /// Puts another in the place of one that is still there, for as long again.
    pub fn replace(&self, token: &str, value: T) {
        if let Some(entry) = self.current().get_mut(token) {
            *entry = Entry { value, until: Instant::now() + TRANSFER_KEPT };
        }
    }

    /// The one of that token.
    pub fn get(&self, token: &str) -> Option<T> {
        self.current().get(token).map(|entry| entry.value.clone())
    }

    /// The first of which something holds.
    pub fn find(&self, holds: impl Fn(&T) -> bool) -> Option<(String, T)> {
        let entries = self.current();
        let found = entries.iter().find(|(_, entry)| holds(&entry.value));
        found.map(|(token, entry)| (token.clone(), entry.value.clone()))
    }

    /// Forgets those whose time is over.
    pub fn sweep(&self) {
        drop(self.current());
    }

    fn current(&self) -> MutexGuard<'_, HashMap<String, Entry<T>>> {
        let mut entries = lock(&self.entries);
        let now = Instant::now();
        entries.retain(|_, entry| entry.until > now || entry.value.is_busy());
        entries
    }
}

/// 256 random bits.
fn new_token() -> Result<String, TransferError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Work {
        number: usize,
        is_busy: bool,
    }

    impl Transfer for Work {
        fn is_busy(&self) -> bool {
            self.is_busy
        }
    }

    #[test]
    fn a_full_table_forgets_the_oldest_that_is_idle_and_nothing_that_is_busy() {
        let table = Table::default();
        let add = |number, is_busy| table.add(Work { number, is_busy });
        let tokens: Vec<_> = (0..TRANSFERS_MAX).map(|number| add(number, number < 2).expect("room")).collect();
        add(TRANSFERS_MAX, true).expect("the room of number 2");
        assert_eq!(table.get(&tokens[2]), None);
        assert!(table.get(&tokens[0]).is_some() && table.get(&tokens[3]).is_some());
        for token in &tokens {
            table.replace(token, Work { number: 0, is_busy: true });
        }
        assert!(matches!(add(0, false), Err(TransferError::TooMany)));
    }
}
