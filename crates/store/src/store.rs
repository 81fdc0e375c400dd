//! The handle: what the server holds of its memory.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use stepwell_engine::{Batch, InstanceKey, Millis, Recorded, WorkflowId};
use tokio::sync::oneshot;

use crate::backend::{Backend, Fault, HistoryPage, Reader};
use crate::database_file::DatabaseFile;
use crate::limits::{READERS, WRITES_WAITING_MAX};
use crate::memory::Memory;
use crate::queue::{Queue, Rejected};
use crate::reader_pool::ReaderPool;
use crate::sqlite::{Options, Sqlite};
use crate::writer::{BatchWrite, Change, Stalled, Write, Writer};
use crate::{
    ChangeError, CommitError, Committed, Due, InstanceRow, ListQuery, OpenError, ReadError, Stall, StatusCounts,
};

/// Durable memory. Clones are the same store; when the last one goes, what was submitted is finished and the data
/// directory is given up.
///
/// Its futures need no particular runtime.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    writes: Arc<Queue<Box<dyn Write>>>,
    readers: ReaderPool,
    stalled: Arc<Stalled>,
    file: Option<DatabaseFile>,
    reader_threads: Vec<JoinHandle<()>>,
    writer_thread: Vec<JoinHandle<()>>,
}

impl Store {
    /// Opens the store in a data directory, making both where they are missing, and takes it over from any earlier
    /// owner. Blocks for as long as migrations take.
    ///
    /// # Errors
    /// [`OpenError`], each saying what to do.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let sqlite = Sqlite::open(dir, options)?;
        let file = sqlite.file().clone();
        Self::start_with(Box::new(sqlite), Some(file))
    }

    /// A store that forgets everything when it goes.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::start(Box::new(Memory::new())).expect("threads can be started and memory can be read")
    }

    /// A store on a backend of the caller's.
    ///
    /// # Errors
    /// Where its readers cannot be opened.
    ///
    /// # Panics
    /// Where no thread can be started.
    pub fn start(backend: Box<dyn Backend>) -> Result<Self, OpenError> {
        Self::start_with(backend, None)
    }

    fn start_with(backend: Box<dyn Backend>, file: Option<DatabaseFile>) -> Result<Self, OpenError> {
        let readers = (0..READERS).map(|_| backend.reader()).collect::<Result<Vec<_>, _>>()?;
        let (readers, reader_threads) = ReaderPool::start(readers).expect("threads can be started");
        let writes = Arc::new(Queue::new(WRITES_WAITING_MAX));
        let stalled = Arc::new(Stalled::default());
        let writer = Writer {
            backend,
            queue: Arc::clone(&writes),
            stalled: Arc::clone(&stalled),
            ended: None,
            groups_since_garbage: 0,
        };
        let thread = std::thread::Builder::new().name("store-write".to_owned()).spawn(move || writer.run());
        let writer_thread = vec![thread.expect("threads can be started")];
        Ok(Self { shared: Arc::new(Shared { writes, readers, stalled, file, reader_threads, writer_thread }) })
    }

    /// Makes a batch durable, in the order of the calls. The batch is on its way when this returns; dropping the future
    /// takes nothing back.
    ///
    /// # Errors
    /// [`CommitError`]. While there is a [`Store::stall`] there is no answer: the batch waits.
    pub fn commit(&self, batch: Batch) -> impl Future<Output = Result<Committed, CommitError>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        self.submit(batch, move |result| {
            // A caller that went away needs no answer.
            let _ = reply.send(result);
        });
        async { answer.await.unwrap_or(Err(CommitError::Closed)) }
    }

    /// [`Store::commit`] with a callback, which runs on the store's writer thread (or on this one, where the batch is not
    /// taken) and must be short: the next sync waits for it.
    pub fn submit(&self, batch: Batch, reply: impl FnOnce(Result<Committed, CommitError>) + Send + 'static) {
        self.enqueue(Box::new(BatchWrite::new(batch, reply)));
    }

    /// What commits wait for. New work is to be refused until they do not.
    #[must_use]
    pub fn stall(&self) -> Option<Stall> {
        self.shared.stalled.get()
    }

    /// Looks whether the database still stands at its path, as each commit does too. Blocks for that long.
    ///
    /// # Errors
    /// [`CommitError::Gone`].
    pub fn check_in_place(&self) -> Result<(), CommitError> {
        let moved = self.shared.file.as_ref().filter(|file| !file.is_in_place());
        moved.map_or(Ok(()), |file| Err(CommitError::Gone(file.path.clone())))
    }

    /// The instance of that id in a workflow.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn resolve(&self, workflow: WorkflowId, id: &str) -> Result<Option<InstanceKey>, ReadError> {
        let id = id.to_owned();
        self.read(move |reader| reader.resolve(workflow, &id)).await
    }

    /// An instance, without its history.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn instance(&self, key: InstanceKey) -> Result<Option<InstanceRow>, ReadError> {
        self.read(move |reader| reader.instance(key)).await
    }

    /// An instance and its whole history as the engine folds it: payloads have their `value_bytes` and no texts.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn load(&self, key: InstanceKey) -> Result<Option<(InstanceRow, Vec<Recorded>)>, ReadError> {
        self.read(move |reader| reader.load(key)).await
    }

    /// A page of history with its values; empty where the instance or the place is not there.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn history(&self, key: InstanceKey, page: HistoryPage) -> Result<Vec<Recorded>, ReadError> {
        self.read(move |reader| reader.history(key, page)).await
    }

    /// One entry with its value.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn entry(&self, key: InstanceKey, seq: u64) -> Result<Option<Recorded>, ReadError> {
        let page = HistoryPage { from_seq: seq, until_seq: seq.saturating_add(1), rows_max: 1, bytes_max: 0 };
        self.read(move |reader| Ok(reader.history(key, page)?.pop())).await
    }

    /// Instances in the order of (`wake_at`, key), behind `after` and due at `until` or before, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn due(&self, after: (Millis, InstanceKey), until: Millis, limit: usize) -> Result<Vec<Due>, ReadError> {
        self.read(move |reader| reader.due(after, until, limit)).await
    }

    /// A page of a workflow's instances.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn list_instances(&self, query: ListQuery) -> Result<Vec<InstanceRow>, ReadError> {
        self.read(move |reader| reader.list_instances(&query)).await
    }

    /// Instances of a workflow by status, in the order of [`Status::ALL`](stepwell_engine::Status::ALL). Their sum is the
    /// total.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn counters(&self, workflow: WorkflowId) -> Result<StatusCounts, ReadError> {
        self.read(move |reader| reader.counters(workflow)).await
    }

    /// The greatest key ever used, deleted ones included; 0 where there is none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn max_key(&self) -> Result<InstanceKey, ReadError> {
        self.read(|reader| reader.max_key()).await
    }

    /// Bounds the size of the database so that tests can fill it.
    #[doc(hidden)]
    pub async fn limit_pages(&self, pages: u32) -> Result<(), ChangeError> {
        self.change(0, move |backend| backend.limit_pages(pages)).await
    }

    pub(crate) async fn read<T, F>(&self, read: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Reader) -> Result<T, ReadError> + Send + 'static,
    {
        self.shared.readers.read(read).await
    }

    /// A change that waits while commits do, as a batch does.
    pub(crate) async fn change<T, R>(&self, bytes: usize, run: R) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        R: FnMut(&mut dyn Backend) -> Result<T, Fault> + Send + 'static,
    {
        self.change_with(bytes, true, run).await
    }

    /// A change that is refused with [`ChangeError::Stalled`] where it would have to wait: somebody waits for its answer.
    pub(crate) async fn change_now<T, R>(&self, bytes: usize, run: R) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        R: FnMut(&mut dyn Backend) -> Result<T, Fault> + Send + 'static,
    {
        self.change_with(bytes, false, run).await
    }

    async fn change_with<T, R>(&self, bytes: usize, waits: bool, run: R) -> Result<T, ChangeError>
    where
        T: Send + 'static,
        R: FnMut(&mut dyn Backend) -> Result<T, Fault> + Send + 'static,
    {
        if let Some(stall) = self.stall().filter(|_| !waits) {
            return Err(ChangeError::Stalled(stall));
        }
        let (reply, answer) = oneshot::channel();
        let reply = move |result: Result<T, ChangeError>| {
            // A caller that went away needs no answer.
            let _ = reply.send(result);
        };
        self.enqueue(Box::new(Change { run, bytes, waits, outcome: None, reply }));
        answer.await.unwrap_or(Err(CommitError::Closed.into()))
    }

    pub(crate) fn enqueue(&self, write: Box<dyn Write>) {
        if let Err((rejected, write)) = self.shared.writes.push(write) {
            let error = match rejected {
                Rejected::Busy => CommitError::Busy,
                Rejected::Closed => CommitError::Closed,
            };
            write.answer(Err(error.into()));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Readers first: only the last connection copies the log into the database, and a reader may not.
        self.readers.close();
        join(&mut self.reader_threads);
        self.writes.close();
        join(&mut self.writer_thread);
    }
}

fn join(threads: &mut Vec<JoinHandle<()>>) {
    for thread in threads.drain(..) {
        // A callback may own the last clone, and a thread cannot wait for itself.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("a thread of the store panicked");
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
