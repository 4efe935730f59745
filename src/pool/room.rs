//! The mailboxes that have room. Each has a gate, which knows whether the mailbox is full, and
//! a bit, which says that the gate may be open.
//!
//! | gate | meaning | left by |
//! |---|---|---|
//! | open | nothing is known | a sender that finds the mailbox full (to checking), `close` |
//! | checking | a sender is about to look again | a sender (to full), a take (to open), `close` |
//! | full | the mailbox is full, and counted as full | a take or `close` (to reopening) |
//! | reopening | the mailbox is being uncounted | the same thread (to open) |
//! | closed | the slot is vacant, and not sent to | `open`, for a new actor |
//!
//! The number in the upper bits rises with every step to open or to closed, so an exchange from
//! an old check fails.
//!
//! # Why `Full` is exact
//!
//! Claim: if `Full` is returned, there was an instant during the call at which the troupe was
//! full. No actor was idle, every mailbox was full, and the troupe was at max or had just been
//! refused a thread.
//!
//! The counts word counts the mailboxes that are known to be full. `Full` is returned on one
//! load with idle = 0, full = live (if there are mailboxes), and live = max (unless a thread has
//! just been refused). It remains to show that a mailbox with room is not counted. A place is
//! free once the thread that took its work has opened the gate, which it does before the work
//! begins.
//!
//! A gate goes round: open, checking, full, reopening, open. A sender that finds a mailbox full
//! begins a check and looks again. If the mailbox is still full, the sender moves the gate from
//! *that* check, which its number identifies, to full, and then counts the mailbox. A thread
//! that has taken a work looks at the gate. It undoes a check. It moves a full gate to
//! reopening, uncounts the mailbox, and then opens the gate. While another thread is reopening
//! the gate, it waits.
//!
//! - *A take between the sender's try and the check*: the sender's second look sees the room.
//! - *A take between that look and the exchange*: the take has undone the check, and the
//!   exchange fails.
//! - *The sender is held up between its exchange and its count*: a take uncounts the mailbox
//!   first. The count is then too low for a while, and never too high. It is the topmost field
//!   of the word, so a count below zero touches no other field.
//! - *An idle actor takes from a full mailbox*: it takes, then opens the gate, then leaves the
//!   stack.
//! - *A new actor* counts as live from its reservation. Its gate opens once its thread exists
//!   and its work has been handed over or is running. If it was started without a work, its
//!   gate opens after it counts as idle, or before `on_start` runs, as that of a busy actor.
//!   Before that, a sender that finds no room does not
//!   return `Full`. It waits until the growth has ended, and looks again until the gate is open.
//! - *A retiring actor that turns back* counts neither as idle nor as live for a few
//!   instructions. Below max, after a refused thread, `Full` is therefore returned only if the
//!   word is the same once more under the lock. The actor counts as idle again before its gate
//!   opens.
//!
//! Attacked by `shuttle::full_is_exact`, `shuttle::full_is_never_said_too_early`,
//! `shuttle::three_begun_are_three_places`, `shuttle::a_freed_place_is_seen`,
//! `loom::full_counts_no_mailbox_with_room`, `loom::a_full_mailbox_is_counted_once`,
//! `loom::a_gate_is_closed_against_a_take`, `loom::full_is_exact_while_an_actor_turns_back`,
//! `it::race::two_assigners_and_one_place`, `it::race::full_is_never_said_too_early`,
//! `it::assign::the_bound_is_exact_while_actors_wake`.

use super::bits::Bits;
use super::counts::{Counts, CountsWord};
use super::slot::Slot;
use crate::sync::Backoff;
use crate::sync::atomics::SeqCstWord;

const OPEN: u64 = 0;
const CHECKING: u64 = 1;
const FULL: u64 = 2;
const REOPENING: u64 = 3;
const CLOSED: u64 = 4;

/// The states take three bits, and the number is above them.
const STATES: u64 = 7;
const NEXT: u64 = 8;

/// The gate of one mailbox, and the generation of its slot. At first it is closed.
#[derive(Debug)]
pub struct Gate {
    word: SeqCstWord,
    generation: SeqCstWord,
}

/// A number that changes whenever the gate is opened for an actor or closed behind one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u64);

impl Generation {
    /// Returns `true` if the slot has no actor.
    #[inline]
    pub fn is_vacant(self) -> bool {
        self.0 % 2 == 1
    }
}

