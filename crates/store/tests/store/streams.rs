//! Streams: begun, grown, kept by an entry or dropped, and swept.

use rusqlite::Connection;
use stepwell_engine::{
    Batch, CallId, Carried, Entry, InstanceKey, Outcome, Payload, Recorded, Restart, Status, StreamId, StreamRef,
};
use stepwell_store::{ChangeError, Options, STREAMS_BYTES_MAX, Store, StreamChunk};

use crate::conformance::every_backend;
use crate::support::*;

const KEY: InstanceKey = InstanceKey(1);

fn begin(store: &Store) -> StreamId {
    wait(store.begin_stream(KEY)).expect("a stream")
}

fn append(store: &Store, stream: StreamId, number: u32, bytes: &[u8]) -> Result<(), ChangeError> {
    let chunk = StreamChunk { stream, number, bytes: bytes.to_vec(), bytes_max: STREAMS_BYTES_MAX };
    wait(store.append_stream(chunk))
}

/// Begins a stream of these pieces.
fn written(store: &Store, chunks: &[&[u8]]) -> StreamRef {
    let id = begin(store);
    for (number, chunk) in (0..).zip(chunks) {
        append(store, id, number, chunk).expect("a piece");
    }
    let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    StreamRef { id, chunks: u32::try_from(chunks.len()).expect("few"), bytes }
}

fn streamed(stream: StreamRef) -> Entry {
    let outcome = Outcome::Streamed { attempt: 1, stream, preview: Payload::from_json("\"ab\"") };
    Entry::Settled { call: CallId(0), outcome }
}

fn keep(store: &Store, seq: u64, stream: StreamRef) {
    commit(store, writes(vec![write(KEY.0, seq, vec![streamed(stream)], None)]));
}

fn drop_stream(store: &Store, stream: StreamId) {
    commit(store, Batch { dropped_streams: vec![stream], ..Batch::default() });
}

fn is_whole(store: &Store, stream: StreamRef) -> bool {
    wait(store.is_stream_whole(KEY, stream)).expect("a read")
}

fn chunk(store: &Store, stream: StreamRef, number: u32) -> Option<Vec<u8>> {
    wait(store.stream_chunk(KEY, stream.id, number)).expect("a read")
}

fn with_instance(store: &Store) {
    commit(store, creations(vec![creation(KEY.0, "a", 1), creation(2, "b", 1)]));
}

