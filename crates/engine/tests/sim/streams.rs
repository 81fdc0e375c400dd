//! Results in streams: a worker asks by the side of its session, the store keeps what an entry names, and what an attempt
//! has left is dropped. Bytes are not simulated, only that a stream is there.

use std::collections::{BTreeMap, BTreeSet};

use stepwell_engine::{
    Batch, CallId, Entry, Input, InstanceKey, Outcome, Recorded, RunId, SessionId, StreamId, StreamPlace,
};

use super::mutant::Mutant;
use super::store::Row;
use super::worker::Word;
use super::world::{Event, FAULTS_MS, World};

/// How long a worker's question waits for the word that its attempt has begun.
const BEGINNING_MS: i64 = 5_000;

/// An attempt that writes a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writer {
    pub session: SessionId,
    pub run: RunId,
    pub call: CallId,
    pub attempt: u32,
    /// When it asked.
    pub at: i64,
}

/// What is durable of streams.
#[derive(Debug, Default)]
pub struct Streams {
    /// Whose each is, and whether an entry names it.
    all: BTreeMap<StreamId, (InstanceKey, bool)>,
    next: u64,
}

impl Streams {
    fn begin(&mut self, key: InstanceKey) -> StreamId {
        self.next += 1;
        self.all.insert(StreamId(self.next), (key, false));
        StreamId(self.next)
    }

    fn is_kept(&self, key: InstanceKey, id: StreamId) -> bool {
        self.all.get(&id) == Some(&(key, true))
    }

    /// What a batch that becomes durable says of streams.
    ///
    /// # Errors
    /// It names a stream that is not there, or drops one that is named.
    pub fn apply(&mut self, batch: &Batch, rows: &BTreeMap<InstanceKey, Row>) -> Result<(), String> {
        for write in &batch.writes {
            for id in named(&write.entries) {
                match self.all.get_mut(&id) {
                    Some((key, kept)) if *key == write.key => *kept = true,
                    other => return Err(format!("{} names stream {id}, which is {other:?}", write.key)),
                }
            }
        }
        for again in &batch.restarts {
            let carried: BTreeSet<StreamId> =
                rows.get(&again.new).map_or_else(BTreeSet::new, |row| named(&row.entries));
            // One may be named only now, by an entry that is written with the restart.
            let own = self.all.iter_mut().filter(|(id, (key, _))| *key == again.old && carried.contains(id));
            own.for_each(|(_, place)| *place = (again.new, true));
            self.forget(again.old);
        }
        batch.deletions.iter().chain(&batch.expirations).for_each(|key| self.forget(*key));
        for id in &batch.dropped_streams {
            if let Some((key, true)) = self.all.remove(id) {
                return Err(format!("stream {id}, which {key} names, is dropped"));
            }
        }
        Ok(())
    }

    fn forget(&mut self, gone: InstanceKey) {
        self.all.retain(|_, (key, _)| *key != gone);
    }

    /// A store that is opened again drops what nobody has named: no attempt survives its server.
    pub fn reopen(&mut self) {
        self.all.retain(|_, (_, kept)| *kept);
    }
}

/// Streams that entries name.
fn named(entries: &[Recorded]) -> BTreeSet<StreamId> {
    let named = entries.iter().filter_map(|recorded| match &recorded.entry {
        Entry::Settled { outcome: Outcome::Streamed { stream, .. }, .. } => Some(stream.id),
        _ => None,
    });
    named.collect()
}

impl World {
    /// A worker's question arrives; its process may be gone by now.
    pub fn stream_asked(&mut self, writer: Writer) {
        let Some(engine) = &self.engine else { return };
        match engine.stream_place(writer.run, writer.call, writer.attempt) {
            StreamPlace::Open(key) => {
                let slow = self.now < FAULTS_MS && self.rng.chance(10);
                let ms = if slow { self.rng.between(50, 3_000) } else { self.rng.between(0, 4) };
                self.streams_under_way += 1;
                self.after(ms, Event::StreamBegun(writer, key));
            }
            StreamPlace::NotYet if writer.at + BEGINNING_MS > self.now => self.after(2, Event::StreamAsked(writer)),
            StreamPlace::NotYet | StreamPlace::Over => self.give_stream(writer, None),
        }
    }

    /// The store has it; the engine is told.
    pub fn stream_begun(&mut self, writer: Writer, key: InstanceKey) {
        if !self.store.rows.contains_key(&key) {
            self.streams_under_way -= 1;
            return self.give_stream(writer, None);
        }
        let id = self.store.streams.begin(key);
        let ms = self.rng.between(0, 3);
        self.after(ms, Event::StreamOpened(writer, id));
    }

    pub fn stream_opened(&mut self, writer: Writer, id: StreamId) {
        self.streams_under_way -= 1;
        let Writer { run, call, attempt, .. } = writer;
        let Some(engine) = &self.engine else { return };
        let is_over = !matches!(engine.stream_place(run, call, attempt), StreamPlace::Open(_));
        if !(is_over && self.mutant == Some(Mutant::ForgottenStream)) {
            self.input(Input::StreamOpened(run, call, attempt, id));
        }
        let writes = self.engine.as_ref().is_some_and(|engine| engine.is_writing(run, call, attempt, id));
        self.give_stream(writer, writes.then_some(id));
    }

    fn give_stream(&mut self, writer: Writer, id: Option<StreamId>) {
        self.send(writer.session, Word::Stream(writer, id));
    }

    /// The streams that the history of a run names can be read.
    pub fn check_readable(&mut self, key: InstanceKey, history: &[Recorded]) {
        for id in named(history) {
            let is_there = self.store.streams.is_kept(key, id);
            self.checker.require(is_there, || format!("{key} is started with stream {id}, which is not there"));
        }
    }

    /// Every stream that is left belongs to an entry.
    pub fn check_streams(&mut self) {
        for (id, (key, _)) in &self.store.streams.all {
            let is_named = self.store.rows.get(key).is_some_and(|row| named(&row.entries).contains(id));
            self.checker.require(is_named, || format!("stream {id} of {key} is left, and nothing names it"));
        }
    }
}
