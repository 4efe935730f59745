//! What the synced's mutex guards: who is idle, which numbers are vacant,
//! whose threads they are, and what is on its way out.
//!
//! Only plain data and plain moves. The callers say when a move may be made, and
//! what goes with it in the state word.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::pool::idle::IdleStack;
use crate::sync::{JoinHandle, is_finished};
use crate::work::Envelope;

/// How many exited threads a retiring actor looks at: more than the one that it
/// adds, and few, since it holds the lock.
const REAPED_AT_ONCE: usize = 2;

/// Whether there is an actor of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// There is none: the number can be given.
    #[default]
    Vacant,
    /// An actor is about to be started, or about to leave. Nobody sends to it.
    Reserved,
    /// There is one, and its slot is open.
    Open,
}

/// What is known of the actor of one number.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    /// The number of the actor's start, which tells two actors of one number apart.
    pub(crate) birth: u64,
    /// Whether the actor is counted as grown when its slot is opened.
    pub(crate) is_growth: bool,
    /// The actor's thread, once its starter has filed it.
    pub(crate) thread: Option<JoinHandle<()>>,
}

/// The synced.
pub(crate) struct Synced<E> {
    pub(crate) idle: IdleStack,
    /// By number, as far as numbers have been given.
    pub(crate) entries: Vec<Entry>,
    /// Numbers that have been given and are vacant again, lowest first.
    vacant: BinaryHeap<Reverse<usize>>,
    spawns: u64,
    /// How many slots are open.
    pub(crate) open: usize,
    /// Threads of actors that have left, not yet joined.
    pub(crate) exited: VecDeque<JoinHandle<()>>,
    /// Whether a call of `join` has begun to join the threads.
    pub(crate) joining: bool,
    /// Whether all threads have been joined.
    pub(crate) joined: bool,
    /// How many callers wait in `wait_idle`.
    pub(crate) idle_callers: usize,
    /// How often the troupe has been found idle while somebody waited for that.
    pub(crate) idle_instants: u64,
    /// Works that actors of a halted troupe had taken and not begun.
    pub(crate) not_started: Vec<Envelope<E>>,
    /// Works that nobody will run, waiting for their senders.
    pub(crate) unclaimed: Vec<Envelope<E>>,
    /// Whether a `shutdown_now` has collected all that it returns.
    pub(crate) halted: bool,
    /// Whether the last actor has left and the handler has been dropped.
    pub(crate) ended: bool,
    pub(crate) tally: Tally,
}

/// What is counted under the pool's lock.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) grown: u64,
    pub(crate) retired: u64,
    pub(crate) returned: u64,
    pub(crate) spawn_failures: u64,
    pub(crate) peak: usize,
    /// The count of accepted works in the last snapshot. The next one does not say less.
    pub(crate) accepted: u64,
}

impl<E> Synced<E> {
    pub(crate) fn new() -> Self {
        Self {
            idle: IdleStack::default(),
            entries: Vec::new(),
            vacant: BinaryHeap::new(),
            spawns: 0,
            open: 0,
            exited: VecDeque::new(),
            joining: false,
            joined: false,
            idle_callers: 0,
            idle_instants: 0,
            not_started: Vec::new(),
            unclaimed: Vec::new(),
            halted: false,
            ended: false,
            tally: Tally::default(),
        }
    }

    /// The number that is given next: the lowest vacant one.
    pub(crate) fn next_id(&self) -> usize {
        self.vacant.peek().map_or(self.entries.len(), |id| id.0)
    }

    /// Gives the lowest vacant number, and the number of the start.
    pub(crate) fn reserve_id(&mut self, is_growth: bool) -> (usize, u64) {
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
            birth: self.spawns,
            is_growth,
            thread: None,
        };
        (id, self.spawns)
    }

    /// Takes a number back.
    pub(crate) fn release_id(&mut self, id: usize) {
        self.entries[id].place = Place::Vacant;
        self.exited.extend(self.entries[id].thread.take());
        self.vacant.push(Reverse(id));
    }

    /// Files the thread that a start has given, even if its actor has left meanwhile.
    /// `true` if the actor is still there.
    pub(crate) fn store_thread(&mut self, id: usize, birth: u64, thread: JoinHandle<()>) -> bool {
        let entry = &mut self.entries[id];
        let there = entry.place != Place::Vacant && entry.birth == birth;
        if there {
            entry.thread = Some(thread);
        } else {
            self.exited.push_back(thread);
        }
        there
    }

    /// Takes some of the exited threads that have finished. The others are left: a retiring
    /// actor would wait for one that waits for another, and each link of such a chain is a
    /// thread. Actors that come and go could make the chain grow faster than it ends.
    pub(crate) fn take_exited(&mut self) -> Vec<JoinHandle<()>> {
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

    /// Returns the numbers of all actors, those about to be started included.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = usize> + '_ {
        self.entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.place != Place::Vacant)
            .map(|(id, _)| id)
    }
}

#[cfg(all(test, not(any(feature = "shuttle", troupe_loom))))]
mod tests {
    use super::Synced;
    use crate::sync::spawn;

    #[test]
    fn vacant_numbers_are_given_again_lowest_first() {
        let mut synced = Synced::<()>::new();
        let ids: Vec<usize> = (0..4).map(|_| synced.reserve_id(true).0).collect();
        assert_eq!(ids, [0, 1, 2, 3]);
        synced.release_id(2);
        synced.release_id(0);
        assert_eq!(synced.occupied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(synced.reserve_id(true).0, 0);
        assert_eq!(synced.reserve_id(true).0, 2);
        let (id, birth) = synced.reserve_id(true);
        assert_eq!((id, birth), (4, 7));
    }

    #[test]
    fn a_thread_is_filed_with_its_own_birth_only() {
        let thread = || spawn("filed".to_owned(), None, || {}).unwrap();
        let mut synced = Synced::<()>::new();
        let (id, first) = synced.reserve_id(true);
        synced.release_id(id);
        assert!(!synced.store_thread(id, first, thread()), "it has left");
        let (again, second) = synced.reserve_id(true);
        assert_eq!(again, id);
        assert!(
            !synced.store_thread(id, first, thread()),
            "another is there"
        );
        assert_eq!(synced.exited.len(), 2);
        assert!(synced.store_thread(id, second, thread()));
        assert_eq!(synced.exited.len(), 2);
        synced.release_id(id);
        assert_eq!(synced.exited.len(), 3);
    }
}
