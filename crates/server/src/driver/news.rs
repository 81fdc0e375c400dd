//! Who waits for something to become durable of an instance.

use std::collections::{HashMap, VecDeque};

use stepwell_engine::{Batch, CommitId, InstanceKey};
use tokio::sync::oneshot;

/// Waiters, and whom the batches on their way concern.
#[derive(Debug, Default)]
pub(super) struct News {
    waiting: HashMap<InstanceKey, Vec<oneshot::Sender<()>>>,
    under_way: VecDeque<(CommitId, Vec<InstanceKey>)>,
}

impl News {
    /// `reply` is told when the next batch that concerns `key` is durable.
    pub fn watch(&mut self, key: InstanceKey, reply: oneshot::Sender<()>) {
        let waiters = self.waiting.entry(key).or_default();
        waiters.retain(|waiter| !waiter.is_closed());
        waiters.push(reply);
    }

    /// A batch goes to the store. Whoever begins to wait before it is durable may have read without it, so its keys are
    /// kept whoever waits now.
    pub fn submitted(&mut self, commit: CommitId, batch: &Batch) {
        let written = batch.writes.iter().map(|write| write.key);
        let replaced = batch.restarts.iter().map(|again| again.old);
        let keys = written.chain(replaced).chain(batch.deletions.iter().copied()).collect();
        self.under_way.push_back((commit, keys));
    }

    /// A batch is durable.
    pub fn committed(&mut self, commit: CommitId) {
        while let Some((_, keys)) = self.under_way.pop_front_if(|(first, _)| *first <= commit) {
            if self.waiting.is_empty() {
                continue;
            }
            for waiter in keys.iter().filter_map(|key| self.waiting.remove(key)).flatten() {
                // Who waited may have gone away.
                let _ = waiter.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use stepwell_engine::InstanceWrite;

    use super::*;

    fn batch(key: u64) -> Batch {
        let write = InstanceWrite { key: InstanceKey(key), entries: Vec::new(), summary: None };
        Batch { writes: vec![write], ..Batch::default() }
    }

    #[test]
    fn who_waits_is_told_once_what_concerns_them_is_durable() {
        let mut news = News::default();
        news.submitted(CommitId(1), &batch(2));
        news.submitted(CommitId(2), &batch(1));
        let (reply, mut told) = oneshot::channel();
        news.watch(InstanceKey(1), reply);
        news.committed(CommitId(1));
        assert!(told.try_recv().is_err(), "nothing of it is durable yet");
        news.committed(CommitId(2));
        assert_eq!(told.try_recv(), Ok(()));
    }
}
