//! Senders that wait for room.
//!
//! A waiting sender notes the generation, tries to assign, and sleeps only while the generation
//! is still the same. A thread that makes room raises it. No lock is held during the try, so
//! the two sides never wait for each other.

use super::counts::CountsWord;
use crate::sync::{Condvar, Instant, Mutex, Wake};

/// The senders that wait for room.
#[derive(Debug, Default)]
pub struct Waiters {
    line: Mutex<Line>,
    room: Condvar,
    /// For senders of keyed works. They wait for room, for a key or for a place in line, so each
    /// of these wakes them all, and takes no call from the others.
    room_or_key: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    generation: u64,
    waiting: usize,
}

impl Waiters {
    /// Begins to wait. From now on, a thread that makes room wakes a sender.
    pub fn enter(&self, counts: &CountsWord) {
        let mut line = self.line.lock();
        line.waiting += 1;
        if line.waiting == 1 {
            counts.somebody_waits();
        }
    }

    /// Ends waiting. A sender that does not leave with `Full` wakes the next. There may be more
    /// room than there were wake-ups, or a reason for all to leave.
    pub fn leave(&self, counts: &CountsWord, with_full: bool) {
        let mut line = self.line.lock();
        line.waiting -= 1;
        if line.waiting == 0 {
            counts.nobody_waits();
        } else if !with_full {
            line.generation += 1;
            self.room.notify_one();
            self.room_or_key.notify_all();
        }
    }

    pub fn generation(&self) -> u64 {
        self.line.lock().generation
    }

    /// Sleeps while the generation is still `noted`, at most until `deadline`.
    pub fn sleep(&self, noted: u64, deadline: Option<Instant>, keyed: bool) -> Wake {
        let event = if keyed { &self.room_or_key } else { &self.room };
        let mut line = self.line.lock();
        while line.generation == noted {
            if event.wait(&mut line, deadline) == Wake::TimedOut {
                return Wake::TimedOut;
            }
        }
        Wake::Called
    }

    /// Wakes one sender, because there is room.
    pub fn wake_one(&self) {
        self.line.lock().generation += 1;
        self.room.notify_one();
        self.room_or_key.notify_all();
    }

    /// A key is free, or a place in line.
    pub fn wake_keyed(&self) {
        self.line.lock().generation += 1;
        self.room_or_key.notify_all();
    }

    /// Wakes every sender.
    pub fn wake_all(&self) {
        self.line.lock().generation += 1;
        self.room.notify_all();
        self.room_or_key.notify_all();
    }
}

#[cfg(all(test, not(any(troupe_shuttle, troupe_loom))))]
mod tests {
    use super::Waiters;
    use crate::pool::counts::CountsWord;

    #[test]
    fn the_flag_stays_until_the_last_leaves() {
        let (waiters, counts) = (Waiters::default(), CountsWord::default());
        for _ in 0..2 {
            waiters.enter(&counts);
            waiters.enter(&counts);
            waiters.leave(&counts, true);
            assert!(counts.load().is_waited_for());
            waiters.leave(&counts, false);
            assert!(!counts.load().is_waited_for());
        }
    }

    #[test]
    fn a_sender_that_leaves_without_full_wakes_the_next() {
        let (waiters, counts) = (Waiters::default(), CountsWord::default());
        for _ in 0..4 {
            waiters.enter(&counts);
        }
        let noted = waiters.generation();
        waiters.leave(&counts, true);
        assert_eq!(waiters.generation(), noted);
        waiters.leave(&counts, false);
        let called = waiters.generation();
        assert_ne!(called, noted);
        waiters.leave(&counts, false);
        assert!(waiters.generation() != called && waiters.generation() != noted);
        let called = waiters.generation();
        waiters.wake_one();
        assert_ne!(waiters.generation(), called);
        let called = waiters.generation();
        waiters.wake_all();
        assert_ne!(waiters.generation(), called);
    }
}
