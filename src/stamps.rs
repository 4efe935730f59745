//! When an actor reads the clock, to tell when it last began and last finished
//! a work.
//!
//! A reading takes as long as a small work. So in a row of small works the
//! clock is read once in several, and the end of one work is taken for the
//! begin of the next. Where a row begins and where it ends it is always read.

use crate::slot::Told;
use crate::sync::{Duration, Instant};

/// The clock is read once in so much time of works that are shorter: then a
/// reading costs a hundredth of it.
const READING_WORTH: Duration = Duration::from_nanos(2_500);

/// And once in so many works at least: more would leave the stamps behind for
/// too long when longer works follow.
const AT_LEAST_EVERY: u128 = 16;

/// One actor's readings of the clock.
#[derive(Debug)]
pub(crate) struct Stamps {
    /// Of the troupe; stamps count from here.
    birth: Instant,
    /// The last reading.
    last: Instant,
    /// It is read once in so many works,
    every: u32,
    /// and after so many more.
    left: u32,
    /// Has the actor rested since its last work?
    rested: bool,
}

impl Stamps {
    pub(crate) fn new(birth: Instant) -> Self {
        Self {
            birth,
            last: birth,
            every: 1,
            left: 1,
            rested: true,
        }
    }

    /// Has the actor rested since its last work?
    pub(crate) fn is_rested(&self) -> bool {
        self.rested
    }

    /// A work begins.
    pub(crate) fn begin(&mut self, told: &Told) {
        if self.rested {
            self.read(1);
            self.rested = false;
            told.stamp_accepted(self.birth, self.last);
        } else if self.is_fresh() {
            told.stamp_accepted(self.birth, self.last);
        }
    }

    /// A work has ended.
    pub(crate) fn end(&mut self, told: &Told) {
        self.left -= 1;
        if self.left == 0 {
            let (before, works) = (self.last, self.every);
            self.read(1);
            let took = self.last.saturating_duration_since(before).as_nanos();
            let worth = (READING_WORTH * works).as_nanos() / took.max(1);
            // At most 16: it fits.
            self.every = worth.clamp(1, AT_LEAST_EVERY) as u32;
            self.left = self.every;
            told.stamp_finished(self.birth, self.last);
        }
    }

    /// The actor has nothing to do. Returns since when.
    pub(crate) fn rest(&mut self, told: &Told) -> Instant {
        if self.rested || !self.is_fresh() {
            self.read(1);
        }
        if !self.rested {
            self.rested = true;
            told.stamp_finished(self.birth, self.last);
        }
        self.last
    }

    /// Was the last reading at the end of the last work?
    fn is_fresh(&self) -> bool {
        self.left == self.every
    }

    fn read(&mut self, every: u32) {
        self.last = Instant::now();
        self.every = every;
        self.left = every;
    }
}