/// A check that a sender has begun, or found begun.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Check(u64);

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            word: SeqCstWord::new(CLOSED),
            generation: SeqCstWord::new(1),
        }
    }

    #[inline]
    pub fn generation(&self) -> Generation {
        Generation(self.generation.load())
    }

    /// Returns `true` if the gate is not open, so a take has to deal with it.
    #[inline]
    pub(super) fn is_shut(&self) -> bool {
        self.word.load() & STATES != OPEN
    }

    /// Returns `true` if the gate is open or being checked, so a send is worth trying.
    #[inline]
    pub fn may_have_room(&self) -> bool {
        matches!(self.word.load() & STATES, OPEN | CHECKING)
    }

    /// Begins a check of an open gate, or joins one that has begun. Returns `None` if the gate
    /// is in another state, in which there is nothing to check.
    pub fn check(&self) -> Option<Check> {
        loop {
            let now = self.word.load();
            match now & STATES {
                CHECKING => return Some(Check(now)),
                OPEN if self.word.replace(now, now + CHECKING) => {
                    return Some(Check(now + CHECKING));
                }
                OPEN => {}
                _ => return None,
            }
        }
    }

    /// Makes the gate full and counts its mailbox, which must have been full after the check
    /// began. Returns `false` if the check is void, because a work was taken or another sender
    /// has counted the mailbox.
    pub(super) fn mark_full(&self, check: Check, counts: &CountsWord) -> bool {
        let full = self.word.replace(check.0, check.0 - CHECKING + FULL);
        if full {
            counts.count_full();
        }
        full
    }

    /// Undoes a check or a full gate after a take. Returns the counts from before the mailbox
    /// was uncounted, if this call did that.
    pub(super) fn on_take(&self, counts: &CountsWord) -> Option<Counts> {
        let mut backoff = Backoff::default();
        loop {
            let now = self.word.load();
            let open = (now & !STATES) + NEXT + OPEN;
            match now & STATES {
                CHECKING if self.word.replace(now, open) => return None,
                FULL if self.word.replace(now, (now & !STATES) + REOPENING) => {
                    let before = counts.uncount_full();
                    self.word.store(open);
                    return Some(before);
                }
                CHECKING | FULL => {}
                // Another thread is uncounting the mailbox. The place of this take is not free
                // before that is done.
                REOPENING => backoff.snooze(),
                _ => return None,
            }
        }
    }

    /// Closes a gate that is not closed, so its slot is vacant. Must be called under the pool's
    /// lock.
    pub(super) fn close(&self, counts: &CountsWord) {
        self.generation.add(1);
        let mut backoff = Backoff::default();
        loop {
            let now = self.word.load();
            match now & STATES {
                REOPENING => backoff.snooze(),
                FULL => {
                    self.on_take(counts);
                }
                _ if self.word.replace(now, (now & !STATES) + NEXT + CLOSED) => return,
                _ => {}
            }
        }
    }

    /// Opens a closed gate, so its slot has an actor. Must be called under the pool's lock.
    pub(super) fn open(&self) {
        self.generation.add(1);
        // Only this call leaves the closed state.
        self.word.store((self.word.load() & !STATES) + NEXT + OPEN);
    }
}

/// A bit for each mailbox that may have room. No claim depends on the bits.
#[derive(Debug)]
pub struct Room {
    with_room: Bits,
}

