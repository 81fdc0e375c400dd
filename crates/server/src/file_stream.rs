//! A file in pieces, each read when it is wanted: for what may be larger than memory.

use bytes::Bytes;
use futures_util::stream::{Stream, try_unfold};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;

/// The pieces of a file, from where it stands to its end.
pub(crate) fn file_stream(file: File) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(READ_BYTES);
        let count = (&mut file).take(READ_BYTES as u64).read_to_end(&mut chunk).await?;
        Ok((count > 0).then(|| (Bytes::from(chunk), file)))
    })
}
