//! Which streams are being written, and that none is kept that no entry names.
//!
//! A stream is dropped in a batch like any other fact, and so never before the entry that may keep it. What a crash of
//! the server leaves is the store's: no attempt survives it.

use super::Engine;
use super::slot::Slot;
use crate::stream::{OpenStream, StreamPlace};
use crate::{CallId, Entry, InstanceKey, Outcome, RunId, StreamId};

impl Engine {
    /// Whether this attempt of a run may write a stream now.
    #[must_use]
    pub fn stream_place(&self, run: RunId, call: CallId, attempt: u32) -> StreamPlace {
        self.writing_slot(run).map_or(StreamPlace::Over, |slot| slot.instance.attempt_place(call, attempt))
    }

    /// Whether this attempt of a run is writing that stream.
    #[must_use]
    pub fn is_writing(&self, run: RunId, call: CallId, attempt: u32, id: StreamId) -> bool {
        self.writing_slot(run).is_some_and(|slot| slot.streams.contains(&OpenStream { call, attempt, id }))
    }

    /// The instance whose live run this is.
    #[must_use]
    pub fn instance_of(&self, run: RunId) -> Option<InstanceKey> {
        self.writing_slot(run).map(|slot| slot.instance.key)
    }

    fn writing_slot(&self, run: RunId) -> Option<&Slot> {
        let slot = self.slots.get(&self.runs.get(&run)?.key)?;
        slot.instance.run().is_some_and(|own| own.id == run).then_some(slot)
    }

    pub(super) fn open_stream(&mut self, run: RunId, call: CallId, attempt: u32, id: StreamId) {
        match self.stream_place(run, call, attempt) {
            StreamPlace::Open(key) => {
                let slot = self.slots.get_mut(&key).expect("it was just there");
                slot.streams.push(OpenStream { call, attempt, id });
            }
            StreamPlace::NotYet | StreamPlace::Over => self.gather.batch.dropped_streams.push(id),
        }
    }

    /// Whether an attempt wrote that stream. One that is over may say what it likes: it is not heard.
    pub(super) fn knows_stream(&self, key: InstanceKey, call: CallId, attempt: u32, id: StreamId) -> bool {
        let Some(slot) = self.slots.get(&key) else { return true };
        let is_over = !matches!(slot.instance.attempt_place(call, attempt), StreamPlace::Open(_));
        is_over || slot.streams.contains(&OpenStream { call, attempt, id })
    }

    /// Drops what was written by attempts that are over.
    pub(super) fn drop_streams(&mut self, key: InstanceKey) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let Slot { streams, instance, .. } = &mut **slot;
        streams.retain(|open| {
            let goes_on = matches!(instance.attempt_place(open.call, open.attempt), StreamPlace::Open(_));
            if !goes_on {
                self.gather.batch.dropped_streams.push(open.id);
            }
            goes_on
        });
    }
}

impl Slot {
    /// An entry may name a stream, which is then nobody's to drop.
    pub fn keep_stream(&mut self, entry: &Entry) {
        if let Entry::Settled { outcome: Outcome::Streamed { stream, .. }, .. } = entry {
            self.streams.retain(|open| open.id != stream.id);
        }
    }
}
