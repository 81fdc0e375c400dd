//! What the driver is asked about streams: bytes go past it, but it alone knows which run and attempt they belong to.

use stepwell_engine::{CallId, Input, InstanceKey, RunId, StreamId, StreamPlace};
use tokio::sync::oneshot;

use super::handle::Request;
use super::{Driver, DriverHandle, WorkerPool};

/// A run as its worker names it. The token shows that the worker is the one that has it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The run.
    pub run: RunId,
    /// What its process was given.
    pub token: String,
}

/// An attempt of a run.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Of which run.
    pub claim: Claim,
    /// The call.
    pub call: CallId,
    /// The attempt.
    pub attempt: u32,
}

/// A question about a stream.
#[derive(Debug)]
pub(super) enum StreamRequest {
    Place(Writer, oneshot::Sender<StreamPlace>),
    Opened(Writer, StreamId, oneshot::Sender<bool>),
    IsWriting(Writer, StreamId, oneshot::Sender<bool>),
    Instance(Claim, oneshot::Sender<Option<InstanceKey>>),
}

/// Where the driver is gone, nothing may be written and nobody is there.
impl DriverHandle {
    /// Whether this attempt may write a stream now.
    pub async fn stream_place(&self, writer: Writer) -> StreamPlace {
        self.ask_stream(|reply| StreamRequest::Place(writer, reply)).await.unwrap_or(StreamPlace::Over)
    }

    /// Says that this attempt has begun to write a stream. False where the attempt is over: the stream is dropped then.
    pub async fn stream_opened(&self, writer: Writer, stream: StreamId) -> bool {
        self.ask_stream(|reply| StreamRequest::Opened(writer, stream, reply)).await.unwrap_or(false)
    }

    /// Whether this attempt is writing that stream.
    pub async fn is_writing(&self, writer: Writer, stream: StreamId) -> bool {
        self.ask_stream(|reply| StreamRequest::IsWriting(writer, stream, reply)).await.unwrap_or(false)
    }

    /// The instance whose live run this is.
    pub async fn instance_of(&self, claim: Claim) -> Option<InstanceKey> {
        self.ask_stream(|reply| StreamRequest::Instance(claim, reply)).await.flatten()
    }

    async fn ask_stream<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> StreamRequest) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Stream(request(reply))).await.ok()?;
        answer.await.ok()
    }
}

impl<P: WorkerPool> Driver<P> {
    pub(super) fn take_stream_request(&mut self, request: StreamRequest) {
        // Whoever asked may have gone away.
        match request {
            StreamRequest::Place(writer, reply) => {
                let _ = reply.send(self.stream_place(&writer));
            }
            StreamRequest::Opened(writer, stream, reply) => {
                let Writer { claim, call, attempt } = writer;
                self.input(Input::StreamOpened(claim.run, call, attempt, stream));
                let _ = reply.send(self.engine.is_writing(claim.run, call, attempt, stream));
            }
            StreamRequest::IsWriting(writer, stream, reply) => {
                let Writer { claim, call, attempt } = writer;
                let is_own = self.is_own(&claim);
                let _ = reply.send(is_own && self.engine.is_writing(claim.run, call, attempt, stream));
            }
            StreamRequest::Instance(claim, reply) => {
                let key = self.is_own(&claim).then(|| self.engine.instance_of(claim.run)).flatten();
                let _ = reply.send(key);
            }
        }
    }

    fn stream_place(&self, writer: &Writer) -> StreamPlace {
        if !self.is_own(&writer.claim) {
            return StreamPlace::Over;
        }
        self.engine.stream_place(writer.claim.run, writer.call, writer.attempt)
    }

    /// Whether the run is in a session of the process that speaks of it.
    fn is_own(&self, claim: &Claim) -> bool {
        let session = self.runs.get(&claim.run).and_then(|run| self.sessions.get(&run.session));
        session.is_some_and(|session| session.catalog.token == claim.token)
    }
}