every_backend! {
    fn a_stream_that_an_entry_names_is_read_piece_by_piece(store: &Store) {
        with_instance(store);
        let stream = written(store, &[b"ab", b"c"]);
        keep(store, 1, stream);
        assert!(is_whole(store, stream));
        let read: Vec<_> = (0..3).map(|number| chunk(store, stream, number)).collect();
        assert_eq!(read, [Some(b"ab".to_vec()), Some(b"c".to_vec()), None]);
        let last = history(store, KEY.0).pop().expect("an entry");
        assert_eq!(last.entry, streamed(stream));
    }

    fn an_empty_stream_is_whole(store: &Store) {
        with_instance(store);
        let stream = written(store, &[]);
        keep(store, 1, stream);
        assert!(is_whole(store, stream));
        assert_eq!(chunk(store, stream, 0), None);
    }

    fn a_stream_that_no_entry_names_yet_is_not_shown(store: &Store) {
        with_instance(store);
        let stream = written(store, &[b"ab"]);
        assert!(!is_whole(store, stream));
        assert_eq!(chunk(store, stream, 0), None);
    }

    fn a_stream_of_another_instance_is_not_shown(store: &Store) {
        with_instance(store);
        let stream = written(store, &[b"ab"]);
        keep(store, 1, stream);
        assert_eq!(wait(store.is_stream_whole(InstanceKey(2), stream)), Ok(false));
        assert_eq!(wait(store.stream_chunk(InstanceKey(2), stream.id, 0)), Ok(None));
    }

    fn a_stream_that_lacks_what_its_entry_says_is_not_whole(store: &Store) {
        with_instance(store);
        let stream = StreamRef { bytes: 3, ..written(store, &[b"ab"]) };
        keep(store, 1, stream);
        assert!(!is_whole(store, stream));
    }

    fn pieces_are_taken_in_order_and_once(store: &Store) {
        with_instance(store);
        let id = begin(store);
        assert_eq!(append(store, id, 1, b"b"), Err(ChangeError::StreamOver(id)));
        assert_eq!(append(store, id, 0, b"a"), Ok(()));
        assert_eq!(append(store, id, 0, b"a"), Err(ChangeError::StreamOver(id)));
        let stream = StreamRef { id, chunks: 1, bytes: 1 };
        keep(store, 1, stream);
        assert_eq!(append(store, id, 1, b"b"), Err(ChangeError::StreamOver(id)));
        assert!(is_whole(store, stream));
    }

    fn a_dropped_stream_takes_nothing_and_its_number_is_not_used_again(store: &Store) {
        with_instance(store);
        let id = begin(store);
        drop_stream(store, id);
        assert_eq!(append(store, id, 0, b"a"), Err(ChangeError::StreamOver(id)));
        assert!(begin(store) > id);
    }

    fn a_kept_stream_cannot_be_dropped(store: &Store) {
        with_instance(store);
        let stream = written(store, &[b"ab"]);
        keep(store, 1, stream);
        drop_stream(store, stream.id);
        assert!(is_whole(store, stream));
    }

    fn a_batch_that_keeps_and_drops_does_both(store: &Store) {
        with_instance(store);
        let (kept, lost) = (written(store, &[b"ab"]), written(store, &[b"x"]));
        let mut batch = writes(vec![write(KEY.0, 1, vec![streamed(kept)], None)]);
        batch.dropped_streams = vec![lost.id];
        commit(store, batch);
        assert!(is_whole(store, kept));
        assert_eq!(append(store, lost.id, 1, b"y"), Err(ChangeError::StreamOver(lost.id)));
    }

    fn streams_of_an_instance_are_bounded_together(store: &Store) {
        with_instance(store);
        let first = written(store, &[b"abc"]);
        keep(store, 1, first);
        let id = begin(store);
        let add = |number, bytes: &[u8]| {
            wait(store.append_stream(StreamChunk { stream: id, number, bytes: bytes.to_vec(), bytes_max: 5 }))
        };
        assert_eq!(add(0, b"de"), Ok(()));
        assert_eq!(add(1, b"f"), Err(ChangeError::StreamsTooLarge { bytes_max: 5 }));
        drop_stream(store, id);
        let other = begin(store);
        let again = StreamChunk { stream: other, number: 0, bytes: b"de".to_vec(), bytes_max: 5 };
        assert_eq!(wait(store.append_stream(again)), Ok(()));
    }

    fn an_instance_that_is_gone_gets_no_stream(store: &Store) {
        assert_eq!(wait(store.begin_stream(KEY)), Err(ChangeError::InstanceGone(KEY)));
    }

    fn streams_go_with_their_instance(store: &Store) {
        with_instance(store);
        let (kept, open) = (written(store, &[b"ab"]), written(store, &[b"x"]));
        keep(store, 1, kept);
        commit(store, deletions(&[KEY.0]));
        assert!(!is_whole(store, kept));
        assert_eq!(append(store, open.id, 1, b"y"), Err(ChangeError::StreamOver(open.id)));
    }

    fn streams_that_a_restart_carries_live_on_with_it(store: &Store) {
        with_instance(store);
        let kept = written(store, &[b"ab"]);
        keep(store, 1, kept);
        let summary = summary(Status::Queued, None);
        let history = vec![Carried::CREATION, Carried::Copied { from_seq: 1, count: 1 }];
        let again = Restart { old: KEY, new: InstanceKey(3), deployment: DEPLOYMENT, summary, history };
        commit(store, Batch { restarts: vec![again], ..Batch::default() });
        assert_eq!(wait(store.is_stream_whole(InstanceKey(3), kept)), Ok(true));
        assert!(!is_whole(store, kept));
    }

    fn a_stream_that_is_named_in_the_batch_of_the_restart_lives_on_with_it(store: &Store) {
        with_instance(store);
        let open = written(store, &[b"ab"]);
        let summary = summary(Status::Queued, None);
        let named = Recorded { seq: 1, at: 2, entry: streamed(open) };
        let history = vec![Carried::CREATION, Carried::Written(named)];
        let again = Restart { old: KEY, new: InstanceKey(3), deployment: DEPLOYMENT, summary, history };
        commit(store, Batch { restarts: vec![again], ..Batch::default() });
        assert_eq!(wait(store.is_stream_whole(InstanceKey(3), open)), Ok(true));
        assert_eq!(append(store, open.id, 1, b"y"), Err(ChangeError::StreamOver(open.id)));
    }

    fn streams_go_with_the_incarnation_that_is_restarted(store: &Store) {
        with_instance(store);
        let kept = written(store, &[b"ab"]);
        keep(store, 1, kept);
        let summary = summary(Status::Queued, None);
        let history = vec![Carried::CREATION];
        let again = Restart { old: KEY, new: InstanceKey(3), deployment: DEPLOYMENT, summary, history };
        commit(store, Batch { restarts: vec![again], ..Batch::default() });
        assert!(!is_whole(store, kept));
        assert_eq!(wait(store.is_stream_whole(InstanceKey(3), kept)), Ok(false));
    }
}

fn open(dir: &std::path::Path) -> Store {
    Store::open(dir, Options::default()).expect("a store")
}

/// Waits until nothing is left to be swept; the pieces that are left.
fn swept(dir: &std::path::Path) -> u64 {
    let db = Connection::open(dir.join("stepwell.db")).expect("a database");
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, u64>(0)).expect("a count");
    while count("SELECT (SELECT count(*) FROM garbage) + (SELECT count(*) FROM streams WHERE state = 2)") > 0 {
        std::thread::yield_now();
    }
    count("SELECT count(*) FROM stream_chunks")
}

#[test]
fn pieces_of_dropped_streams_are_swept() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    with_instance(&store);
    let (kept, lost) = (written(&store, &[b"ab"]), written(&store, &[&b"x"[..]; 70]));
    keep(&store, 1, kept);
    drop_stream(&store, lost.id);
    assert_eq!(swept(dir.path()), 1);
    commit(&store, deletions(&[KEY.0]));
    assert_eq!(swept(dir.path()), 0);
}

#[test]
fn what_was_being_written_when_the_store_closed_is_swept_when_it_opens() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    with_instance(&store);
    let (kept, lost) = (written(&store, &[b"ab"]), written(&store, &[b"x", b"y"]));
    keep(&store, 1, kept);
    drop(store);
    let store = open(dir.path());
    assert_eq!(append(&store, lost.id, 2, b"z"), Err(ChangeError::StreamOver(lost.id)));
    assert_eq!(swept(dir.path()), 1);
    assert!(is_whole(&store, kept));
}

#[test]
fn a_piece_that_is_missing_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    with_instance(&store);
    let stream = written(&store, &[b"ab", b"c"]);
    keep(&store, 1, stream);
    let db = Connection::open(dir.path().join("stepwell.db")).expect("a database");
    db.execute("DELETE FROM stream_chunks WHERE number = 0", []).expect("a deletion");
    assert!(!is_whole(&store, stream));
}
