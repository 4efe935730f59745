//! The actors of a pool: their numbers, their threads, and the threads of those that have left.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;

use crate::sync::{JoinHandle, is_finished};

/// How many exited threads a retiring actor tries to reap. That is more than the one that it
/// adds, and few, since it holds the lock.
const REAPED_AT_ONCE: usize = 2;

/// The state of an actor's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// There is no actor, and the number can be given.
    #[default]
    Vacant,
    /// An actor is being started or is leaving, and its slot is closed.
    Reserved,
    /// There is an actor, and its slot is open.
    Open,
}

/// The actor of one number.
#[derive(Debug, Default)]
struct Entry {
    place: Place,
    /// The number of the actor's start, which tells two actors of one number apart.
    spawn: u64,
    /// Whether the actor is counted as grown when its slot is first opened.
    is_growth: bool,
    /// The actor's thread, once its starter has stored it.
    thread: Option<JoinHandle<()>>,
}

/// The actors by number, and how many there have been.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// One entry for each number that has been given so far.
    entries: Vec<Entry>,
    /// Numbers that have been given and are vacant again, lowest first.
    vacant: BinaryHeap<Reverse<usize>>,
    spawns: u64,
    open: usize,
    /// Threads of actors that have left, not yet joined.
    exited: VecDeque<JoinHandle<()>>,
    pub(super) grown: u64,
    pub(super) retired: u64,
    pub(super) spawn_failures: u64,
    /// The most slots that have been open at the same time.
    pub(super) peak: usize,
}

impl Roster {
    /// Returns the number that is given next, which is the lowest vacant one.
    pub(super) fn next_id(&self) -> usize {
        self.vacant.peek().map_or(self.entries.len(), |id| id.0)
    }

    /// Gives the lowest vacant number. Returns it with the number of the start.
    pub(super) fn reserve_id(&mut self, is_growth: bool) -> (usize, u64) {
        let id = match self.vacant.pop() {
            Some(Reverse(id)) => id,
            None => {
                self.entries.push(Entry::default());
                self.entries.len() - 1
            }
        };
        self.spawns += 1;
        self.entries[id] = Entry {
            place: Place::Reserved,
            spawn: self.spawns,
            is_growth,
            thread: None,
        };
        (id, self.spawns)
    }

    /// Takes a number back.
    pub(super) fn release_id(&mut self, id: usize) {
        self.entries[id].place = Place::Vacant;
        self.exited.extend(self.entries[id].thread.take());
        self.vacant.push(Reverse(id));
    }

    /// Counts a reserved slot as open. Returns `false` if it was not reserved.
    pub(super) fn open(&mut self, id: usize) -> bool {
        let entry = &mut self.entries[id];
        let was_reserved = entry.place == Place::Reserved;
        if was_reserved {
            entry.place = Place::Open;
            self.grown += u64::from(std::mem::take(&mut entry.is_growth));
            self.open += 1;
            self.peak = self.peak.max(self.open);
        }
        was_reserved
    }

    /// Counts an open slot as reserved. Returns `false` if it was not open.
    pub(super) fn close(&mut self, id: usize) -> bool {
        let entry = &mut self.entries[id];
        let was_open = entry.place == Place::Open;
        if was_open {
            entry.place = Place::Reserved;
            self.open -= 1;
        }
        was_open
    }

    /// Returns how many slots are open.
    pub(super) fn open_slots(&self) -> usize {
        self.open
    }

    pub(super) fn is_reserved(&self, id: usize) -> bool {
        self.entries[id].place == Place::Reserved
    }

    /// Stores the thread of a start, even if its actor has left meanwhile. Returns `true` if
    /// the actor is still there.
    pub(super) fn store_thread(&mut self, id: usize, spawn: u64, thread: JoinHandle<()>) -> bool {
        let entry = &mut self.entries[id];
        let there = entry.place != Place::Vacant && entry.spawn == spawn;
        if there {
            entry.thread = Some(thread);
        } else {
            self.exited.push_back(thread);
        }
        there
    }

    /// Takes some of the exited threads that have finished.
    ///
    /// The others are left. Otherwise a retiring actor could wait for a thread that waits for
    /// another. Actors that come and go could then make this chain of threads ever longer.
    pub(super) fn take_exited(&mut self) -> Vec<JoinHandle<()>> {
        let mut finished = Vec::new();
        for _ in 0..REAPED_AT_ONCE {
            match self.exited.pop_front() {
                Some(thread) if is_finished(&thread) => finished.push(thread),
                Some(thread) => self.exited.push_back(thread),
                None => break,
            }
        }
        finished
    }

    /// Takes all exited threads.
    pub(super) fn take_all_exited(&mut self) -> VecDeque<JoinHandle<()>> {
        std::mem::take(&mut self.exited)
    }

    /// Returns the numbers that have been given so far.
    pub(super) fn given(&self) -> Range<usize> {
        0..self.entries.len()
    }

    /// Returns the numbers of all actors, including those about to be started.
    pub(super) fn occupied(&self) -> impl Iterator<Item = usize> + '_ {
        self.given()
            .filter(|id| self.entries[*id].place != Place::Vacant)
    }
}

#[cfg(all(test, not(any(troupe_shuttle, troupe_loom))))]
mod tests {
    use super::Roster;
    use crate::sync::spawn;

    #[test]
    fn vacant_numbers_are_given_again_lowest_first() {
        let mut roster = Roster::default();
        let ids: Vec<usize> = (0..4).map(|_| roster.reserve_id(true).0).collect();
        assert_eq!(ids, [0, 1, 2, 3]);
        roster.release_id(2);
        roster.release_id(0);
        assert_eq!(roster.occupied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(roster.reserve_id(true).0, 0);
        assert_eq!(roster.reserve_id(true).0, 2);
        assert_eq!(roster.reserve_id(true), (4, 7));
    }

    #[test]
    fn a_thread_is_stored_with_its_own_start_only() {
        let thread = || spawn("stored".to_owned(), None, || {}).unwrap();
        let mut roster = Roster::default();
        let (id, first) = roster.reserve_id(true);
        roster.release_id(id);
        assert!(!roster.store_thread(id, first, thread()), "it has left");
        let (again, second) = roster.reserve_id(true);
        assert_eq!(again, id);
        assert!(
            !roster.store_thread(id, first, thread()),
            "another is there"
        );
        assert_eq!(roster.exited.len(), 2);
        assert!(roster.store_thread(id, second, thread()));
        assert_eq!(roster.exited.len(), 2);
        roster.release_id(id);
        assert_eq!(roster.exited.len(), 3);
    }
}
