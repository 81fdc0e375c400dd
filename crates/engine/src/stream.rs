//! Streams: step results whose bytes travel beside the session and are kept apart from the history.
//!
//! Bytes are not the engine's business. It knows which streams the attempts in flight are writing, so that a stream is
//! kept exactly where the attempt that wrote it succeeded with it, and dropped in the same order as all other facts.

use crate::{CallId, InstanceKey, StreamId};

/// A stream as its attempt left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamRef {
    /// Which.
    pub id: StreamId,
    /// Pieces that it is kept in.
    pub chunks: u32,
    /// Bytes in all.
    pub bytes: u64,
}

/// Whether an attempt may write a stream now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamPlace {
    /// It is in flight, in this instance.
    Open(InstanceKey),
    /// What says that it has begun is still on its way.
    NotYet,
    /// It is over, or never was.
    Over,
}

/// A stream that an attempt in flight is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenStream {
    pub call: CallId,
    pub attempt: u32,
    pub id: StreamId,
}
