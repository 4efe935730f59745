//! The answers of one connection, from when each is known until it has been written.
//!
//! A value is read only when there is a *place* for its answer, which is given back when that has
//! been written. So the outbox never holds more answers than there are places, putting an answer
//! there waits for nobody, and a client that does not read its answers is soon not read either.
//!
//! A call holds this, and not its connection: once it is known that a client has gone, no file is
//! kept open for it, however long its calls still run. A reset says so at once. A close does not:
//! it looks like that of a client that only calls no more, until an answer is written.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use crate::{counters::Counters, wire::Answer};

/// The part of the server that connections and calls see.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) counters: Counters,
    is_stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    pub(crate) fn begin_to_stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }
}

#[derive(Debug)]
pub(crate) struct Outbox {
    shared: Arc<Shared>,
    places: usize,
    state: Mutex<State>,
    /// A place has come free, or nothing more will be read.
    room: Condvar,
    /// There is an answer, or the end has come nearer.
    news: Condvar,
}

#[derive(Debug)]
struct State {
    /// Answers that wait to be written, one after the other.
    bytes: Vec<u8>,
    /// How many these are.
    waiting: usize,
    /// Answers that are being written.
    writing: usize,
    /// Of both, those that count if the time is up before they are written.
    owed: usize,
    /// Places taken.
    in_flight: usize,
    phase: Phase,
    /// The reader has left.
    has_left: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Open,
    /// Nothing more is a call; what has been taken for one will be answered.
    Ending,
    /// Nothing more can be written.
    Gone,
}

impl Outbox {
    pub(crate) fn new(shared: Arc<Shared>, places: usize) -> Self {
        Outbox {
            shared,
            places,
            state: Mutex::new(State {
                bytes: Vec::new(),
                waiting: 0,
                writing: 0,
                owed: 0,
                in_flight: 0,
                phase: Phase::Open,
                has_left: false,
            }),
            room: Condvar::new(),
            news: Condvar::new(),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Waits until there is a place. False if nothing more is to be read.
    pub(crate) fn wait_for_place(&self) -> bool {
        let mut state = self.state.lock();
        while state.in_flight >= self.places && state.phase == Phase::Open {
            self.room.wait(&mut state);
        }
        state.phase == Phase::Open
    }

    /// Takes the place for what has been read: only one thread reads, so it is still there. False
    /// if no answer is due, because the end of calls has come first.
    pub(crate) fn take_place(&self) -> bool {
        let mut state = self.state.lock();
        let is_open = state.phase == Phase::Open;
        state.in_flight += usize::from(is_open);
        is_open
    }

    /// Puts the answer for a taken place here. Waits for nobody.
    pub(crate) fn answer(&self, answer: &Answer<impl Serialize, impl Serialize, impl Serialize>) {
        let mut state = self.state.lock();
        if state.phase == Phase::Gone {
            drop(state);
            self.shared.counters.lost.add(1);
            return;
        }
        serde_json::to_writer(&mut state.bytes, answer).expect("plain types, into a vector");
        state.bytes.push(b'\n');
        state.waiting += 1;
        let is_first = state.waiting == 1;
        drop(state);
        if is_first {
            self.news.notify_one();
        }
    }

    /// Marks the end of the calls: the writer closes when all others are answered.
    pub(crate) fn end_of_calls(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Ending;
        }
        drop(state);
        self.room.notify_one();
        self.news.notify_one();
    }

    /// The reader leaves: the client has closed, or the connection has gone.
    pub(crate) fn leave(&self) {
        self.state.lock().has_left = true;
        self.news.notify_one();
    }

    /// Waits until the reader has left; false if that takes longer.
    pub(crate) fn wait_for_leave(&self, patience: Duration) -> bool {
        let mut state = self.state.lock();
        let is_there = |state: &mut State| !state.has_left;
        self.news.wait_while_for(&mut state, is_there, patience);
        state.has_left
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.state.lock().phase == Phase::Gone
    }

    /// Waits for answers and swaps `batch`, an empty one, with them. False if there are none and no
    /// more can come.
    pub(crate) fn next_batch(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.state.lock();
        while state.waiting == 0 {
            match state.phase {
                Phase::Gone => return false,
                Phase::Ending if state.in_flight == 0 => return false,
                Phase::Ending | Phase::Open => self.news.wait(&mut state),
            }
        }
        mem::swap(&mut state.bytes, batch);
        state.writing = mem::take(&mut state.waiting);
        true
    }

    /// The batch has been written: its places are free.
    pub(crate) fn batch_is_written(&self) {
        let mut state = self.state.lock();
        let was_full = state.in_flight >= self.places;
        let written = mem::take(&mut state.writing);
        state.in_flight -= written;
        state.owed = state.owed.saturating_sub(written);
        drop(state);
        if was_full {
            self.room.notify_one();
        }
    }

    /// Notes that the answers so far are owed to the client, and that answers to later calls are not.
    pub(crate) fn note_what_is_owed(&self) {
        let mut state = self.state.lock();
        state.owed = state.waiting + state.writing;
    }

    pub(crate) fn owed(&self) -> usize {
        self.state.lock().owed
    }

    /// Nothing more can be written: what is not written is lost.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Gone;
        let bytes = mem::take(&mut state.bytes);
        let lost = mem::take(&mut state.waiting) + mem::take(&mut state.writing);
        drop(state);
        drop(bytes);
        self.shared.counters.lost.add(lost as u64);
        self.room.notify_one();
        self.news.notify_one();
    }
}
