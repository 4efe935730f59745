//! Works that wait for their keys.
//!
//! A key is *taken* while a work of it is in the pool. Later works of the key stand *in line*.
//! When the work that has the turn has ended, its actor *passes the key on* to the next.
//!
//! # Why a key loses no work, and runs one at a time
//!
//! Claim: works of one key begin one at a time, in the order of acceptance, except that a retry
//! comes before the next work of its key; each is begun or returned; `Full` is exact.
//!
//! The taken keys and their lines are in shards, each of which has a lock.
//!
//! | step | |
//! |---|---|
//! | KEY-1 | an assign finds the key free, takes it, and places the work like any other, all under the shard's lock; if the work is refused, the key is free again |
//! | KEY-2 | an assign finds the key taken, and stands in line, under the shard's lock |
//! | KEY-3 | an actor whose work of the key has ended pops the next work, or frees the key, under the shard's lock |
//!
//! - *A work in line is never stranded.* It stands behind a work that has been accepted, since
//!   KEY-1 holds the lock until its work is accepted or refused. The accepted work is begun, and
//!   its actor does KEY-3 before the actor looks for other work, goes idle or leaves. Or
//!   `shutdown_now` returns it, and the line with it. So retiring and `shutdown` do not have to look
//!   at lines.
//! - *The next work begins at once, or waits at its turn.* If no other work is waiting, the actor
//!   goes on with the popped work. Otherwise the work is put among those *at their turn*, which
//!   are one more mailbox for every actor that looks for work: put, then the ready bit, then
//!   SEND-3 and SEND-4. Actors take at most as many of them as there were when the first of these
//!   was taken, and then move the drain cursor on. So neither they nor the mailboxes wait without
//!   bound.
//! - *`shutdown_now`* takes every shard's lock before the pool's, halts, and then empties turns,
//!   lines, mailboxes and hand-offs, in this order. KEY-2 looks at the shutdown and KEY-3 at the
//!   halt, under the shard's lock. An actor is in KEY-3 while its phase is odd: a work that it goes
//!   on with has begun, so it does not ask for the halt again, and `shutdown_now` does not wait
//!   for it.
//! - *`Full` is exact.* KEY-1 refuses a work as any other assign does. KEY-2 refuses it if every
//!   place in line is taken. The key is taken at that instant, since the lock is held.
//!
//! A waiting sender with a keyed work waits for room, for its key, or for a place in line. Each
//! of these events wakes all such senders, through a separate condition variable. So they take no
//! call from a sender that waits for room alone.
//!
//! KEY-1 may start a thread. If the system refuses the thread, that may end the pool, which drops
//! the error handler. This is user code and must not run under a shard's lock, so the end is put
//! off until the lock has been released. The event of the refused thread is put off, too, since it
//! calls the subscriber.
//!
//! Attacked by `shuttle::keys::a_key_against_its_end`,
//! `shuttle::keys::a_key_against_shutdown_now`, `shuttle::keys::a_key_against_a_refused_growth`,
//! `shuttle::keys::a_keyed_waiter_hears_of_its_key`,
//! `shuttle::keys::the_handler_is_dropped_outside_the_lines`,
//! `it::keyed`.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::Pool;
use crate::sync::atomics::{Padded, SeqCstWord};
use crate::sync::{Mutex, MutexGuard, SHARDS, thread_local};
use crate::work::Envelope;

