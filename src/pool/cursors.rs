//! The two cursors: where senders put work, and where actors take it.
//!
//! The mailboxes are the segments of one queue. Senders fill the mailbox at the fill cursor.
//! When it is full, they move the cursor to the next mailbox with room. Actors drain the
//! mailbox at the drain cursor. When it is empty, they move the cursor to the next mailbox
//! that holds work, in the same circular order. A cursor only says where to look first: no
//! claim but the one about order rests on it.
//!
//! If the only room is in the mailbox that is being drained, senders fill that mailbox again
//! behind the last old work. It would never be empty while older works wait elsewhere. So the
//! fill cursor carries the number of its visit. A sender that puts a work into the mailbox that
//! is being drained marks the work with the visit. An actor that takes a work of a visit that
//! still lasts moves the drain cursor on: all that is left there is younger than what waits
//! elsewhere.
//!
//! # Order
//!
//! Claim: a work is overtaken by about `mailbox_size` others for each actor at most, and none
//! waits for ever.
//!
//! Works behind the drain cursor are younger than works before it.
//!
//! No other claim rests on the cursors. An old mark whose number has come round moves the
//! drain cursor once too early.
//!
//! With max 1 there is one queue. A hand-off takes the oldest work there first, and a retry
//! goes before all.
//!
//! Attacked by `it::sharing`, `it::order`, the workload `tail` of `benches/compare`.

use crate::sync::atomics::{Padded, SeqCstWord};

/// A stay of the fill cursor at a mailbox: the mailbox, and the number of the visit, which
/// rises with every move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit(u64);

/// A mailbox's number takes the lower bits: there are at most 32,767 actors.
const VISIT: u64 = 1 << 16;

impl Visit {
    #[inline]
    pub fn mailbox(self) -> usize {
        (self.0 % VISIT) as usize
    }

    /// The number of the visit, cut to what an envelope has room for. An old mark that happens
    /// to be the same moves the drain cursor once too early, no more.
    #[inline]
    pub fn mark(self) -> u32 {
        (self.0 / VISIT) as u32
    }

    fn next(self, mailbox: usize) -> Self {
        Self((self.0 / VISIT).wrapping_add(1).wrapping_mul(VISIT) + mailbox as u64)
    }
}

/// The fill cursor and the drain cursor.
#[derive(Debug)]
pub struct Cursors {
    fill: Padded<SeqCstWord>,
    drain: Padded<SeqCstWord>,
}

impl Cursors {
    pub(super) fn new() -> Self {
        Self {
            // Zero is no visit's mark.
            fill: Padded(SeqCstWord::new(VISIT)),
            drain: Padded::default(),
        }
    }

    /// The mailbox that senders fill at present, and the number of this visit.
    #[inline]
    pub fn fill(&self) -> Visit {
        Visit(self.fill.load())
    }

    /// Moves the fill cursor, unless another thread has done so. Returns the visit that this
    /// begins.
    pub fn move_fill(&self, from: Visit, to: usize) -> Visit {
        let next = from.next(to);
        self.fill.replace(from.0, next.0);
        next
    }

    /// The mailbox that actors drain at present.
    #[inline]
    pub fn drain(&self) -> usize {
        // Slot numbers fit: they are written here as usize.
        self.drain.load() as usize
    }

    /// Moves the drain cursor, unless another thread has done so.
    pub(super) fn move_drain(&self, from: usize, to: usize) {
        if from != to {
            self.drain.replace(from as u64, to as u64);
        }
    }
}
