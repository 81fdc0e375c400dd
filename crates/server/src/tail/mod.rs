//! Tailing: who watches which script, live. An invocation becomes an [`Event`], which goes to every tail whose filters
//! hold; nothing of it is kept. Runs of workflows are gathered in [`runs`], requests in [`requests`].
//!
//! Bounded everywhere, and never in the way: whoever tells of an event waits for no reader, and where nobody reads, the
//! question whether somebody does is all that it costs.

mod event;
mod feed;
mod filter;
pub mod limits;
mod redact;
pub mod requests;
pub mod runs;
mod wire;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use stepwell_engine::Millis;
use stepwell_store::{AccountId, ScopedName};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;
use uuid::Uuid;

pub use event::{Event, Exception, Fetch, Invocation, Line, Outcome, Told};
pub use feed::{Feed, Next};
use filter::Filter;
pub use filter::Filters;
use limits::{LIFETIME_MS, TAILS_MAX, TAILS_PER_SCRIPT_MAX, UNREAD_MAX};
pub use wire::write_dropped;

use crate::api_error::ApiError;
use crate::auth::Holder;
use crate::driver::now_ms;
use crate::locks::lock;

/// All tails of a server. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tails {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Tails that are read now.
    readers: AtomicUsize,
    tails: Mutex<HashMap<Uuid, Tail>>,
}

#[derive(Debug)]
struct Tail {
    script: ScopedName,
    /// Id of the token that it was made with, and ends with.
    token: Option<Arc<str>>,
    filters: Arc<[Filter]>,
    /// Who knows it may read.
    secret: Uuid,
    expires_at: Millis,
    reading: Reading,
}

/// Whether somebody reads a tail.
#[derive(Debug)]
enum Reading {
    /// Nobody since then.
    NotSince(Instant),
    Now(Arc<Feed>),
}

/// A tail as its maker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailView {
    /// Its id.
    pub id: Uuid,
    /// What opens it.
    pub secret: Uuid,
    /// When it ends.
    pub expires_at: Millis,
}

impl Tails {
    /// Makes a tail, which ends with the token of its maker at the latest. `body` names its filters, `own` is the address of
    /// who asks.
    ///
    /// # Errors
    /// 400 for what is no filter, 429 where there are too many tails.
    pub fn open(
        &self,
        script: &ScopedName,
        body: &[u8],
        own: Option<IpAddr>,
        maker: &Holder,
    ) -> Result<TailView, ApiError> {
        let filters = filter::read(body, own)?;
        let now = now_ms();
        let mut tails = lock(&self.shared.tails);
        tails.retain(|_, tail| tail.is_alive(now));
        let of_script = tails.values().filter(|tail| tail.script == *script).count();
        if of_script >= TAILS_PER_SCRIPT_MAX || tails.len() >= TAILS_MAX {
            let message = format!(
                "there are {of_script} tails of {:?} and {} in all, the maximum is {TAILS_PER_SCRIPT_MAX} and \
                 {TAILS_MAX}: end one that nobody reads",
                script.name,
                tails.len()
            );
            return Err(ApiError::new(429, 20_429, message));
        }
        let (id, secret) = (Uuid::new_v4(), Uuid::new_v4());
        let lifetime_ends_at = now + LIFETIME_MS.cast_signed();
        let expires_at = maker.expires_at.map_or(lifetime_ends_at, |at| at.min(lifetime_ends_at));
        let tail = Tail {
            script: script.clone(),
            token: maker.token.clone(),
            filters: filters.into(),
            secret,
            expires_at,
            reading: Reading::NotSince(Instant::now()),
        };
        tails.insert(id, tail);
        Ok(TailView { id, secret, expires_at })
    }

    /// The tails of a script, those that end first first.
    pub fn list(&self, script: &ScopedName) -> Vec<TailView> {
        let now = now_ms();
        let tails = lock(&self.shared.tails);
        let own = tails.iter().filter(|(_, tail)| tail.script == *script && tail.is_alive(now));
        let mut views: Vec<_> =
            own.map(|(id, tail)| TailView { id: *id, secret: tail.secret, expires_at: tail.expires_at }).collect();
        views.sort_by_key(|view| (view.expires_at, view.id));
        views
    }

    /// Ends a tail. False where there is none of this id.
    pub fn close(&self, script: &ScopedName, id: Uuid) -> bool {
        let mut tails = lock(&self.shared.tails);
        if tails.get(&id).is_none_or(|tail| tail.script != *script) {
            return false;
        }
        let Some(tail) = tails.remove(&id) else { return false };
        tail.close();
        tail.is_alive(now_ms())
    }

