//! Imports: a file is announced, uploaded, and run in its database.

use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use md5::{Digest as _, Md5};
use stepwell_store::DatabaseKey;
use tempfile::TempPath;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Mutex, watch};

use super::table::{Table, Transfer};
use super::{TransferError, new_file};
use crate::clock::now_ms;
use crate::d1::import::Imported;
use crate::d1::limits::{IMPORT_BYTES_MAX, TRANSFER_WAIT};
use crate::d1::pool::Pool;
use crate::d1::usage::Usage;

const UNKNOWN_UPLOAD: &str = "this upload was never announced, or its time is over; begin the import again";
const UNKNOWN_FILE: &str = "no file of that name was uploaded for this database; begin the import again";
const UNKNOWN_IMPORT: &str = "no such import is known: the server was restarted, or it ended more than an hour ago. The \
    database is as it was before, or has all of it; look, and begin it again if need be";
/// Bytes of the script that are read at once.
const READ_BYTES: usize = 64 << 10;

/// All imports of a server.
pub struct Imports {
    pool: Arc<Pool>,
    usage: Usage,
    directory: PathBuf,
    table: Table<Entry>,
}

/// A file that may be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Secret part of the address to which it goes.
    pub token: String,
    /// What the client calls it from now on.
    pub filename: String,
}

/// An import that was begun.
#[derive(Debug, Clone)]
pub struct Import {
    /// What its client calls it.
    pub bookmark: String,
    /// How far it is.
    pub stage: ImportStage,
}

/// How far an import is.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportStage {
    /// It waits for the database or runs.
    Running,
    /// It is durable.
    Done(Imported),
    /// Nothing of it was kept; this is why.
    Failed(String),
}

#[derive(Clone)]
struct Entry {
    key: DatabaseKey,
    /// MD5 of the file, as announced.
    etag: String,
    filename: String,
    /// Held by the upload that is under way: there is one at a time.
    uploading: Arc<Mutex<()>>,
    state: State,
}

#[derive(Clone)]
enum State {
    Announced,
    Uploaded { file: Arc<TempPath>, etag: String },
    Begun { bookmark: String, news: watch::Receiver<ImportStage> },
}

impl Transfer for Entry {
    fn is_busy(&self) -> bool {
        matches!(&self.state, State::Begun { news, .. } if *news.borrow() == ImportStage::Running)
    }
}

impl Imports {
    pub fn new(pool: Arc<Pool>, usage: Usage, directory: PathBuf) -> Self {
        Self { pool, usage, directory, table: Table::default() }
    }

    /// Announces a file by its MD5, in hexadecimal.
    ///
    /// # Errors
    /// [`TransferError::TooMany`].
    pub fn announce(&self, key: &DatabaseKey, etag: &str) -> Result<Upload, TransferError> {
        let filename = format!("{}.{etag}.sql", uuid::Uuid::new_v4());
        let entry = Entry {
            key: key.clone(),
            etag: etag.to_owned(),
            filename: filename.clone(),
            uploading: Arc::default(),
            state: State::Announced,
        };
        Ok(Upload { token: self.table.add(entry)?, filename })
    }

    /// Takes the file of an upload, and answers its MD5.
    ///
    /// # Errors
    /// The upload is unknown, the file is too large, the client breaks off, or the disk takes no more.
    pub async fn receive<E: std::fmt::Display>(
        &self,
        token: &str,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<String, TransferError> {
        let unknown = || TransferError::Unknown(UNKNOWN_UPLOAD);
        let entry = self.table.get(token).filter(Entry::takes_file).ok_or_else(unknown)?;
        let _turn = Arc::clone(&entry.uploading).try_lock_owned().map_err(|_| TransferError::Uploading)?;
        let (file, path) = new_file(&self.directory)?.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let (mut digest, mut size_bytes) = (Md5::new(), 0);
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| TransferError::BrokenOff(error.to_string()))?;
            size_bytes += chunk.len() as u64;
            if size_bytes > IMPORT_BYTES_MAX {
                return Err(TransferError::TooLarge);
            }
            digest.update(&chunk);
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        let etag = format!("{:x}", digest.finalize());
        let state = State::Uploaded { file: Arc::new(path), etag: etag.clone() };
        self.table.replace(token, Entry { state, ..entry });
        Ok(etag)
    }

