//! Events on their way to one reader. Whoever writes never waits: what the reader is too slow for goes, the oldest first,
//! and it is told how much that was.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::{DROPPED_TOLD_EVERY, QUEUE_BYTES_MAX, QUEUE_EVENTS_MAX};
use crate::locks::lock;

/// The way between those who tell of events and a reader.
#[derive(Debug, Default)]
pub struct Feed {
    waiting: Mutex<Waiting>,
    /// There is something to read.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Arc<str>>,
    bytes: usize,
    dropped: u64,
    /// When the reader was last told that something was.
    told_at: Option<Instant>,
    closed: bool,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// An event.
    Event(Arc<str>),
    /// So many events are lost since this was last said.
    Dropped(u64),
    /// The tail is over.
    Closed,
}

impl Feed {
    /// Gives an event to the reader.
    pub fn push(&self, event: Arc<str>) {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return;
        }
        waiting.bytes += event.len();
        waiting.events.push_back(event);
        while waiting.events.len() > QUEUE_EVENTS_MAX || waiting.bytes > QUEUE_BYTES_MAX {
            waiting.bytes -= waiting.events.pop_front().map_or(0, |event| event.len());
            waiting.dropped += 1;
        }
        self.changed.notify_one();
    }

    /// Something is lost that never became an event.
    pub fn miss(&self) {
        lock(&self.waiting).dropped += 1;
        self.changed.notify_one();
    }

    /// The reader gets nothing any more.
    pub fn close(&self) {
        lock(&self.waiting).closed = true;
        self.changed.notify_one();
    }

    /// What comes next. Cancel-safe; for one reader.
    pub async fn next(&self) -> Next {
        loop {
            if let Some(next) = lock(&self.waiting).take() {
                return next;
            }
            self.changed.notified().await;
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Next> {
        if self.closed {
            return Some(Next::Closed);
        }
        if self.dropped > 0 && self.told_at.is_none_or(|told_at| told_at.elapsed() >= DROPPED_TOLD_EVERY) {
            self.told_at = Some(Instant::now());
            return Some(Next::Dropped(std::mem::take(&mut self.dropped)));
        }
        let event = self.events.pop_front()?;
        self.bytes -= event.len();
        Some(Next::Event(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_too_slow_loses_the_oldest_and_is_told() {
        let feed = Feed::default();
        for number in 0..QUEUE_EVENTS_MAX + 3 {
            feed.push(number.to_string().into());
        }
        assert_eq!(feed.next().await, Next::Dropped(3));
        feed.miss();
        assert_eq!(feed.next().await, Next::Event("3".into()), "it is not told again at once");
        tokio::time::advance(DROPPED_TOLD_EVERY).await;
        assert_eq!(feed.next().await, Next::Dropped(1));
    }

    #[tokio::test]
    async fn large_events_do_not_fill_memory() {
        let feed = Feed::default();
        let large: Arc<str> = "x".repeat(QUEUE_BYTES_MAX / 2).into();
        for _ in 0..3 {
            feed.push(Arc::clone(&large));
        }
        feed.push("small".into());
        assert_eq!(feed.next().await, Next::Dropped(2));
        assert_eq!(feed.next().await, Next::Event(large));
        assert_eq!(feed.next().await, Next::Event("small".into()));
    }

    #[tokio::test]
    async fn a_closed_feed_ends() {
        let feed = Feed::default();
        feed.push("unread".into());
        feed.close();
        feed.push("late".into());
        assert_eq!(feed.next().await, Next::Closed);
    }
}
