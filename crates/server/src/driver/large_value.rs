//! A value that was left out of a run's history, read when the run asks for it.

use stepwell_engine::{CallId, Entry, InstanceKey, Outcome, Payload, RunId, StreamRef};
use stepwell_runtime::protocol::ToShim;
use stepwell_runtime::translate::{Frame, write_stream, write_value};
use stepwell_store::{ReadError, Store};

/// Such a value.
pub(super) enum LargeValue {
    Payload(Payload),
    Stream(StreamRef),
    /// A stream that is no longer whole.
    Corrupt,
}

/// The value that an entry carries; `None` where the instance is gone.
pub(super) async fn large_value(store: &Store, key: InstanceKey, seq: u64) -> Result<Option<LargeValue>, ReadError> {
    let Some(recorded) = store.entry(key, seq).await? else { return Ok(None) };
    Ok(match recorded.entry {
        Entry::Did { value, .. } | Entry::Settled { outcome: Outcome::Done { value, .. }, .. } => {
            Some(LargeValue::Payload(value))
        }
        Entry::Settled { outcome: Outcome::Streamed { stream, .. }, .. } => {
            let is_whole = store.is_stream_whole(key, stream).await?;
            Some(if is_whole { LargeValue::Stream(stream) } else { LargeValue::Corrupt })
        }
        Entry::EventReceived { payload, .. } => Some(LargeValue::Payload(payload)),
        _ => None,
    })
}

impl LargeValue {
    /// The frame that answers the run.
    pub fn frame(&self, run: RunId, call: CallId) -> String {
        let (payload, stream) = match self {
            Self::Payload(payload) => (payload, None),
            Self::Stream(stream) => (&Payload::UNDEFINED, Some(write_stream(*stream))),
            Self::Corrupt => (&Payload::UNDEFINED, None),
        };
        let corrupt = matches!(self, Self::Corrupt);
        let value = write_value(payload);
        let mut frame = Frame::default();
        frame.push(&ToShim::Value { run: run.0, call: call.0, value, stream, corrupt });
        frame.take()
    }
}
