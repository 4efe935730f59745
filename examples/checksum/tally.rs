//! The outcomes of the files.

use troupe_pool::Stats;

use crate::hash::Sum;

/// The feeder counts what it sees; how many works failed, the troupe has counted already.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Files that came back without a sum: failed, panicked or left.
    pub(crate) undone: u64,
    pub(crate) skipped: u64,
    /// Faults that the troupe does not see: unlisted directories, digests that do not match.
    pub(crate) faults: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, sum: Option<&Sum>) {
        match sum {
            Some(sum) => {
                self.files += 1;
                self.bytes += sum.bytes;
            }
            None => self.undone += 1,
        }
    }

    pub(crate) fn errors(&self, stats: &Stats) -> u64 {
        self.faults + stats.failed + stats.panicked
    }

    /// The files that nobody got to. Exact once the troupe is joined: it runs each work once or
    /// gives it back, and counts the failures among them.
    pub(crate) fn left(&self, stats: &Stats) -> u64 {
        self.undone.saturating_sub(stats.failed + stats.panicked)
    }
}
