//! Exports: a database is written to a file, which can be fetched for an hour.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepwell_store::DatabaseKey;
use tempfile::TempPath;
use tokio::sync::watch;

use super::table::{Table, Transfer};
use super::{TransferError, new_file};
use crate::d1::dump::{DumpOptions, dump};
use crate::d1::error::D1Error;
use crate::d1::limits::TRANSFER_WAIT;
use crate::d1::pool::{Pool, blocking};

const UNKNOWN_EXPORT: &str =
    "no such export is known: the server was restarted, or it ended more than an hour ago; begin it again";

/// All exports of a server.
pub struct Exports {
    pool: Arc<Pool>,
    directory: PathBuf,
    table: Table<Entry>,
}

/// An export that was begun.
#[derive(Debug, Clone)]
pub struct Export {
    /// Secret part of the address at which it can be fetched.
    pub token: String,
    /// What its client calls it.
    pub bookmark: String,
    /// How far it is.
    pub stage: ExportStage,
}

/// How far an export is.
#[derive(Debug, Clone)]
pub enum ExportStage {
    /// It is being written.
    Running,
    /// It can be fetched. The file goes with the last who holds its path.
    Done(Arc<TempPath>),
    /// There is none; this is why.
    Failed(String),
}

#[derive(Clone)]
struct Entry {
    key: DatabaseKey,
    bookmark: String,
    news: watch::Receiver<ExportStage>,
}

impl Transfer for Entry {
    fn is_busy(&self) -> bool {
        matches!(*self.news.borrow(), ExportStage::Running)
    }
}

impl Exports {
    pub fn new(pool: Arc<Pool>, directory: PathBuf) -> Self {
        Self { pool, directory, table: Table::default() }
    }

    /// Begins an export, and waits a little for its end.
    ///
    /// # Errors
    /// [`TransferError::TooMany`].
    pub async fn begin(
        &self,
        key: &DatabaseKey,
        options: DumpOptions,
        bookmark: String,
    ) -> Result<Export, TransferError> {
        let (tell, news) = watch::channel(ExportStage::Running);
        let entry = Entry { key: key.clone(), bookmark, news };
        let token = self.table.add(entry.clone())?;
        let (pool, directory, key) = (Arc::clone(&self.pool), self.directory.clone(), key.clone());
        tokio::spawn(async move {
            let stage = match write(&pool, &key, options, directory).await {
                Ok(file) => ExportStage::Done(Arc::new(file)),
                Err(error) => ExportStage::Failed(error.to_string()),
            };
            tell.send_replace(stage);
        });
        Ok(awaited(token, entry).await)
    }

    /// How far an export is, after waiting a little for its end.
    ///
    /// # Errors
    /// There is no such export.
    pub async fn poll(&self, key: &DatabaseKey, bookmark: &str) -> Result<Export, TransferError> {
        let found = self.table.find(|entry| entry.key == *key && entry.bookmark == bookmark);
        let (token, entry) = found.ok_or(TransferError::Unknown(UNKNOWN_EXPORT))?;
        Ok(awaited(token, entry).await)
    }

    /// The file of an export that is done.
    ///
    /// # Errors
    /// There is none.
    pub fn file(&self, token: &str) -> Result<Arc<TempPath>, TransferError> {
        let stage = self.table.get(token).map(|entry| entry.news.borrow().clone());
        match stage {
            Some(ExportStage::Done(file)) => Ok(file),
            _ => Err(TransferError::Unknown(UNKNOWN_EXPORT)),
        }
    }

    /// Forgets what nobody fetches any more.
    pub fn sweep(&self) {
        self.table.sweep();
    }
}

async fn awaited(token: String, entry: Entry) -> Export {
    let Entry { bookmark, mut news, .. } = entry;
    let ended = news.wait_for(|stage| !matches!(stage, ExportStage::Running));
    // A task that went away has panicked, and told nothing.
    let stage = match tokio::time::timeout(TRANSFER_WAIT, ended).await {
        Ok(Ok(stage)) => stage.clone(),
        Ok(Err(_)) => ExportStage::Failed("the export ended unexpectedly; the server's log says more".to_owned()),
        Err(_) => ExportStage::Running,
    };
    Export { token, bookmark, stage }
}

async fn write(pool: &Pool, key: &DatabaseKey, options: DumpOptions, directory: PathBuf) -> Result<TempPath, D1Error> {
    // A database that was never used has its file from now on.
    pool.run(key, |_| Ok(())).await?;
    let database = pool.path(key);
    blocking(move || write_file(&database, &options, &directory)).await
}

fn write_file(database: &Path, options: &DumpOptions, directory: &Path) -> Result<TempPath, D1Error> {
    let (file, path) = new_file(directory).map_err(|error| D1Error::Export(error.to_string()))?.into_parts();
    dump(database, options, BufWriter::new(file))?;
    Ok(path)
}