thread_local! {
    /// Whether this thread holds a [`Line`], and owes the pool its end.
    static HELD: Cell<Held> = const { Cell::new(Held::No) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    No,
    Yes,
    /// The pool has to be ended once the lock has been released.
    OwesEnd,
}

/// Taken keys, each with the works that stand in line for it.
type Shard<E> = HashMap<u64, VecDeque<Envelope<E>>, BuildHasherDefault<AsItIs>>;

/// Leaves a key as it is, since it is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key is a u64");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The lines of a pool.
pub(super) struct Lines<E> {
    shards: Box<[Padded<Mutex<Shard<E>>>]>,
    at_turn: Mutex<AtTurn<E>>,
    /// Whether a work is at its turn, 1 or 0. Written under the lock of `at_turn`.
    holds_work: SeqCstWord,
    /// How many places in line are taken. A work at its turn keeps its place.
    taken: SeqCstWord,
    /// How many places there are.
    places: u64,
}

/// Works that have come to their turn, and wait for an actor.
struct AtTurn<E> {
    works: VecDeque<Envelope<E>>,
    /// How many of them are taken before the drain cursor moves on.
    batch: usize,
}

impl<E> Lines<E> {
    pub(super) fn new(places: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Padded::default()).collect(),
            at_turn: Mutex::new(AtTurn {
                works: VecDeque::new(),
                batch: 0,
            }),
            holds_work: SeqCstWord::default(),
            taken: SeqCstWord::default(),
            places: places as u64,
        }
    }

    fn shard(&self, key: u64) -> &Mutex<Shard<E>> {
        // The map uses the lowest bits and the highest ones.
        &self.shards[(key >> 32) as usize % SHARDS]
    }

    /// Returns `true` if a work is at its turn.
    pub(super) fn holds_work(&self) -> bool {
        self.holds_work.load() != 0
    }

    /// Returns how many works wait for their keys, or at their turn.
    pub(super) fn len(&self) -> u64 {
        self.taken.load()
    }

    /// Takes a place in line. Returns `false` if there is none.
    fn take_place(&self) -> bool {
        loop {
            let taken = self.taken.load();
            if taken >= self.places {
                return false;
            }
            if self.taken.replace(taken, taken + 1) {
                return true;
            }
        }
    }

    /// Puts a work among those at their turn.
    fn put(&self, envelope: Envelope<E>) {
        let mut at_turn = self.at_turn.lock();
        at_turn.works.push_back(envelope);
        if at_turn.works.len() == 1 {
            self.holds_work.store(1);
        }
    }

    /// Takes the oldest of the works at their turn, and whether it is the last of those that
    /// are taken before others.
    fn take(&self) -> Option<(Envelope<E>, bool)> {
        let mut at_turn = self.at_turn.lock();
        if at_turn.batch == 0 {
            at_turn.batch = at_turn.works.len();
        }
        let envelope = at_turn.works.pop_front()?;
        at_turn.batch -= 1;
        if at_turn.works.is_empty() {
            self.holds_work.store(0);
        }
        Some((envelope, at_turn.batch == 0))
    }
}

/// The locks of all shards, held: no key is taken or passed on meanwhile.
#[must_use]
pub struct AllLines<'a, E> {
    lines: &'a Lines<E>,
    shards: Vec<MutexGuard<'a, Shard<E>>>,
}

impl<E> AllLines<'_, E> {
    /// Takes all works out, in the order of their turns.
    pub fn empty(self) -> Vec<Envelope<E>> {
        let Self { lines, shards } = self;
        let mut at_turn = lines.at_turn.lock();
        at_turn.batch = 0;
        let mut envelopes = Vec::from(std::mem::take(&mut at_turn.works));
        lines.holds_work.store(0);
        drop(at_turn);
        for mut shard in shards {
            for line in shard.values_mut() {
                envelopes.extend(line.drain(..));
            }
        }
        // An actor may be about to free the place of a work that it has taken, so the places of the
        // others are freed one by one.
        lines.taken.add((envelopes.len() as u64).wrapping_neg());
        envelopes
    }
}

/// The line of a key, with the lock of its shard held.
#[must_use]
pub struct Line<'a, E> {
    pool: &'a Pool<E>,
    key: u64,
    // Dropped in this order: the steps put off are taken once the lock has been released.
    shard: MutexGuard<'a, Shard<E>>,
    _debts: Debts<'a, E>,
}

/// The steps that the calling thread has put off while it holds a shard's lock. A drop takes them.
struct Debts<'a, E>(&'a Pool<E>);

impl<E> Drop for Debts<'_, E> {
    fn drop(&mut self) {
        let held = HELD.with(|held| held.replace(Held::No));
        self.0.report_all_refused();
        if held == Held::OwesEnd {
            self.0.end();
        }
    }
}

