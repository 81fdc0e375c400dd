//! Group commit: one thread, one transaction for whatever waits, one sync, then all answers.
//!
//! A full disk is waited out here: the group is kept, in order, and tried again without those that do not wait. A failed sync ends all writing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use stepwell_engine::Batch;

use crate::backend::{Backend, Fault};
use crate::limits::{
    GROUP_BYTES_MAX, GROUP_ENTRIES_MAX, GROUPS_PER_GARBAGE, NO_ROOM_DELAY_MS_MAX, NO_ROOM_DELAY_MS_MIN,
};
use crate::queue::Queue;
use crate::{ChangeError, CommitError, Committed, Stall};

/// A write that waits. It is run once for each try of its transaction and answered once.
pub(crate) trait Write: Send {
    fn weight(&self) -> Weight;
    /// Whether it is kept while commits have to wait.
    fn waits(&self) -> bool;
    fn run(&mut self, backend: &mut dyn Backend) -> Result<(), Fault>;
    /// After the commit, or with why there is none.
    fn answer(self: Box<Self>, result: Result<(), ChangeError>);
}

/// What a write adds to a transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weight {
    pub entries: usize,
    pub bytes: usize,
}

impl Weight {
    fn of(batch: &Batch) -> Self {
        let carried: u64 = batch.restarts.iter().map(stepwell_engine::Restart::entry_count).sum();
        let gone = batch.deletions.len() + batch.expirations.len();
        let entries = batch.entry_count() + carried as usize + gone;
        let bytes =
            batch.writes.iter().flat_map(|write| &write.entries).map(crate::record::payload_bytes).sum::<usize>()
                + batch.creations.iter().map(|creation| crate::record::payload_bytes(&creation.created)).sum::<usize>();
        Self { entries, bytes }
    }
}

/// A batch of the engine with the way to its answer.
pub(crate) struct BatchWrite<F> {
    batch: Batch,
    weight: Weight,
    committed: Committed,
    reply: F,
}

impl<F> BatchWrite<F> {
    pub fn new(batch: Batch, reply: F) -> Self {
        Self { weight: Weight::of(&batch), batch, committed: Committed::default(), reply }
    }
}

impl<F: FnOnce(Result<Committed, CommitError>) + Send> Write for BatchWrite<F> {
    fn weight(&self) -> Weight {
        self.weight
    }

    fn waits(&self) -> bool {
        true
    }

    fn run(&mut self, backend: &mut dyn Backend) -> Result<(), Fault> {
        self.committed.refused = backend.apply(&self.batch)?;
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), ChangeError>) {
        let Self { committed, reply, .. } = *self;
        reply(result.map(|()| committed).map_err(|error| match error {
            ChangeError::Commit(error) => error,
            refusal => CommitError::Failed(refusal.to_string()),
        }));
    }
}

/// A change of control data with the way to its answer.
pub(crate) struct Change<R, T, A> {
    pub run: R,
    pub bytes: usize,
    pub waits: bool,
    pub outcome: Option<T>,
    pub reply: A,
}

impl<R, T, A> Write for Change<R, T, A>
where
    R: FnMut(&mut dyn Backend) -> Result<T, Fault> + Send,
    T: Send,
    A: FnOnce(Result<T, ChangeError>) + Send,
{
    fn weight(&self) -> Weight {
        Weight { entries: 1, bytes: self.bytes }
    }

    fn waits(&self) -> bool {
        self.waits
    }

    fn run(&mut self, backend: &mut dyn Backend) -> Result<(), Fault> {
        self.outcome = Some((self.run)(backend)?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), ChangeError>) {
        let Self { outcome, reply, .. } = *self;
        reply(result.map(|()| outcome.expect("a write that succeeded was run")));
    }
}

/// What the writer waits for, as everyone may see it.
#[derive(Debug, Default)]
pub(crate) struct Stalled(AtomicU8);

impl Stalled {
    pub fn get(&self) -> Option<Stall> {
        Self::stall(self.0.load(Ordering::Acquire))
    }

    /// Sets it and gives what it was.
    fn set(&self, stall: Option<Stall>) -> Option<Stall> {
        let word = match stall {
            None => 0,
            Some(Stall::NoRoom) => 1,
            Some(Stall::Held) => 2,
        };
        Self::stall(self.0.swap(word, Ordering::AcqRel))
    }

    fn stall(word: u8) -> Option<Stall> {
        [None, Some(Stall::NoRoom), Some(Stall::Held)][usize::from(word)]
    }
}

/// A write in a group and how it fared in the latest try.
struct Member {
    write: Box<dyn Write>,
    verdict: Result<(), Fault>,
}

