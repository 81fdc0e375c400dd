//! Threads that answer reads, each with a reader of its own.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::ReadError;
use crate::backend::Reader;
use crate::limits::READS_WAITING_MAX;
use crate::queue::{Queue, Rejected};

type Read = Box<dyn FnOnce(&mut dyn Reader) + Send>;

/// The pool. Reads that were accepted are answered even when it closes.
pub(crate) struct ReaderPool {
    queue: Arc<Queue<Read>>,
}

impl ReaderPool {
    pub fn start(readers: Vec<Box<dyn Reader>>) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let queue = Arc::new(Queue::<Read>::new(READS_WAITING_MAX));
        let mut threads = Vec::new();
        for (number, mut reader) in readers.into_iter().enumerate() {
            let queue = Arc::clone(&queue);
            let body = move || {
                while let Some(read) = queue.pop() {
                    read(reader.as_mut());
                }
            };
            threads.push(std::thread::Builder::new().name(format!("store-read-{number}")).spawn(body)?);
        }
        Ok((Self { queue }, threads))
    }

    pub async fn read<T, F>(&self, read: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Reader) -> Result<T, ReadError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Read = Box::new(move |reader| {
            // A caller that went away needs no answer.
            let _ = reply.send(read(reader));
        });
        self.queue.push(job).map_err(|(rejected, _)| match rejected {
            Rejected::Busy => ReadError::Busy,
            Rejected::Closed => ReadError::Closed,
        })?;
        answer.await.unwrap_or(Err(ReadError::Closed))
    }

    pub fn close(&self) {
        self.queue.close();
    }
}
