//! The readings of the clock, for the times at which an actor last started and last finished a
//! work.
//!
//! A reading takes as long as a small work. In a row of small works, the clock is therefore
//! read only once in several works. The end of one work counts as the start of the next. The
//! clock is always read at the start and at the end of a row.

use crate::pool::Progress;
use crate::sync::{Duration, Instant};

/// The clock is read again after short works that took this time together. A reading costs
/// about a hundredth of it.
const READING_WORTH: Duration = Duration::from_nanos(2_500);

/// The highest number of works between two readings. If it were higher, the times would be out
/// of date for too long when longer works follow.
const AT_LEAST_EVERY: u128 = 16;

/// One actor's readings of the clock.
#[derive(Debug)]
pub(super) struct Clock {
    /// When the troupe was built. Times count from here.
    built: Instant,
    /// The last reading.
    last: Instant,
    /// The number of works from the last reading to the next.
    every: u32,
    /// The number of works until the next reading.
    left: u32,
    /// Whether the actor has gone idle since its last work.
    rested: bool,
}

impl Clock {
    pub(super) fn new(built: Instant) -> Self {
        Self {
            built,
            last: built,
            every: 1,
            left: 1,
            rested: true,
        }
    }

    /// Returns `true` if the actor has gone idle since its last work.
    pub(super) fn is_rested(&self) -> bool {
        self.rested
    }

    /// Notes that a work starts.
    pub(crate) fn begin(&mut self, progress: &Progress) {
        if self.rested {
            self.read(1);
            self.rested = false;
            progress.stamp_accepted(self.built, self.last);
        } else if self.is_fresh() {
            progress.stamp_accepted(self.built, self.last);
        }
    }

    /// Notes that a work has ended.
    pub(crate) fn end(&mut self, progress: &Progress) {
        self.left -= 1;
        if self.left == 0 {
            let (before, works) = (self.last, self.every);
            self.read(1);
            let took = self.last.saturating_duration_since(before).as_nanos();
            let worth = (READING_WORTH * works).as_nanos() / took.max(1);
            // At most 16: it fits.
            self.every = worth.clamp(1, AT_LEAST_EVERY) as u32;
            self.left = self.every;
            progress.stamp_finished(self.built, self.last);
        }
    }

    /// Notes that the actor goes idle. Returns since when it has had no work.
    pub(crate) fn rest(&mut self, progress: &Progress) -> Instant {
        if self.rested || !self.is_fresh() {
            self.read(1);
        }
        if !self.rested {
            self.rested = true;
            progress.stamp_finished(self.built, self.last);
        }
        self.last
    }

    /// Returns `true` if the last reading was at the end of the last work.
    fn is_fresh(&self) -> bool {
        self.left == self.every
    }

    fn read(&mut self, every: u32) {
        self.last = Instant::now();
        self.every = every;
        self.left = every;
    }
}
