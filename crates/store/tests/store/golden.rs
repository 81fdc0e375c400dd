//! Records and databases that were written by released formats still read.

use stepwell_engine::{CallId, End, Entry, ErrorRecord, Outcome, Payload, Source, StreamId, StreamRef, WorkflowId};
use stepwell_store::{Options, Store, record};

use crate::golden_content::{KEY, batch, entries, summary};
use crate::golden_rollback;
use crate::support::{commit, history, wait};

#[test]
fn a_database_of_format_1_still_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("stepwell.db"), include_bytes!("../golden/format-1.db")).expect("a copy");
    let store = Store::open(dir.path(), Options::default()).expect("a store");
    assert_eq!(history(&store, KEY.0), entries());
    let row = wait(store.instance(KEY)).unwrap().unwrap();
    assert_eq!((row.workflow, &*row.id, row.summary), (WorkflowId(3), "golden", summary()));
    assert_eq!(wait(store.counters(WorkflowId(3))).unwrap().iter().sum::<u64>(), 1);
    assert_eq!(commit(&store, batch()), [KEY]);
}

fn line(entry: &Entry) -> String {
    let record = record::encode(entry);
    format!("{} {}", record.kind, record.meta).trim_end().to_owned() + "\n"
}

#[test]
fn records_are_written_as_the_format_says() {
    let written: String = entries().iter().map(|recorded| line(&recorded.entry)).collect();
    assert_eq!(written, include_str!("../golden/records-1.txt"));
}

#[test]
fn records_of_rollbacks_are_written_as_the_format_says_and_read() {
    let golden = include_str!("../golden/records-rollback.txt");
    let entries = golden_rollback::entries();
    assert_eq!(entries.iter().map(line).collect::<String>(), golden);
    for (line, entry) in golden.lines().zip(entries) {
        let (kind, meta) = line.split_once(' ').expect("all have fields");
        assert_eq!(record::decode(kind.parse().unwrap(), meta, Payload::UNDEFINED), Ok(entry));
    }
}

#[test]
fn records_of_format_1_still_read() {
    let lines = include_str!("../golden/records-1.txt").lines();
    for (line, recorded) in lines.zip(entries()) {
        let (kind, meta) = line.split_once(' ').unwrap_or((line, ""));
        let payload = record::encode(&recorded.entry).payload.cloned().unwrap_or(Payload::UNDEFINED);
        assert_eq!(record::decode(kind.parse().unwrap(), meta, payload), Ok(recorded.entry));
    }
}

#[test]
fn a_record_of_a_stream_is_written_as_the_format_says() {
    let preview = Payload::from_json("\"a\"");
    let stream = StreamRef { id: StreamId(4), chunks: 2, bytes: 300_000 };
    let outcome = Outcome::Streamed { attempt: 3, stream, preview: preview.clone() };
    let entry = Entry::Settled { call: CallId(5), outcome };
    let record = record::encode(&entry);
    let meta = r#"{"call":5,"attempt":3,"stream":4,"chunks":2,"bytes":300000}"#;
    assert_eq!((record.kind, &*record.meta, record.payload), (31, meta, Some(&preview)));
    assert_eq!(record::decode(31, meta, preview), Ok(entry));
}

#[test]
fn records_of_terminations_say_from_where() {
    let cause = ErrorRecord::new("A", "b");
    for (entry, kind, meta) in [
        (Entry::Terminated { source: Source::Api }, 20, r#"{"source":"api"}"#),
        (Entry::Terminated { source: Source::Binding }, 20, r#"{"source":"binding"}"#),
        (
            Entry::RollbackStarted { cause, end: End::Terminated(Source::Api) },
            22,
            r#"{"cause":{"name":"A","message":"b"},"source":"api"}"#,
        ),
    ] {
        let record = record::encode(&entry);
        assert_eq!((record.kind, &*record.meta, record.payload), (kind, meta, None));
        assert_eq!(record::decode(kind, meta, Payload::UNDEFINED), Ok(entry));
    }
}

#[test]
fn a_record_of_an_unknown_kind_is_named() {
    let error = record::decode(250, "", Payload::UNDEFINED).unwrap_err();
    assert!(error.contains("250"), "{error}");
}
