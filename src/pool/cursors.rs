//! The two cursors: where senders put work, and where actors take it.
//!
//! The mailboxes are the segments of one queue. Senders fill the mailbox at the fill cursor.
//! When it is full, they move the cursor to the next mailbox with room. Actors drain the
//! mailbox at the drain cursor. When it is empty, they move the cursor to the next mailbox
//! that holds work, in the same circular order. A cursor only says where to look first. No
//! claim except that of the next section depends on it.
//!
//! # Why work is served nearly in order
//!
//! Claim: at most about `mailbox_size` works for each actor overtake a work, so none waits for
//! ever.
//!
//! Both cursors go round in the same direction, and the fill cursor is ahead. So the mailboxes
//! from the drain cursor to the fill cursor hold older work first, and within a mailbox the
//! order is the channel's.
//!
//! Under constant overload the fill cursor comes round to the mailbox that is being drained,
//! since only there is room. Senders then refill that mailbox, which would never become empty
//! while older work waits in the others. This is why each stay of the fill cursor, a *visit*, has
//! a number. A sender marks a work that it puts into the mailbox that is being drained with the
//! current visit. An actor that takes a work with the mark of a visit that still lasts has taken
//! all older work from there. It moves the drain cursor on, if another mailbox holds work.
//!
//! Some work is taken out of order:
//!
//! - *Work that the drain cursor misses*: a sender may use a mailbox that the cursor has just
//!   left, or set the ready bit too late. Such a work waits until the cursor comes round. In one
//!   round, actors take about `mailbox_size` works from each mailbox, which is the bound of the
//!   claim.
//! - *Work without a mark*: the drain cursor may arrive between a sender's look at it and the
//!   send. That work is not marked, and may be taken too early. Each sender can do this once.
//! - *Hand-offs*: a work that is handed to an idle actor overtakes work in other mailboxes, which
//!   another thread is about to find (`README.md`).
//! - *Retries*: a retry comes before all other work of its actor.
//!
//! With keys, the works at their turn are one more segment of each round.
//!
//! With max 1 there is one mailbox. A hand-off takes the oldest work there first, so the order
//! is exact, except for retries.
//!
//! Attacked by `it::sharing`, `it::order`, the workload `tail` of `benches/compare`.

use crate::sync::atomics::{Padded, SeqCstWord};

/// A stay of the fill cursor at a mailbox. It has the number of the mailbox, and a number of its
/// own that rises with every move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit(u64);

/// The number of a visit is above that of its mailbox, which fits into 16 bits.
const VISIT: u64 = 1 << 16;

impl Visit {
    #[inline]
    pub fn mailbox(self) -> usize {
        (self.0 % VISIT) as usize
    }

    /// Returns the lower 32 bits of the visit's number, for which an envelope has room. An old
    /// mark with the same bits only moves the drain cursor once too early.
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
            // The first visit is not numbered zero, which is the mark of an unmarked work.
            fill: Padded(SeqCstWord::new(VISIT)),
            drain: Padded::default(),
        }
    }

    /// Returns the current visit of the fill cursor.
    #[inline]
    pub fn fill(&self) -> Visit {
        Visit(self.fill.load())
    }

    /// Moves the fill cursor, unless another thread has moved it. Returns the visit that this
    /// move would begin.
    pub fn move_fill(&self, from: Visit, to: usize) -> Visit {
        let next = from.next(to);
        self.fill.replace(from.0, next.0);
        next
    }

    /// Returns the mailbox that actors drain at present.
    #[inline]
    pub fn drain(&self) -> usize {
        // The number fits, since it was a usize when it was stored.
        self.drain.load() as usize
    }

    /// Moves the drain cursor, unless another thread has moved it.
    pub(super) fn move_drain(&self, from: usize, to: usize) {
        if from != to {
            self.drain.replace(from as u64, to as u64);
        }
    }
}
