//! What the board's mutex guards: who is idle, which numbers are vacant,
//! whose threads they are, and what is on its way out.
//!
//! Only plain data and plain moves. The callers say when a move may be made, and
//! what goes with it in the state word.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::idle::IdleStack;
use crate::sync::{JoinHandle, is_finished};
use crate::work::Letter;

/// How many departed threads a retiring actor looks at: more than the one that it
/// adds, and few, since it holds the lock.
const LOOKS: usize = 2;

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
pub(crate) struct Seat {
    pub(crate) place: Place,
    /// The number of the actor's start, which tells two actors of one number apart.
    pub(crate) birth: u64,
    /// Whether the actor is counted as grown when its slot is opened.
    pub(crate) is_growth: bool,
    /// The actor's thread, once its starter has filed it.
    pub(crate) thread: Option<JoinHandle<()>>,
}

/// The board.
pub(crate) struct Board<E> {
    pub(crate) idle: IdleStack,
    /// By number, as far as numbers have been given.
    pub(crate) seats: Vec<Seat>,
    /// Numbers that have been given and are vacant again, lowest first.
    vacant: BinaryHeap<Reverse<usize>>,
    births: u64,
    /// How many slots are open.
    pub(crate) open: usize,
    /// Threads of actors that have left, not yet joined.
    pub(crate) departed: VecDeque<JoinHandle<()>>,
    /// Whether a call of `join` has begun to join the threads.
    pub(crate) joining: bool,
    /// Whether all threads have been joined.
    pub(crate) joined: bool,
    /// How many callers wait in `wait_idle`.
    pub(crate) idle_callers: usize,
    /// How often the troupe has been found idle while somebody waited for that.
    pub(crate) idle_instants: u64,
    /// Works that actors of a halted troupe had taken and not begun.
    pub(crate) laid_down: Vec<Letter<E>>,
    /// Works that nobody will run, waiting for their senders.
    pub(crate) strays: Vec<Letter<E>>,
    /// Whether a `shutdown_now` has collected all that it returns.
    pub(crate) halted: bool,
    /// Whether the last actor has left and the handler has been dropped.
    pub(crate) ended: bool,
    pub(crate) tally: Tally,
}

/// What is counted under the board's lock.
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

impl<E> Board<E> {
    pub(crate) fn new() -> Self {
        Self {
            idle: IdleStack::default(),
            seats: Vec::new(),
            vacant: BinaryHeap::new(),
            births: 0,
            open: 0,
            departed: VecDeque::new(),
            joining: false,
            joined: false,
            idle_callers: 0,
            idle_instants: 0,
            laid_down: Vec::new(),
            strays: Vec::new(),
            halted: false,
            ended: false,
            tally: Tally::default(),
        }
    }

    /// The number that is given next: the lowest vacant one.
    pub(crate) fn next_id(&self) -> usize {
        self.vacant.peek().map_or(self.seats.len(), |id| id.0)
    }

    /// Gives the lowest vacant number, and the number of the start.
    pub(crate) fn occupy(&mut self, is_growth: bool) -> (usize, u64) {
        let id = match self.vacant.pop() {
            Some(Reverse(id)) => id,
            None => {
                self.seats.push(Seat::default());
                self.seats.len() - 1
            }
        };
        self.births += 1;
        self.seats[id] = Seat {
            place: Place::Reserved,
            birth: self.births,
            is_growth,
            thread: None,
        };
        (id, self.births)
    }

    /// Takes a number back.
    pub(crate) fn vacate(&mut self, id: usize) {
        self.seats[id].place = Place::Vacant;
        self.departed.extend(self.seats[id].thread.take());
        self.vacant.push(Reverse(id));
    }

    /// Files the thread that a start has given, even if its actor has left meanwhile.
    /// `true` if the actor is still there.
    pub(crate) fn file(&mut self, id: usize, birth: u64, thread: JoinHandle<()>) -> bool {
        let seat = &mut self.seats[id];
        let there = seat.place != Place::Vacant && seat.birth == birth;
        if there {
            seat.thread = Some(thread);
        } else {
            self.departed.push_back(thread);
        }
        there
    }

    /// Takes some of the departed threads that have finished. The others are left: a retiring
    /// actor would wait for one that waits for another, and each link of such a chain is a
    /// thread. Actors that come and go could make the chain grow faster than it ends.
    pub(crate) fn take_finished(&mut self) -> Vec<JoinHandle<()>> {
        let mut finished = Vec::new();
        for _ in 0..LOOKS {
            match self.departed.pop_front() {
                Some(thread) if is_finished(&thread) => finished.push(thread),
                Some(thread) => self.departed.push_back(thread),
                None => break,
            }
        }
        finished
    }

    /// Returns the numbers of all actors, those about to be started included.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = usize> + '_ {
        self.seats
            .iter()
            .enumerate()
            .filter(|(_, seat)| seat.place != Place::Vacant)
            .map(|(id, _)| id)
    }
}

#[cfg(all(test, not(any(feature = "shuttle", troupe_loom))))]
mod tests {
    use super::Board;
    use crate::sync::spawn;

    #[test]
    fn vacant_numbers_are_given_again_lowest_first() {
        let mut board = Board::<()>::new();
        let ids: Vec<usize> = (0..4).map(|_| board.occupy(true).0).collect();
        assert_eq!(ids, [0, 1, 2, 3]);
        board.vacate(2);
        board.vacate(0);
        assert_eq!(board.occupied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(board.occupy(true).0, 0);
        assert_eq!(board.occupy(true).0, 2);
        let (id, birth) = board.occupy(true);
        assert_eq!((id, birth), (4, 7));
    }

    #[test]
    fn a_thread_is_filed_with_its_own_birth_only() {
        let thread = || spawn("filed".to_owned(), None, || {}).unwrap();
        let mut board = Board::<()>::new();
        let (id, first) = board.occupy(true);
        board.vacate(id);
        assert!(!board.file(id, first, thread()), "it has left");
        let (again, second) = board.occupy(true);
        assert_eq!(again, id);
        assert!(!board.file(id, first, thread()), "another is there");
        assert_eq!(board.departed.len(), 2);
        assert!(board.file(id, second, thread()));
        assert_eq!(board.departed.len(), 2);
        board.vacate(id);
        assert_eq!(board.departed.len(), 3);
    }
}
