//! Processes that are replaced while they work: what they run goes on to its end, and whatever is new starts in others.

use std::sync::Arc;

use stepwell_store::ScopedName;

use super::worker::Worker;
use super::{IDLE_RETIRED, Shared, Workers};
use crate::driver::SessionEvent;
use crate::locks::lock;

impl Workers {
    /// Whatever of a script begins from now on begins in new processes, which get its secrets and the rest anew.
    pub async fn replace(&self, script: &ScopedName) {
        self.renew(script);
        let replaced = self.shared.take(script);
        let sessions: Vec<_> = replaced.iter().flat_map(|worker| worker.session_ids()).collect();
        lock(&self.shared.leaving).extend(replaced);
        for session in sessions {
            // A driver that is gone gives out no work.
            let _ = self.shared.events.send(SessionEvent::Draining(session)).await;
        }
    }
}

impl Shared {
    /// The workers of a script, which nobody finds any more.
    fn take(&self, script: &ScopedName) -> Vec<Arc<Worker>> {
        let mut workers = lock(&self.workers);
        let of_script = |worker: &&Arc<Worker>| worker.script() == script;
        let taken: Vec<_> =
            workers.iter().filter_map(|(place, cell)| Some((*place, cell.get().filter(of_script)?.clone()))).collect();
        taken.into_iter().inspect(|(place, _)| drop(workers.remove(place))).map(|(_, worker)| worker).collect()
    }

    /// Stops leaving workers that have nothing left to do.
    pub(super) async fn sweep_leaving(&self) {
        let (done, left): (Vec<_>, Vec<_>) =
            lock(&self.leaving).drain(..).partition(|worker| worker.is_gone() || worker.is_idle_for(IDLE_RETIRED));
        lock(&self.leaving).extend(left);
        for worker in done {
            worker.shut_down().await;
        }
    }
}
