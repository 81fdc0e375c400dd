//! Requests as tails show them. The way to the Worker knows the request and its answer, the Worker's own code tells what it
//! writes and throws; an event is made when both are over, or when the code has had its time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use stepwell_engine::{DeploymentId, ErrorRecord, Millis};
use stepwell_store::{ScopedName, Store};
use uuid::Uuid;

use super::limits::{AFTERWARDS_MAX, LAST_LINES_MAX, REQUESTS_FOLLOWED_MAX};
use super::{Event, Exception, Fetch, Invocation, Line, Outcome, Tails, Told};
use crate::driver::now_ms;
use crate::locks::lock;

/// The requests that are being followed. Cheap to clone.
#[derive(Clone)]
pub struct Requests {
    tails: Tails,
    store: Store,
    live: Arc<Mutex<HashMap<Uuid, Live>>>,
    /// Whether somebody sits before the log who wants to see what code throws: then all requests are followed.
    logs_exceptions: bool,
}

struct Live {
    script: ScopedName,
    version: Option<DeploymentId>,
    fetch: Fetch,
    started_at: Millis,
    told: Told,
    /// The code is through, promises that it left behind included.
    is_done: bool,
    ending: Option<Ending>,
}

impl Live {
    fn log(&self, ErrorRecord { name, message, stack, .. }: &ErrorRecord) {
        let Fetch { method, url, .. } = &self.fetch;
        let told = stack.clone().unwrap_or_else(|| format!("{name}: {message}"));
        tracing::error!(target: "worker", "{method} {url} of {}: {told}", self.script.name);
    }
}

/// How the way to the Worker saw a request end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The answer was taken whole.
    Served,
    /// So it was, and code may have spoken while it flowed.
    Streamed,
    /// Whoever asked has gone.
    Canceled,
    /// There was no whole answer.
    Failed(Outcome),
}

/// What a request's code says.
#[derive(Debug)]
pub struct Word {
    /// Written.
    pub lines: Vec<Line>,
    /// Thrown and caught by nobody.
    pub exceptions: Vec<(ErrorRecord, Millis)>,
    /// Nothing goes on any more.
    pub is_done: bool,
}

impl Requests {
    /// Requests for tails.
    pub fn new(tails: Tails, store: Store) -> Self {
        Self { tails, store, live: Arc::default(), logs_exceptions: false }
    }

    /// Requests for tails and for a log that shows what their code throws.
    pub fn logged(tails: Tails, store: Store) -> Self {
        Self { logs_exceptions: true, ..Self::new(tails, store) }
    }

    /// Whether requests of a script are followed now.
    pub fn follows(&self, script: &ScopedName) -> bool {
        self.logs_exceptions || self.tails.is_read(script)
    }

    /// Follows a request, unless too many are.
    pub async fn follow(&self, script: &ScopedName, fetch: Fetch) -> Option<FollowedRequest> {
        let current = self.store.current_deployment(script).await.ok().flatten();
        let live = Live {
            script: script.clone(),
            version: current.map(|row| row.id),
            fetch,
            started_at: now_ms(),
            told: Told::default(),
            is_done: false,
            ending: None,
        };
        let id = Uuid::new_v4();
        let mut all = lock(&self.live);
        if all.len() >= REQUESTS_FOLLOWED_MAX {
            drop(all);
            self.tails.miss(script);
            return None;
        }
        all.insert(id, live);
        Some(FollowedRequest { requests: self.clone(), id, is_over: false })
    }

    /// The version that answers a request that is followed.
    pub fn version(&self, id: Uuid) -> Option<DeploymentId> {
        lock(&self.live).get(&id)?.version
    }

    /// Takes what a request's code says. False where the request is not followed.
    pub fn tell(&self, id: Uuid, word: Word) -> bool {
        let mut all = lock(&self.live);
        let Some(live) = all.get_mut(&id) else { return false };
        word.lines.into_iter().for_each(|line| live.told.write(line));
        for (error, at) in word.exceptions {
            if self.logs_exceptions {
                live.log(&error);
            }
            live.told.throw(Exception::new(error, at));
        }
        live.is_done |= word.is_done;
        let is_over = live.is_done && live.ending.is_some();
        drop(all);
        if is_over {
            self.show(id);
        }
        true
    }

    fn end(&self, id: Uuid, ending: Ending) {
        let mut all = lock(&self.live);
        let Some(live) = all.get_mut(&id) else { return };
        live.ending = Some(ending);
        let is_done = live.is_done;
        drop(all);
        let patience = match ending {
            Ending::Served | Ending::Streamed if !is_done => AFTERWARDS_MAX,
            Ending::Streamed => LAST_LINES_MAX,
            Ending::Canceled if !is_done => LAST_LINES_MAX,
            Ending::Served | Ending::Canceled | Ending::Failed(_) => return self.show(id),
        };
        let requests = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            requests.show(id);
        });
    }

    /// Shows a request, once.
    fn show(&self, id: Uuid) {
        let Some(live) = lock(&self.live).remove(&id) else { return };
        let outcome = match live.ending {
            Some(Ending::Failed(outcome)) => outcome,
            Some(Ending::Canceled) => Outcome::Canceled,
            Some(Ending::Served | Ending::Streamed) | None => live.told.outcome(),
        };
        self.tails.show(&Event {
            script: live.script,
            version: live.version,
            outcome,
            at: live.started_at,
            wall_ms: Some(now_ms() - live.started_at),
            invocation: Invocation::Fetch(live.fetch),
            told: live.told,
        });
    }
}

/// A request on its way. One that is dropped before it has ended counts as given up by whoever asked.
pub struct FollowedRequest {
    requests: Requests,
    id: Uuid,
    is_over: bool,
}

impl FollowedRequest {
    /// By which the request's code speaks of itself.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The answer begins.
    pub fn answer(&self, status: u16) {
        if let Some(live) = lock(&self.requests.live).get_mut(&self.id) {
            live.fetch.status = Some(status);
        }
    }

    /// It has ended; the first word counts.
    pub fn end(&mut self, ending: Ending) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.requests.end(self.id, ending);
        }
    }
}

impl Drop for FollowedRequest {
    fn drop(&mut self) {
        self.end(Ending::Canceled);
    }
}