impl Room {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            with_room: Bits::new(slots),
        }
    }

    /// Opens the gate of a slot for a new actor.
    pub(super) fn open(&self, id: usize, gate: &Gate) {
        gate.open();
        self.with_room.set(id);
    }

    /// Closes the gate of a slot whose actor leaves.
    pub(super) fn close(&self, id: usize, gate: &Gate, counts: &CountsWord) {
        gate.close(counts);
        self.with_room.clear(id);
    }

    /// Undoes a check or a full gate after a take. Returns the counts from before the mailbox
    /// was uncounted, if this call did that.
    pub fn on_take(&self, id: usize, gate: &Gate, counts: &CountsWord) -> Option<Counts> {
        let before = gate.on_take(counts)?;
        self.with_room.set(id);
        Some(before)
    }

    /// Checks a mailbox that was full a moment ago. Returns `true` if it is known to be full, or
    /// its slot is vacant. Returns `false` if it may have room again.
    pub fn verify_full<E>(&self, id: usize, slot: &Slot<E>, counts: &CountsWord) -> bool {
        // The generation changes first, so the gate of a vacant slot may still be open.
        if slot.gate.generation().is_vacant() {
            return true;
        }
        let Some(check) = slot.gate.check() else {
            return true;
        };
        // Cleared before the gate can become full, since the take that reopens it sets the bit.
        self.with_room.clear(id);
        let certain = slot.mailbox.is_full() && slot.gate.mark_full(check, counts);
        if !certain {
            self.with_room.set(id);
        }
        certain
    }

    /// Returns the next mailbox after `full` for which `may_have_room` returns `true`.
    pub(super) fn find(
        &self,
        full: usize,
        counts: &CountsWord,
        slots: usize,
        may_have_room: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let open = |id: usize| id != full && may_have_room(id);
        // First the bits. They can miss a mailbox while a sender that found it full checks it.
        self.with_room.find(full, open).or_else(|| {
            let now = counts.load();
            let maybe = now.full() != now.live();
            maybe.then(|| (0..slots).find(|id| open(*id))).flatten()
        })
    }
}

#[cfg(all(test, not(any(troupe_shuttle, troupe_loom))))]
mod tests {
    use super::Gate;
    use crate::pool::counts::CountsWord;

    fn open() -> (Gate, CountsWord) {
        let gate = Gate::new();
        assert!(gate.generation().is_vacant() && gate.is_shut() && !gate.may_have_room());
        gate.open();
        assert!(!gate.generation().is_vacant() && !gate.is_shut() && gate.may_have_room());
        (gate, CountsWord::default())
    }

    #[test]
    fn a_full_gate_is_counted_once() {
        let (gate, counts) = open();
        let first = gate.check().unwrap();
        let second = gate.check().unwrap();
        assert!(gate.mark_full(first, &counts));
        assert!(!gate.mark_full(second, &counts));
        assert!(gate.check().is_none());
        assert!(gate.is_shut() && !gate.may_have_room());
        assert_eq!(counts.load().full(), 1);
        assert_eq!(gate.on_take(&counts).unwrap().full(), 1);
        assert!(gate.on_take(&counts).is_none());
        assert_eq!(counts.load().full(), 0);
        assert!(gate.may_have_room());
    }

    #[test]
    fn a_take_undoes_a_check() {
        let (gate, counts) = open();
        let check = gate.check().unwrap();
        assert!(gate.on_take(&counts).is_none());
        assert!(!gate.mark_full(check, &counts));
        let later = gate.check().unwrap();
        assert!(!gate.mark_full(check, &counts));
        assert!(gate.mark_full(later, &counts));
    }

    #[test]
    fn a_closed_gate_cannot_be_checked_and_voids_its_checks() {
        let (gate, counts) = open();
        let check = gate.check().unwrap();
        let same = gate.check().unwrap();
        assert!(gate.mark_full(check, &counts));
        let before = gate.generation();
        gate.close(&counts);
        assert!(gate.generation().is_vacant() && gate.generation() != before);
        assert_eq!(counts.load().full(), 0);
        assert!(gate.check().is_none());
        assert!(gate.on_take(&counts).is_none());
        gate.open();
        assert!(gate.may_have_room());
        assert!(!gate.mark_full(same, &counts));
    }

    #[test]
    fn an_old_check_is_void() {
        let (gate, counts) = open();
        let mut old = Vec::new();
        for _ in 0..4 {
            old.push(gate.check().unwrap());
            assert!(gate.is_shut() && gate.may_have_room());
            assert!(gate.on_take(&counts).is_none());
            let counted = gate.check().unwrap();
            assert!(gate.mark_full(counted, &counts));
            assert!(gate.on_take(&counts).is_some());
            old.push(counted);
            gate.close(&counts);
            gate.open();
            old.push(gate.check().unwrap());
            gate.close(&counts);
            gate.open();
            let fresh = gate.check().unwrap();
            assert!(!old.iter().any(|check| gate.mark_full(*check, &counts)));
            assert!(gate.mark_full(fresh, &counts));
            assert!(gate.on_take(&counts).is_some());
        }
        assert_eq!(counts.load().full(), 0);
    }
}