/// The writer thread's state.
pub(crate) struct Writer {
    pub backend: Box<dyn Backend>,
    pub queue: Arc<Queue<Box<dyn Write>>>,
    pub stalled: Arc<Stalled>,
    pub ended: Option<Fault>,
    pub groups_since_garbage: u32,
}

impl Writer {
    /// Until the queue is closed and empty.
    pub fn run(mut self) {
        self.clean_while_idle();
        while let Some(first) = self.queue.pop() {
            let group = self.gather(first);
            self.commit(group);
            self.keep_house();
        }
    }

    fn gather(&self, first: Box<dyn Write>) -> Vec<Member> {
        let mut total = first.weight();
        let mut group = vec![Member { write: first, verdict: Ok(()) }];
        while let Some(write) = self.queue.pop_if(|next| fits(total, next.weight())) {
            let weight = write.weight();
            total = Weight { entries: total.entries + weight.entries, bytes: total.bytes + weight.bytes };
            group.push(Member { write, verdict: Ok(()) });
        }
        group
    }

    fn commit(&mut self, mut group: Vec<Member>) {
        let mut delay_ms = NO_ROOM_DELAY_MS_MIN;
        loop {
            let fault = match self.attempt(&mut group) {
                Ok(()) => {
                    if self.stalled.set(None).is_some() {
                        tracing::info!("commits go on");
                    }
                    return answer(group);
                }
                Err(fault) => fault,
            };
            self.backend.rollback();
            let Fault::Stalled(stall, _) = fault else { return self.give_up(group, fault) };
            let impatient: Vec<Member> = group.extract_if(.., |member| !member.write.waits()).collect();
            if !impatient.is_empty() {
                answer_all(impatient, &ChangeError::Stalled(stall));
                if group.is_empty() {
                    return;
                }
                continue;
            }
            if self.stalled.set(Some(stall)) != Some(stall) {
                tracing::warn!(%fault, "commits wait");
            }
            for write in self.queue.take(|write| !write.waits()) {
                write.answer(Err(ChangeError::Stalled(stall)));
            }
            if !self.queue.pause(Duration::from_millis(delay_ms)) {
                return answer_all(group, &CommitError::Closed.into());
            }
            delay_ms = (delay_ms * 2).min(NO_ROOM_DELAY_MS_MAX);
        }
    }

    fn attempt(&mut self, group: &mut [Member]) -> Result<(), Fault> {
        if let Some(fault) = &self.ended {
            return Err(fault.clone());
        }
        self.backend.begin()?;
        for member in group {
            member.verdict = match member.write.run(self.backend.as_mut()) {
                Err(fault @ (Fault::Refused(_) | Fault::Fenced(_))) => Err(fault),
                other => Ok(other?),
            };
        }
        self.backend.commit()
    }

    fn give_up(&mut self, group: Vec<Member>, fault: Fault) {
        tracing::error!(%fault, writes = group.len(), "a commit failed");
        if fault.is_final() {
            self.ended = Some(fault.clone());
        }
        answer_all(group, &fault.into());
    }

    fn keep_house(&mut self) {
        self.survive(|backend| backend.tidy());
        self.groups_since_garbage += 1;
        if self.groups_since_garbage >= GROUPS_PER_GARBAGE {
            self.groups_since_garbage = 0;
            self.survive(|backend| backend.collect_garbage().map(|_| ()));
        }
        self.clean_while_idle();
    }

    fn clean_while_idle(&mut self) {
        let mut more = true;
        while more && self.queue.is_empty() && self.ended.is_none() {
            more = false;
            self.survive(|backend| {
                more = backend.collect_garbage()?;
                backend.tidy()
            });
        }
    }

    /// House-keeping that fails is tried again with the next group, but for a failed sync.
    fn survive(&mut self, work: impl FnOnce(&mut dyn Backend) -> Result<(), Fault>) {
        if self.ended.is_some() {
            return;
        }
        if let Err(fault) = work(self.backend.as_mut()) {
            self.backend.rollback();
            tracing::warn!(%fault, "house-keeping of the store failed");
            if fault.is_final() {
                self.ended = Some(fault);
            }
        }
    }
}

fn fits(total: Weight, next: Weight) -> bool {
    total.entries + next.entries <= GROUP_ENTRIES_MAX && total.bytes + next.bytes <= GROUP_BYTES_MAX
}

fn answer(group: Vec<Member>) {
    for Member { write, verdict } in group {
        write.answer(verdict.map_err(ChangeError::from));
    }
}

fn answer_all(group: Vec<Member>, error: &ChangeError) {
    for Member { write, .. } in group {
        write.answer(Err(error.clone()));
    }
}
