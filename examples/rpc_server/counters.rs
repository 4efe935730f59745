//! Counts of the calls and the connections, by outcome.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Serialize, Serializer};

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

impl Serialize for Counter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.get())
    }
}

/// Each is read for itself, so they add up at rest, not under load. At rest `read` is the sum of all
/// from `ok` to `shutting_down`.
#[derive(Debug, Default, Serialize)]
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
    /// Values that are no such calls, and what is no value.
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
