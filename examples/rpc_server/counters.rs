//! Counts of the calls and the connections, by outcome.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// A number that only grows. Each counter stands for itself, so none orders anything.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// At rest `read` is the sum of all from `ok` to `shutting_down`.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Calls of the one method; each gets one of the verdicts.
    pub(crate) read: Counter,
    /// Those that the pool took.
    pub(crate) accepted: Counter,
    pub(crate) retried: Counter,
    pub(crate) ok: Counter,
    pub(crate) failed: Counter,
    pub(crate) panicked: Counter,
    pub(crate) overloaded: Counter,
    pub(crate) shutting_down: Counter,
    /// Lines that are no such calls.
    pub(crate) bad: Counter,
    /// Answers to either whose connection had gone.
    pub(crate) lost: Counter,
    /// Connections that were served.
    pub(crate) connected: Counter,
    /// Connections that found no room, or no thread.
    pub(crate) turned_away: Counter,
    /// How often none could be accepted: most likely there was no file left.
    pub(crate) accept_errors: Counter,
    /// Connections that were cut off because the client took nothing.
    pub(crate) cut: Counter,
}

/// The same, read one after the other: they add up at rest, not under load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Counts {
    pub(crate) read: u64,
    pub(crate) accepted: u64,
    pub(crate) retried: u64,
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    pub(crate) panicked: u64,
    pub(crate) overloaded: u64,
    pub(crate) shutting_down: u64,
    pub(crate) bad: u64,
    pub(crate) lost: u64,
    pub(crate) connected: u64,
    pub(crate) turned_away: u64,
    pub(crate) accept_errors: u64,
    pub(crate) cut: u64,
}

impl Counters {
    pub(crate) fn get(&self) -> Counts {
        Counts {
            read: self.read.get(),
            accepted: self.accepted.get(),
            retried: self.retried.get(),
            ok: self.ok.get(),
            failed: self.failed.get(),
            panicked: self.panicked.get(),
            overloaded: self.overloaded.get(),
            shutting_down: self.shutting_down.get(),
            bad: self.bad.get(),
            lost: self.lost.get(),
            connected: self.connected.get(),
            turned_away: self.turned_away.get(),
            accept_errors: self.accept_errors.get(),
            cut: self.cut.get(),
        }
    }
}