    /// Runs an uploaded file, and waits a little for its end.
    ///
    /// # Errors
    /// There is no such file, or it is another than announced.
    pub async fn begin(&self, key: &DatabaseKey, filename: &str, bookmark: String) -> Result<Import, TransferError> {
        let unknown = || TransferError::Unknown(UNKNOWN_FILE);
        let (token, entry) =
            self.table.find(|entry| entry.key == *key && entry.filename == filename).ok_or_else(unknown)?;
        let (bookmark, news) = match &entry.state {
            State::Announced => return Err(unknown()),
            State::Uploaded { etag, .. } if !etag.eq_ignore_ascii_case(&entry.etag) => {
                return Err(TransferError::OtherFile { found: etag.clone(), announced: entry.etag });
            }
            State::Uploaded { file, .. } => {
                let news = self.run(key.clone(), Arc::clone(file));
                let state = State::Begun { bookmark: bookmark.clone(), news: news.clone() };
                self.table.replace(&token, Entry { state, ..entry.clone() });
                (bookmark, news)
            }
            // Asked for twice: it is the same one.
            State::Begun { bookmark, news } => (bookmark.clone(), news.clone()),
        };
        Ok(awaited(bookmark, news).await)
    }

    /// How far an import is, after waiting a little for its end.
    ///
    /// # Errors
    /// There is no such import.
    pub async fn poll(&self, key: &DatabaseKey, wanted: &str) -> Result<Import, TransferError> {
        let is_it = |entry: &Entry| matches!(&entry.state, State::Begun { bookmark, .. } if bookmark == wanted);
        let found = self.table.find(|entry| entry.key == *key && is_it(entry));
        match found {
            Some((_, Entry { state: State::Begun { bookmark, news }, .. })) => Ok(awaited(bookmark, news).await),
            _ => Err(TransferError::Unknown(UNKNOWN_IMPORT)),
        }
    }

    /// Forgets what nobody asks for any more.
    pub fn sweep(&self) {
        self.table.sweep();
    }

    fn run(&self, key: DatabaseKey, file: Arc<TempPath>) -> watch::Receiver<ImportStage> {
        let (tell, news) = watch::channel(ImportStage::Running);
        let (pool, usage) = (Arc::clone(&self.pool), self.usage.clone());
        tokio::spawn(async move {
            let script = Arc::clone(&file);
            let ran = pool.run(&key, move |database| {
                let file =
                    std::fs::File::open(&*script).map_err(|error| crate::d1::D1Error::Script(error.to_string()))?;
                database.import(BufReader::with_capacity(READ_BYTES, file))
            });
            let stage = match ran.await {
                Ok(imported) => {
                    usage.count(&key, [&imported.meta], now_ms());
                    ImportStage::Done(imported)
                }
                Err(error) => ImportStage::Failed(error.to_string()),
            };
            drop(file);
            tell.send_replace(stage);
        });
        news
    }
}

impl Entry {
    fn takes_file(&self) -> bool {
        matches!(self.state, State::Announced | State::Uploaded { .. })
    }
}

async fn awaited(bookmark: String, mut news: watch::Receiver<ImportStage>) -> Import {
    let ended = news.wait_for(|stage| *stage != ImportStage::Running);
    // A task that went away has panicked, and told nothing.
    let stage = match tokio::time::timeout(TRANSFER_WAIT, ended).await {
        Ok(Ok(stage)) => stage.clone(),
        Ok(Err(_)) => ImportStage::Failed("the import ended unexpectedly; the server's log says more".to_owned()),
        Err(_) => ImportStage::Running,
    };
    Import { bookmark, stage }
}