    /// Ends the tails that were made with a token.
    pub fn close_of_token(&self, token: &str) {
        self.close_all(|tail| tail.token.as_deref() == Some(token));
    }

    /// Ends the tails of an account's scripts.
    pub fn close_of_account(&self, account: AccountId) {
        self.close_all(|tail| tail.script.account == account);
    }

    fn close_all(&self, is_meant: impl Fn(&Tail) -> bool) {
        let mut tails = lock(&self.shared.tails);
        for (_, tail) in tails.extract_if(|_, tail| is_meant(tail)) {
            tail.close();
        }
    }

    /// Begins to read a tail with its secret; whoever read it before reads no longer.
    pub fn read(&self, id: Uuid, secret: Uuid) -> Option<Reader> {
        let now = now_ms();
        let mut tails = lock(&self.shared.tails);
        let tail = tails.get_mut(&id).filter(|tail| tail.is_alive(now) && tail.is_opened_by(secret))?;
        let feed = Arc::new(Feed::default());
        if let Reading::Now(earlier) = std::mem::replace(&mut tail.reading, Reading::Now(Arc::clone(&feed))) {
            earlier.close();
        }
        self.shared.readers.fetch_add(1, Ordering::Relaxed);
        let (script, expires_at) = (tail.script.clone(), tail.expires_at);
        Some(Reader { tails: self.clone(), id, script, expires_at, feed })
    }

    /// Whether anything is read at all.
    pub fn is_any_read(&self) -> bool {
        self.shared.readers.load(Ordering::Relaxed) > 0
    }

    /// Whether somebody reads what a script does.
    pub fn is_read(&self, script: &ScopedName) -> bool {
        self.is_any_read()
            && lock(&self.shared.tails).values().any(|tail| tail.script == *script && tail.feed().is_some())
    }

    /// Something that a script did is lost, as too much happens at once: its readers are told.
    pub fn miss(&self, script: &ScopedName) {
        let tails = lock(&self.shared.tails);
        tails.values().filter(|tail| tail.script == *script).filter_map(Tail::feed).for_each(|feed| feed.miss());
    }

    /// Shows an event to all whom it concerns.
    pub fn show(&self, event: &Event) {
        let readers: Vec<_> = lock(&self.shared.tails)
            .values()
            .filter(|tail| tail.script == event.script)
            .filter_map(|tail| Some((Arc::clone(&tail.filters), Arc::clone(tail.feed()?))))
            .collect();
        let mut text: Option<Arc<str>> = None;
        for (filters, feed) in readers {
            if filters.iter().all(|filter| filter.holds(event)) {
                feed.push(Arc::clone(text.get_or_insert_with(|| wire::write(event).into())));
            }
        }
    }
}

impl Tail {
    fn is_alive(&self, now: Millis) -> bool {
        let is_kept = match self.reading {
            Reading::Now(_) => true,
            Reading::NotSince(since) => since.elapsed() < UNREAD_MAX,
        };
        is_kept && now < self.expires_at
    }

    /// Takes as long for a wrong secret as for the right one.
    fn is_opened_by(&self, secret: Uuid) -> bool {
        self.secret.as_bytes().ct_eq(secret.as_bytes()).into()
    }

    /// Whoever reads it reads no longer.
    fn close(&self) {
        if let Some(feed) = self.feed() {
            feed.close();
        }
    }

    fn feed(&self) -> Option<&Arc<Feed>> {
        match &self.reading {
            Reading::Now(feed) => Some(feed),
            Reading::NotSince(_) => None,
        }
    }
}

/// Reads a tail until it is dropped.
#[derive(Debug)]
pub struct Reader {
    tails: Tails,
    id: Uuid,
    /// Of which script.
    pub script: ScopedName,
    /// When the tail ends.
    pub expires_at: Millis,
    feed: Arc<Feed>,
}

