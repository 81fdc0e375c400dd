//! `subscribe()`: what happens in an instance, told from its committed history, event by event.
//!
//! Nothing is kept of a subscription that could not be read again: its place is the id of the last event that its
//! subscriber got. Readers are remembered only so that the next page need not begin at the top. A subscription ends with
//! its incarnation: after the terminal event, or when the instance is restarted or deleted.

mod event;
mod fold;
mod options;
mod rollback;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use event::{Body, Event};
use fold::Fold;
pub use options::{InvalidOptions, Options};
use serde::Serialize;
use stepwell_engine::InstanceKey;
use stepwell_store::{HistoryPage, InstanceRow};
use tokio::time::Instant;

use crate::api_error::ApiError;
use crate::platform::Platform;

/// Readers that are remembered; whoever finds theirs forgotten reads again from the top.
const READERS_MAX: usize = 1_000;
/// Events of one answer.
const EVENTS_AT_ONCE: usize = 256;
/// Bytes of values in one answer, but for its last event.
const EVENT_BYTES_AT_ONCE: usize = 1 << 20;
/// Entries of one read.
const PAGE_ROWS: usize = 500;
/// How long one request waits for something to happen; the subscriber asks again.
const PATIENCE: Duration = Duration::from_secs(20);

/// What subscribers have read so far. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Subscriptions {
    readers: Arc<Mutex<Readers>>,
}

#[derive(Debug, Default)]
struct Readers {
    by_id: HashMap<u64, (u64, Reader)>,
    next: u64,
    used: u64,
}

/// How far a history was read.
#[derive(Debug, Default)]
struct Reader {
    fold: Fold,
    next_seq: u64,
    /// The last event that was handed out.
    last_id: Option<u64>,
}

/// Where a subscriber is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The incarnation that it watches.
    pub key: InstanceKey,
    /// Its reader.
    pub reader: u64,
    /// The last event that it got.
    pub cursor: Option<u64>,
}

/// Events that follow a place.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Page {
    /// In order; empty where nothing happened for a while.
    pub events: Vec<Event>,
    /// Nothing follows them.
    pub done: bool,
}

impl Subscriptions {
    /// Begins a subscription.
    pub fn open(&self, row: &InstanceRow, options: &Options) -> Place {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.next += 1;
        Place { key: row.key, reader: readers.next, cursor: options.cursor }
    }

    /// Forgets the reader of a subscription that is over.
    pub fn close(&self, reader: u64) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).by_id.remove(&reader);
    }

    /// What follows a place: waits a while where that is nothing yet.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn next(&self, platform: &Platform, place: Place, options: &Options) -> Result<Page, ApiError> {
        let mut reader = self.take(place);
        let until = Instant::now() + PATIENCE;
        let page = loop {
            let news = platform.driver.news(place.key).await;
            let page = reader.read(platform, place, options).await?;
            // Out of patience with nothing to tell: the subscriber asks again, from where it was.
            if page.done || !page.events.is_empty() || tokio::time::timeout_at(until, news).await.is_err() {
                break page;
            }
        };
        reader.last_id = page.events.last().map(|event| event.event_id).or(place.cursor);
        if !page.done {
            self.put(place.reader, reader);
        }
        Ok(page)
    }

    /// The reader of a place; one that is elsewhere, or forgotten, begins at the top.
    fn take(&self, place: Place) -> Reader {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = readers.by_id.remove(&place.reader).map(|(_, reader)| reader);
        known.filter(|reader| reader.last_id == place.cursor).unwrap_or_default()
    }

    fn put(&self, id: u64, reader: Reader) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.by_id.len() >= READERS_MAX
            && let Some(oldest) = readers.by_id.iter().min_by_key(|(_, (used, _))| *used).map(|(id, _)| *id)
        {
            readers.by_id.remove(&oldest);
        }
        readers.used += 1;
        let used = readers.used;
        readers.by_id.insert(id, (used, reader));
    }
}

impl Reader {
    async fn read(&mut self, platform: &Platform, place: Place, options: &Options) -> Result<Page, ApiError> {
        let mut page = Page::default();
        let mut bytes = 0;
        while !self.fold.is_ended() {
            let (from_seq, bytes_max) = (self.next_seq, EVENT_BYTES_AT_ONCE);
            let wanted = HistoryPage { from_seq, until_seq: u64::MAX >> 1, rows_max: PAGE_ROWS, bytes_max };
            let entries = platform.store.history(place.key, wanted).await?;
            if entries.is_empty() {
                page.done = platform.store.instance(place.key).await?.is_none();
                return Ok(page);
            }
            for recorded in entries {
                self.next_seq = recorded.seq + 1;
                let events = self.fold.push(recorded).into_iter();
                let wanted = events.filter(|event| options.wants(event) && Some(event.event_id) > place.cursor);
                for event in wanted {
                    bytes += event.body.value_bytes();
                    page.events.push(event);
                }
                if page.events.len() >= EVENTS_AT_ONCE || bytes >= EVENT_BYTES_AT_ONCE {
                    page.done = self.fold.is_ended();
                    return Ok(page);
                }
            }
            if !page.events.is_empty() {
                break;
            }
        }
        page.done = self.fold.is_ended();
        Ok(page)
    }
}
