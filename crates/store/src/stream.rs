//! Streams: values too large for an entry, kept in pieces that are written and read one at a time.
//!
//! A stream is begun for an instance, grows piece by piece, and is either kept, by the entry that names it, or dropped.
//! Whoever opens a store drops what was being written: its writer is gone.

use stepwell_engine::{InstanceKey, StreamId, StreamRef};

use crate::{ChangeError, ReadError, Store};

/// Bytes that an instance's streams may have together (Cloudflare's storage of an instance, 1 GiB, with the headroom that
/// its engine grants).
pub const STREAMS_BYTES_MAX: u64 = (1 << 30) + (100 << 20);

/// What is to become of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamState {
    /// Being written.
    Open = 0,
    /// Named by an entry.
    Kept = 1,
    /// To be swept.
    Dropped = 2,
}

/// The next piece of a stream.
#[derive(Debug, Clone)]
pub struct StreamChunk {
    /// Of which stream.
    pub stream: StreamId,
    /// How many pieces it has.
    pub number: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Bytes that the instance's streams may have together.
    pub bytes_max: u64,
}

/// Streams.
impl Store {
    /// Begins a stream of an instance. Durable when it returns.
    ///
    /// # Errors
    /// [`ChangeError::InstanceGone`], or as any write.
    pub async fn begin_stream(&self, key: InstanceKey) -> Result<StreamId, ChangeError> {
        self.change(0, move |backend| backend.begin_stream(key)).await
    }

    /// Adds the next piece to a stream. Durable when it returns.
    ///
    /// # Errors
    /// [`ChangeError::StreamOver`] where the stream is not open or has another number of pieces,
    /// [`ChangeError::StreamsTooLarge`], or as any write.
    pub async fn append_stream(&self, chunk: StreamChunk) -> Result<(), ChangeError> {
        self.change(chunk.bytes.len(), move |backend| backend.append_stream(&chunk)).await
    }

    /// Whether a stream that an entry names is there with all its pieces.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn is_stream_whole(&self, key: InstanceKey, stream: StreamRef) -> Result<bool, ReadError> {
        self.read(move |reader| reader.is_stream_whole(key, stream)).await
    }

    /// A piece of a kept stream of an instance.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn stream_chunk(
        &self,
        key: InstanceKey,
        stream: StreamId,
        number: u32,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        self.read(move |reader| reader.stream_chunk(key, stream, number)).await
    }
}
