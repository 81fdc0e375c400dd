//! Streams and their pieces. What is dropped goes at once.

use std::collections::BTreeMap;

use stepwell_engine::{Batch, Entry, InstanceKey, Outcome, Recorded, StreamId, StreamRef};

use super::Memory;
use crate::ChangeError;
use crate::backend::{Fault, StreamWriter};
use crate::stream::{StreamChunk, StreamState};

#[derive(Default)]
pub(super) struct Streams {
    by_id: BTreeMap<StreamId, Stream>,
    last: u64,
}

struct Stream {
    key: InstanceKey,
    state: StreamState,
    chunks: Vec<Vec<u8>>,
}

impl Stream {
    fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }
}

impl Streams {
    /// What a batch that was not refused says of streams.
    pub fn apply(&mut self, batch: &Batch, refused: &[InstanceKey]) {
        for write in batch.writes.iter().filter(|write| !refused.contains(&write.key)) {
            write.entries.iter().for_each(|recorded| self.keep_named(write.key, &recorded.entry));
        }
        for stream in &batch.dropped_streams {
            if self.by_id.get(stream).is_some_and(|stream| stream.state == StreamState::Open) {
                self.by_id.remove(stream);
            }
        }
    }

    fn keep_named(&mut self, key: InstanceKey, entry: &Entry) {
        if let Entry::Settled { outcome: Outcome::Streamed { stream, .. }, .. } = entry
            && let Some(stream) = self.by_id.get_mut(&stream.id).filter(|stream| stream.key == key)
        {
            stream.state = StreamState::Kept;
        }
    }

    pub fn forget(&mut self, key: InstanceKey) {
        self.by_id.retain(|_, stream| stream.key != key);
    }

    /// Streams that the history of the new incarnation names are its own from then on. One that was named only now, by an
    /// entry that is written with the restart, was open until then.
    pub fn carry(&mut self, old: InstanceKey, new: InstanceKey, history: &[Recorded]) {
        for recorded in history {
            if let Entry::Settled { outcome: Outcome::Streamed { stream, .. }, .. } = &recorded.entry
                && let Some(stream) = self.by_id.get_mut(&stream.id).filter(|stream| stream.key == old)
            {
                stream.key = new;
                stream.state = StreamState::Kept;
            }
        }
    }

    pub fn is_whole(&self, key: InstanceKey, stream: StreamRef) -> bool {
        self.kept(key, stream.id)
            .is_some_and(|kept| (kept.chunks.len(), kept.bytes()) == (stream.chunks as usize, stream.bytes))
    }

    pub fn chunk(&self, key: InstanceKey, stream: StreamId, number: u32) -> Option<Vec<u8>> {
        self.kept(key, stream)?.chunks.get(number as usize).cloned()
    }

    fn kept(&self, key: InstanceKey, stream: StreamId) -> Option<&Stream> {
        self.by_id.get(&stream).filter(|stream| stream.key == key && stream.state == StreamState::Kept)
    }

    fn begin(&mut self, key: InstanceKey) -> StreamId {
        self.last += 1;
        let id = StreamId(self.last);
        self.by_id.insert(id, Stream { key, state: StreamState::Open, chunks: Vec::new() });
        id
    }

    fn append(&mut self, chunk: &StreamChunk) -> Result<(), ChangeError> {
        let over = || ChangeError::StreamOver(chunk.stream);
        let stream = self.by_id.get(&chunk.stream).ok_or_else(over)?;
        if stream.state != StreamState::Open || stream.chunks.len() != chunk.number as usize {
            return Err(over());
        }
        let beside: u64 = self.by_id.values().filter(|other| other.key == stream.key).map(Stream::bytes).sum();
        if beside + chunk.bytes.len() as u64 > chunk.bytes_max {
            return Err(ChangeError::StreamsTooLarge { bytes_max: chunk.bytes_max });
        }
        let stream = self.by_id.get_mut(&chunk.stream).ok_or_else(over)?;
        stream.chunks.push(chunk.bytes.clone());
        Ok(())
    }
}

impl StreamWriter for Memory {
    fn begin_stream(&mut self, key: InstanceKey) -> Result<StreamId, Fault> {
        let tables = &mut *self.write();
        if !tables.instances.is_there(key) {
            return Err(Fault::Refused(ChangeError::InstanceGone(key)));
        }
        Ok(tables.streams.begin(key))
    }

    fn append_stream(&mut self, chunk: &StreamChunk) -> Result<(), Fault> {
        self.write().streams.append(chunk).map_err(Fault::Refused)
    }
}
