//! The live run of an instance: which it is, and how far it is on its way out. Nothing of it is recorded; it is lost with the
//! process, and another one takes its place.

use super::open_call::DoState;
use super::{Instance, OpenCall};
use crate::{CallId, Millis, RunId, SessionId};

/// A live run: known to this process only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Where it runs.
    pub session: SessionId,
    /// Whether it has been told to go.
    pub leaving: Leaving,
    /// It has a place: attempts may start and calls may settle.
    pub has_place: bool,
    /// It has rollback handlers at hand and nothing else to do.
    pub undoes: bool,
    /// When it last said anything.
    pub touched_at: Millis,
    /// How often it was told to start no attempts.
    pub stops: u32,
    /// It has left its recorded course, perhaps for good.
    pub ahead: bool,
}

/// Whether a run has been told to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It stays.
    No,
    /// Asked to go, if it has no timers of its own.
    Asked {
        /// Something has been recorded since that its code has not seen.
        news: bool,
    },
    /// Told to go, whatever it is doing.
    Told,
}

impl Instance {
    /// Something is recorded that the code has not seen.
    pub(super) fn note_news(&mut self) {
        self.parked = false;
        if let Some(Run { leaving: Leaving::Asked { news }, .. }) = &mut self.run {
            *news = true;
        }
    }

    /// The live run, if any.
    #[must_use]
    pub fn run(&self) -> Option<Run> {
        self.run
    }

    /// A run starts in a session.
    pub fn attach(&mut self, id: RunId, session: SessionId, now: Millis) {
        let (leaving, undoes, stops, ahead) = (Leaving::No, false, 0, false);
        self.run = Some(Run { id, session, leaving, has_place: true, undoes, touched_at: now, stops, ahead });
        self.parked = false;
    }

    /// The run is gone; attempts that were in flight are to be repeated.
    pub fn detach(&mut self) {
        self.run = None;
        self.interrupt_attempts();
    }

    /// The run that has just gone had seen everything: no other is needed before something happens.
    pub fn park(&mut self) {
        self.parked = true;
    }

    /// The run, which begins with a place, has lost it or got it again.
    pub fn mark_place(&mut self, has_place: bool) {
        if let Some(run) = &mut self.run {
            run.has_place = has_place;
        }
    }

    /// The run said something.
    pub fn touch(&mut self, now: Millis) {
        if let Some(run) = &mut self.run {
            run.touched_at = now;
        }
    }

    /// The run has been told to start no attempts.
    pub fn mark_stopped(&mut self) {
        if let Some(run) = &mut self.run {
            run.stops += 1;
        }
    }

    /// The run makes new calls before it has made all that are recorded.
    pub fn mark_ahead(&mut self) {
        if let Some(run) = &mut self.run {
            run.ahead = true;
        }
    }

    /// The run has been told to go.
    pub fn mark_leaving(&mut self, force: bool) {
        if let Some(run) = &mut self.run {
            run.leaving = if force { Leaving::Told } else { Leaving::Asked { news: false } };
        }
    }

    /// The run, which was only asked to go, stays.
    pub fn mark_staying(&mut self) {
        if let Some(run) = &mut self.run
            && run.leaving != Leaving::Told
        {
            run.leaving = Leaving::No;
        }
    }

    /// The run has rollback handlers at hand.
    pub fn mark_undoing(&mut self) {
        if let Some(run) = &mut self.run {
            run.undoes = true;
        }
    }

    /// The retry delay of a call, or of its handler, has passed.
    pub fn mark_ready(&mut self, call: CallId) {
        if self.rollback.is_some() {
            self.mark_handler_ready();
            self.note_news();
        } else if let Some(OpenCall::Do { state, .. }) = self.open.get_mut(&call) {
            *state = DoState::Ready;
            self.note_news();
        }
    }

    /// An attempt that may start has been granted to the live run.
    pub fn mark_granted(&mut self, call: CallId) {
        if let Some(OpenCall::Do { state, .. }) = self.open.get_mut(&call)
            && !matches!(state, DoState::InFlight { .. })
        {
            *state = DoState::Granted;
        }
    }

    pub(super) fn interrupt_attempts(&mut self) {
        self.open.values_mut().for_each(OpenCall::interrupt);
        self.interrupt_handler();
    }
}