impl<E> Pool<E> {
    /// Takes the lock of the shard that a key belongs to.
    pub fn line(&self, key: u64) -> Line<'_, E> {
        let shard = self.lines.shard(key).lock();
        HELD.with(|held| held.set(Held::Yes));
        Line {
            pool: self,
            key,
            shard,
            _debts: Debts(self),
        }
    }

    /// Takes the locks of all shards.
    pub fn lock_lines(&self) -> AllLines<'_, E> {
        let lines = &self.lines;
        let shards = lines.shards.iter().map(|shard| shard.lock()).collect();
        AllLines { lines, shards }
    }

    /// The number of the mailbox that the works at their turn make up.
    pub fn turns(&self) -> usize {
        self.slots.len()
    }

    /// Takes a work that has come to its turn.
    #[cold]
    pub(super) fn take_at_turn(&self) -> Option<Envelope<E>> {
        let (envelope, is_last) = self.lines.take()?;
        if is_last {
            let turns = self.turns();
            let holds_other = |other| other != turns && self.holds_work(other);
            let next = self.ready.find(turns, holds_other);
            self.cursors.move_drain(turns, next.unwrap_or(turns));
        }
        self.leave_line();
        Some(envelope)
    }

    /// Frees the place in line of a work that an actor has taken.
    fn leave_line(&self) {
        self.lines.taken.add(u64::MAX);
        self.wake_keyed();
    }

    fn wake_keyed(&self) {
        if self.counts.load().is_waited_for() {
            self.waiters.wake_keyed();
        }
    }
}

impl<E> Line<'_, E> {
    pub fn is_taken(&self) -> bool {
        self.shard.contains_key(&self.key)
    }

    /// KEY-1: takes the key, which is free.
    pub fn take_key(&mut self) {
        self.shard.insert(self.key, VecDeque::new());
    }

    /// Frees the key, behind which no work stands in line.
    pub fn free_key(&mut self) {
        self.shard.remove(&self.key);
    }

    /// KEY-2: puts a work in line, or gives it back if there is no place.
    pub fn stand(mut self, envelope: Envelope<E>) -> Result<(), Envelope<E>> {
        match self.shard.get_mut(&self.key) {
            Some(works) if self.pool.lines.take_place() => {
                works.push_back(envelope);
                Ok(())
            }
            _ => Err(envelope),
        }
    }

    /// KEY-3: passes the key on, since the work that had the turn has ended. The calling actor
    /// must be in an odd phase. If it goes on with the next work, `begin` shows that the work
    /// has begun.
    pub fn pass_on(mut self, begin: impl FnOnce()) -> PassedOn<E> {
        let pool = self.pool;
        if pool.is_halted() {
            return PassedOn::Done;
        }
        let Some(works) = self.shard.get_mut(&self.key) else {
            return PassedOn::Done;
        };
        let Some(next) = works.pop_front() else {
            self.free_key();
            drop(self);
            pool.wake_keyed();
            return PassedOn::Done;
        };
        if pool.find_work().is_some() {
            pool.lines.put(next);
            return PassedOn::Put;
        }
        // A snapshot between the two misses the work rather than counting it twice.
        pool.lines.taken.add(u64::MAX);
        begin();
        drop(self);
        pool.wake_keyed();
        PassedOn::Begins(next)
    }
}

/// Returns `true` if the calling thread holds a [`Line`].
pub(super) fn holds_line() -> bool {
    HELD.with(Cell::get) != Held::No
}

/// Returns `true` if the calling thread holds a [`Line`]. It ends the pool when it releases it.
pub(super) fn put_off_end() -> bool {
    HELD.with(|held| {
        let holds = held.get() != Held::No;
        if holds {
            held.set(Held::OwesEnd);
        }
        holds
    })
}

/// The outcome of passing a key on.
#[must_use]
pub enum PassedOn<E> {
    /// No work of it waits, or none begins any more.
    Done,
    /// The next work is at its turn. It has yet to be announced.
    Put,
    /// The calling actor goes on with the next work, which has begun.
    Begins(Envelope<E>),
}