impl Reader {
    /// What comes next. Cancel-safe.
    pub async fn next(&self) -> Next {
        self.feed.next().await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.tails.shared.readers.fetch_sub(1, Ordering::Relaxed);
        let mut tails = lock(&self.tails.shared.tails);
        let own = tails.get_mut(&self.id).filter(|tail| tail.feed().is_some_and(|feed| Arc::ptr_eq(feed, &self.feed)));
        if let Some(tail) = own {
            tail.reading = Reading::NotSince(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(script: &str) -> ScopedName {
        ScopedName::in_default(script)
    }

    fn event(script: &str) -> Event {
        let (class, workflow) = ("W".to_owned(), "w".to_owned());
        Event {
            script: named(script),
            version: None,
            outcome: Outcome::Ok,
            at: 0,
            wall_ms: None,
            invocation: Invocation::Run { class, workflow, instance: None },
            told: Told::default(),
        }
    }

    #[tokio::test]
    async fn a_tail_is_read_by_who_knows_its_secret_and_until_it_is_closed() {
        let tails = Tails::default();
        let tail = tails.open(&named("a"), b"", None, &Holder::ANYBODY).expect("a tail");
        assert!(tails.read(tail.id, tail.id).is_none(), "another secret opens nothing");
        assert!(!tails.is_read(&named("a")));
        let reader = tails.read(tail.id, tail.secret).expect("its secret does");
        assert!(tails.is_read(&named("a")) && !tails.is_read(&named("b")));
        tails.show(&event("b"));
        tails.show(&event("a"));
        assert!(matches!(reader.next().await, Next::Event(text) if text.contains(r#""scriptName":"a""#)));
        assert!(!tails.close(&named("b"), tail.id) && tails.close(&named("a"), tail.id));
        assert_eq!(reader.next().await, Next::Closed);
        drop(reader);
        assert!(!tails.is_any_read() && tails.list(&named("a")).is_empty());
    }

    #[tokio::test]
    async fn a_second_reader_takes_over() {
        let tails = Tails::default();
        let tail = tails.open(&named("a"), b"", None, &Holder::ANYBODY).expect("a tail");
        let first = tails.read(tail.id, tail.secret).expect("a reader");
        let second = tails.read(tail.id, tail.secret).expect("a reader");
        assert_eq!(first.next().await, Next::Closed);
        drop(first);
        assert!(tails.is_read(&named("a")), "the second one reads");
        tails.show(&event("a"));
        assert!(matches!(second.next().await, Next::Event(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_tail_that_nobody_reads_goes() {
        let tails = Tails::default();
        let tail = tails.open(&named("a"), b"", None, &Holder::ANYBODY).expect("a tail");
        tokio::time::advance(UNREAD_MAX / 2).await;
        let reader = tails.read(tail.id, tail.secret).expect("it is there");
        tokio::time::advance(UNREAD_MAX * 2).await;
        assert_eq!(tails.list(&named("a")).len(), 1, "it is read");
        drop(reader);
        tokio::time::advance(UNREAD_MAX).await;
        assert!(tails.list(&named("a")).is_empty() && tails.read(tail.id, tail.secret).is_none());
    }

    #[tokio::test]
    async fn a_tail_ends_with_the_token_that_it_was_made_with() {
        let tails = Tails::default();
        let ends_at = now_ms() + 60_000;
        let maker = |token: &str, expires_at| Holder { token: Some(token.into()), expires_at, ..Holder::ANYBODY };
        let mine = tails.open(&named("a"), b"", None, &maker("mine", Some(ends_at))).expect("a tail");
        let other = tails.open(&named("a"), b"", None, &maker("other", None)).expect("a tail");
        assert_eq!(mine.expires_at, ends_at);
        assert!(other.expires_at > ends_at);
        let reader = tails.read(mine.id, mine.secret).expect("a reader");
        tails.close_of_token("mine");
        assert_eq!(reader.next().await, Next::Closed);
        assert!(tails.read(mine.id, mine.secret).is_none());
        assert_eq!(tails.list(&named("a")), [other]);
        tails.close_of_account(AccountId::DEFAULT);
        assert!(tails.list(&named("a")).is_empty());
    }

    #[test]
    fn a_script_has_ten_tails_and_a_server_a_hundred() {
        let tails = Tails::default();
        for script in 0..10 {
            for _ in 0..TAILS_PER_SCRIPT_MAX {
                tails.open(&named(&script.to_string()), b"", None, &Holder::ANYBODY).expect("a tail");
            }
            assert_eq!(tails.open(&named("0"), b"", None, &Holder::ANYBODY).map_err(|error| error.status), Err(429));
        }
        assert_eq!(tails.open(&named("new"), b"", None, &Holder::ANYBODY).map_err(|error| error.status), Err(429));
        let one = &tails.list(&named("3"))[0];
        assert!(tails.close(&named("3"), one.id));
        assert!(tails.open(&named("new"), b"", None, &Holder::ANYBODY).is_ok());
    }
}
