//! What a worker process prints, line by line, bounded so that neither a chatty Worker nor a slow reader can hold the
//! server's memory or stop the process.

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::mpsc;

/// Longest line in bytes; the rest of a longer one is dropped.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Lines that wait for a reader; beyond it new ones are dropped and counted.
pub const LINES_WAITING_MAX: usize = 1024;

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `console.log` and its kind.
    Stdout,
    /// `console.error` and its kind, and workerd's own messages.
    Stderr,
}

/// A line of output without its end, invalid UTF-8 replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it was printed.
    pub stream: Stream,
    /// At most 64 KiB.
    pub text: String,
    /// Lines dropped before this one because nobody read.
    pub dropped_before: u64,
}

/// Passes lines on until the stream ends.
pub async fn pump(source: impl AsyncRead + Unpin, stream: Stream, sink: mpsc::Sender<Line>) {
    let mut source = BufReader::new(source);
    let mut dropped_before = 0;
    while let Some(text) = next_line(&mut source).await {
        match sink.try_send(Line { stream, text, dropped_before }) {
            Ok(()) => dropped_before = 0,
            Err(_) => dropped_before += 1,
        }
    }
}

async fn next_line(source: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    (&mut *source).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await.ok().filter(|read| *read > 0)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else {
        skip_line(source).await;
    }
    Some(String::from_utf8_lossy(&line).into_owned())
}

async fn skip_line(source: &mut (impl AsyncBufRead + Unpin)) {
    loop {
        let Ok(buffer) = source.fill_buf().await else { return };
        let (end, consumed) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (true, at + 1),
            None => (buffer.is_empty(), buffer.len()),
        };
        source.consume(consumed);
        if end {
            return;
        }
    }
}
