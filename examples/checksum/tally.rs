//! The outcomes of the files.

use troupe_pool::Stats;

use crate::{hash::Sum, ordered::Outcome};

/// The result of a job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hashed {
    Sum(Sum),
    /// It does not exist, which is no error here.
    Missing,
}

/// Counted by the main thread as it takes the results. The troupe counts works that failed or
/// panicked.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Files whose work did not end, or panicked.
    pub(crate) undone: u64,
    pub(crate) skipped: u64,
    /// Faults that the troupe does not see: directories that cannot be listed, digests that do not
    /// match, faulty lists.
    pub(crate) faults: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, outcome: &Outcome<Hashed>) {
        match outcome {
            Outcome::Done(Hashed::Sum(Sum { bytes, .. })) => {
                self.files += 1;
                self.bytes += bytes;
            }
            Outcome::Done(Hashed::Missing) | Outcome::Failed => {}
            Outcome::NotDone => self.undone += 1,
        }
    }

    pub(crate) fn errors(&self, stats: &Stats) -> u64 {
        self.faults + stats.failed + stats.panicked
    }

    /// The files that nobody got to, or got to the end of. A panic is an error instead.
    pub(crate) fn left(&self, stats: &Stats) -> u64 {
        self.undone.saturating_sub(stats.panicked)
    }
}
